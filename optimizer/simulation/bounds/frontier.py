"""The largest share of its time that one replica serves well, measured on the token engine. A measurement, no proof.

Physics alone lets a replica work all the time; a real scheduler mixes prompts into the iterations of others, and what
it serves late does not count. So one engine is given requests of the trace at rising load, and the work of those that
kept their promise is compared with the time. To be no less than what any router could get out of it:

- requests come evenly by their work, as a perfect router would send them, or held back and sent in waves;
- they are a random part of all, those with the longest answers for their prompts, or those with the shortest;
- the best of all these is taken, and a margin is added for what was not tried.

A bound that rests on it is as good as this list; its rungs say so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np
import numpy.typing as npt

from optimizer.domain import IterationLaw, IterationTable
from optimizer.errors import InvalidInput
from optimizer.simulation.bounds.asked import AskedRequests, FloatArray
from optimizer.simulation.bounds.work import ReplicaWork
from optimizer.simulation.engine import TokenEngine
from optimizer.simulation.limits import EngineLimits
from optimizer.simulation.request import EndedRequest, EngineRequest
from optimizer.simulation.step_time import make_step_time

_LONGEST_WAVE_S = 5.0
_FEWEST = 8  # requests of which a half is still a mix
_PATIENCE = 4.0  # a trial is over after so many times its length


@dataclass(frozen=True, slots=True)
class FrontierOptions:
    """How a frontier is measured.

    Attributes
    ----------
    duration_s, warm_s
        Length of a trial, and the part of it at the beginning that does not count [s].
    loads
        Work offered per time, rising; a trial series ends where less is served well than before.
    margin_ratio
        Added to the best that was seen.
    """

    duration_s: float = 150.0
    warm_s: float = 30.0
    loads: tuple[float, ...] = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    margin_ratio: float = 0.05

    def __post_init__(self) -> None:
        """Raise InvalidInput where a bound is broken."""
        if not 0.0 <= self.warm_s < self.duration_s < math.inf:
            raise InvalidInput("warm_s", f">= 0 and below duration_s ({self.duration_s}) [s]", self.warm_s)
        if not self.loads or not min(self.loads) > 0.0:
            raise InvalidInput("loads", "> 0, one at least", self.loads)


def measure_ceiling(
    performance: IterationLaw | IterationTable,
    limits: EngineLimits,
    requests: AskedRequests,
    work: ReplicaWork,
    *,
    options: FrontierOptions | None = None,
    seed: int = 0,
) -> ReplicaWork:
    """Return `work` with the ceiling that was measured.

    Parameters
    ----------
    performance, limits
        The truth about the replica.
    requests
        Whose lengths and promises are tried.
    work
        The least work of each.
    options
        How it is measured.
    seed
        Of the order they come in.
    """
    if not len(requests):
        return work
    stand = _Stand(performance, limits, requests, work.compute_whole_s(requests), options or FrontierOptions())
    order = np.random.default_rng(seed).permutation(len(requests))
    best = 0.0
    for chosen in _list_mixes(requests, order):
        for wave_s in (0.0, min(0.5 * float(requests.ttft_s[chosen].min()), _LONGEST_WAVE_S)):
            best = max(best, stand.climb(chosen.tolist(), wave_s))
    ceiling = min(best * (1.0 + stand.options.margin_ratio), 1.0)
    return replace(work, ceiling_ratio=ceiling) if ceiling > 0.0 else work


def _list_mixes(requests: AskedRequests, order: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Yield numbers of requests in the order they are tried: all, and the halves by tokens of answer per prompt."""
    yield order
    shares = requests.decode_tokens[order] / np.maximum(requests.prompt_tokens[order], 1.0)
    middle = float(np.sort(shares)[len(shares) // 2])
    for half in (order[shares < middle], order[shares >= middle]):
        if _FEWEST <= len(half) < len(order):
            yield half


@dataclass(frozen=True, slots=True, eq=False)
class _Stand:
    """Where one replica is tried."""

    performance: IterationLaw | IterationTable
    limits: EngineLimits
    requests: AskedRequests
    whole_s: FloatArray
    options: FrontierOptions

    def climb(self, chosen: list[int], wave_s: float) -> float:
        """Return the most work served well per time over rising loads, sent every `wave_s` [s], 0 for at once."""
        best = 0.0
        for load in self.options.loads:
            served = self._try(chosen, load, wave_s)
            if served < best:
                break
            best = served
        return best

    def _try(self, chosen: list[int], load: float, wave_s: float) -> float:
        """Return the work served well per time at one load, of the requests that come after the warm part."""
        engine = TokenEngine(make_step_time(self.performance), self.limits, tells_tokens=False)
        due = list(self._list_arrivals(chosen, load))
        events = []
        for name, (arrival_s, number) in enumerate(due):
            sent_s = math.ceil(arrival_s / wave_s) * wave_s if wave_s > 0.0 else arrival_s
            events += engine.advance(sent_s)
            engine.submit(_make_request(self.requests, number, str(name), sent_s))
        events += engine.advance(self.options.duration_s * _PATIENCE)
        good_s = []
        for event in events:
            if event.ended is not None:
                arrival_s, number = due[int(event.request_id)]
                if arrival_s >= self.options.warm_s and _is_met(self.requests, number, event.ended, arrival_s):
                    good_s.append(float(self.whole_s[number]))
        return math.fsum(good_s) / (self.options.duration_s - self.options.warm_s)

    def _list_arrivals(self, chosen: list[int], load: float) -> Iterator[tuple[float, int]]:
        """Yield when each of the `chosen` requests arrives [s], and its number: evenly by their work, over again."""
        time_s = 0.0
        for number in cycle(chosen):
            if time_s >= self.options.duration_s:
                return
            yield time_s, number
            time_s += float(self.whole_s[number]) / load


def _make_request(requests: AskedRequests, number: int, name: str, time_s: float) -> EngineRequest:
    input_tokens = max(int(requests.input_tokens[number]), 1)
    cached_tokens = min(input_tokens - int(requests.prompt_tokens[number]), input_tokens - 1)
    return EngineRequest(name, time_s, input_tokens, int(requests.decode_tokens[number]) + 1, max(cached_tokens, 0))


def _is_met(requests: AskedRequests, number: int, ended: EndedRequest, arrival_s: float) -> bool:
    if ended.first_token_s is None:
        return False
    return (
        ended.first_token_s - arrival_s <= float(requests.ttft_s[number])
        and (ended.itl_s or 0.0) <= float(requests.itl_s[number])
        and ended.end_s - arrival_s <= float(requests.ttlt_s[number])
    )
