"""Fits the law of a recorded server: plays its requests, and corrects the law until what it says of them fits.

What a server adds up on its pages are sums of iteration times, weighted by who was in the batch:

    sum of ITL      = sum over iterations of n * (a + b*n + c*K + e*P)
    sum of prefill  = sum over iterations of r * (a + b*n + c*K + e*P)      r requests whose prompt is computed

Pages do not show the weights. The engine has them when it plays the same requests, nearly so already with a wrong law;
with them the law is a regression, and with its result the weights are taken again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from optimizer.domain import IterationLaw
from optimizer.simulation import EndedRequest, EngineRequest, Steps, StepTime, TokenEngine, make_step_time
from tests.builders.recorded_halves import PageSums, RecordedHalf, SentRequest

Floats = npt.NDArray[np.float64]

START = IterationLaw(fixed_s=3e-3, per_request_s=3e-4, per_context_token_s=1e-7, per_prompt_token_s=1e-4)
ROUNDS = 4
PAGES_AT_ONCE = 3
"""Pages between two sums that are compared, so that what one moved into the next matters little."""
LEAST_TOKENS, LEAST_REQUESTS = 50, 5
SCALES = np.array([1e-3, 1e-4, 1e-7, 1e-4])


class WeighedStepTime:
    """A step time that plans one iteration at a time and adds up the weights of the law's terms."""

    def __init__(self, step_time: StepTime) -> None:
        self._step_time = step_time
        self.engine: TokenEngine | None = None
        self.decode_weights, self.prefill_weights = np.zeros(4), np.zeros(4)

    def plan_steps(self, decoding_requests: int, context_tokens: int, prompt_tokens: int, iteration: int) -> Steps:
        assert self.engine is not None
        terms = np.array([1.0, decoding_requests, context_tokens, prompt_tokens])
        self.decode_weights += decoding_requests * terms
        if prompt_tokens:
            self.prefill_weights += (self.engine.running_requests - decoding_requests) * terms
        steps = self._step_time.plan_steps(decoding_requests, context_tokens, prompt_tokens, iteration)
        return steps._replace(limit=1)


class Play:
    """The engine after it played a half: what it had counted at each page of the recording, and every record.

    `weights` are those of decoding and of prefill at each page, where they are asked for.
    """

    def __init__(self, law: IterationLaw, half: RecordedHalf, *, is_weighed: bool = False) -> None:
        self.pages: list[PageSums] = []
        self.ended: list[EndedRequest] = []
        self.weights: list[tuple[Floats, Floats]] = []
        self._weighed = WeighedStepTime(make_step_time(law)) if is_weighed else None
        self._engine = TokenEngine(self._weighed or make_step_time(law), half.limits, tells_tokens=False)
        if self._weighed is not None:
            self._weighed.engine = self._engine
        happenings: list[tuple[float, SentRequest | None]] = [(page.time_s, None) for page in half.pages]
        happenings += [(request.sent_s, request) for request in half.requests]
        for time_s, request in sorted(happenings, key=lambda happening: happening[0]):
            if request is None:
                self._note_page(time_s)
            else:
                name = str(self._engine.counters.accepted)
                self._engine.submit(EngineRequest(name, time_s, request.input_tokens, request.output_tokens))
        while (change_ns := self._engine.next_change_ns) is not None:
            self.ended += [event.ended for event in self._engine.advance_ns(change_ns) if event.ended]
        self.ended.sort(key=lambda record: int(record.request.request_id))

    def _note_page(self, time_s: float) -> None:
        engine, counters = self._engine, self._engine.counters
        self.ended += [event.ended for event in engine.advance(time_s) if event.ended]
        self.pages.append(
            PageSums(
                time_s,
                counters.finished,
                counters.itl.count,
                counters.itl.total,
                counters.ttft.total,
                counters.queue_time.total,
                counters.prefill_time.total,
                counters.inference_time.total,
                engine.running_requests,
                engine.waiting_requests,
            )
        )
        if self._weighed is not None:
            self.weights.append((self._weighed.decode_weights.copy(), self._weighed.prefill_weights.copy()))


def fit_law(halves: Sequence[RecordedHalf]) -> IterationLaw:
    """Return the law that fits the sums of `halves` best.

    Errors count relative to what the law says, not to what was recorded: so slow moments weigh as much as they last,
    and means come out right.

    Source: quasi-likelihood with constant coefficient of variation, by iteratively reweighted least squares.
    """
    law = START
    for _ in range(ROUNDS):
        rows = [row for half in halves for row in _list_rows(half, Play(law, half, is_weighed=True))]
        terms, recorded_s = np.array([row.terms for row in rows]), np.array([row.recorded_s for row in rows])
        expected_s = terms @ np.array(astuple(law))
        scaled, _ = nnls(terms * SCALES / expected_s[:, np.newaxis], recorded_s / expected_s)
        law = IterationLaw(*(scaled * SCALES).tolist())
    return law


class Row(NamedTuple):
    """A recorded mean time [s], and the mean weights of the law's four terms in it."""

    recorded_s: float
    terms: Floats


def _list_rows(half: RecordedHalf, play: Play) -> Iterator[Row]:
    for first, last in pairwise(range(0, len(half.pages), PAGES_AT_ONCE)):
        before, after = half.pages[first], half.pages[last]
        tokens, requests = after.tokens - before.tokens, after.finished - before.finished
        decode, prefill = (new - old for new, old in zip(play.weights[last], play.weights[first], strict=True))
        if tokens > LEAST_TOKENS and decode[0] > LEAST_TOKENS:
            yield Row((after.itl_s - before.itl_s) / tokens, decode / decode[0])
        if requests > LEAST_REQUESTS and prefill[0] > LEAST_REQUESTS:
            yield Row((after.prefill_s - before.prefill_s) / requests, prefill / prefill[0])
