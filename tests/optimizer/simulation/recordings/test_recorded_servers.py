"""The token engine against recordings of a real vLLM: its law fitted on the first halves, judged on the second ones.

A figure agrees when it is within 10 % of the recorded one, or inside the 95 % bootstrap interval of the recording
itself. `pytest -rP` shows the table of all figures, those that are only reported among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from optimizer.domain import IterationLaw
from tests.builders.law_fit import Play, fit_law
from tests.builders.recorded_halves import PageSums, RecordedHalf, read_halves

Floats = npt.NDArray[np.float64]

TOLERANCE_RATIO = 0.10
RESAMPLES = 2000


class Figure(NamedTuple):
    """One figure of one half: recorded, the interval of the recording, and as the engine has it."""

    half: str
    name: str
    recorded: float
    interval: tuple[float, float]
    simulated: float

    @property
    def error_ratio(self) -> float:
        return self.simulated / self.recorded - 1.0

    @property
    def agrees(self) -> bool:
        return abs(self.error_ratio) <= TOLERANCE_RATIO or self.interval[0] <= self.simulated <= self.interval[1]

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.half:<22} {self.name:<44} {self.recorded:>8.3f}  [{low:8.3f}, {high:8.3f}]"
            f" {self.simulated:>8.3f} {self.error_ratio:>+7.1%}"
        )


@dataclass(frozen=True, slots=True)
class Ratio:
    """One sum of the pages over another, both over the time from the first page to the last."""

    name: str
    above: str
    below: str
    scale: float = 1.0

    def compute(self, windows: Floats) -> float:
        above, below = windows.sum(axis=0)
        return float(self.scale * above / below)

    def read(self, pages: list[PageSums]) -> Floats:
        """Return what each window between two pages adds to both sums."""
        return np.array(
            [
                [getattr(new, name) - getattr(old, name) for name in (self.above, self.below)]
                for old, new in pairwise(pages)
            ]
        )

    def compare(self, half: RecordedHalf, play: Play, until_s: float = np.inf, since_s: float = -np.inf) -> Figure:
        recorded, simulated = (
            self.read([page for page in pages if since_s <= page.time_s <= until_s])
            for pages in (half.pages, play.pages)
        )
        interval = bootstrap(recorded, self.compute)
        return Figure(half.name, self.name, self.compute(recorded), interval, self.compute(simulated))


COMPLETIONS = Ratio("completions per 10 s", "finished", "time_s", 10.0)
JUDGED = (
    COMPLETIONS,
    Ratio("mean running requests", "inference_s", "time_s"),
    Ratio("mean waiting requests", "queue_s", "time_s"),
    Ratio("mean ITL [ms]", "itl_s", "tokens", 1e3),
)
REPORTED = Ratio("mean TTFT [ms]", "ttft_s", "finished", 1e3)
"""Where nothing queues, it is the time of the front end and of a client that shares two cores with it."""


def bootstrap(values: Floats, compute: Callable[[Floats], float]) -> tuple[float, float]:
    """Return the 95 % interval of `compute` over rows of `values` drawn anew."""
    generator = np.random.default_rng(0)
    found = [compute(values[generator.integers(0, len(values), len(values))]) for _ in range(RESAMPLES)]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def compute_mean(values: Floats) -> float:
    return float(values.mean())


def compute_percentile(values: Floats, percent: float) -> float:
    return float(np.percentile(values, percent))


def judge(half: RecordedHalf, play: Play) -> Iterator[Figure]:
    for ratio in JUDGED:
        yield ratio.compare(half, play)
    for name in ("running_requests", "waiting_requests"):
        recorded, simulated = (np.array([getattr(page, name) for page in pages]) for pages in (half.pages, play.pages))
        interval = bootstrap(recorded, compute_mean)
        yield Figure(half.name, f"mean gauge {name}", compute_mean(recorded), interval, compute_mean(simulated))
    if half.burst_s is not None:
        yield from judge_queue(half, play, half.burst_s)


def judge_queue(half: RecordedHalf, play: Play, burst_s: float) -> Iterator[Figure]:
    in_burst = np.array([burst_s - 0.05 <= request.sent_s < burst_s + 1.0 for request in half.requests])
    recorded_s = np.array([request.done_s - request.sent_s for request in half.requests])[in_burst]
    simulated_s = np.array([record.ttlt_s for record in play.ended], dtype=np.float64)[in_burst]
    assert len(recorded_s) >= 40
    for percent in (50, 90):
        compute = partial(compute_percentile, percent=percent)
        recorded, simulated = compute(recorded_s), compute(simulated_s)
        interval = bootstrap(recorded_s, compute)
        yield Figure(half.name, f"P{percent} end to end under a standing queue [s]", recorded, interval, simulated)
    stands_until_s = burst_s + float(np.percentile(recorded_s, 90))
    under_queue = COMPLETIONS.compare(half, play, stands_until_s, burst_s)
    yield under_queue._replace(name=f"{COMPLETIONS.name} under a standing queue")


class Fold(NamedTuple):
    """A law, and the halves it was not fitted on as the engine plays them by it."""

    law: IterationLaw
    plays: list[tuple[RecordedHalf, Play]]


def make_fold(fitted: tuple[RecordedHalf, ...], judged: tuple[RecordedHalf, ...]) -> Fold:
    law = fit_law(fitted)
    return Fold(law, [(half, Play(law, half)) for half in judged])


@pytest.fixture(scope="module")
def halves(data_dir: Path) -> tuple[tuple[RecordedHalf, ...], tuple[RecordedHalf, ...]]:
    return read_halves(data_dir / "recordings")


def show(law: IterationLaw, figures: list[Figure], title: str) -> None:
    print(
        f"\n{title}: {law.fixed_s * 1e3:.2f} ms, {law.per_request_s * 1e3:.3f} ms a request,"
        f" {law.per_context_token_s * 1e6:.2f} us a context token, {law.per_prompt_token_s * 1e6:.1f} us a prompt token"
    )
    print(f"{'half':<22} {'figure':<44} {'recorded':>8}  {'95 % interval':^20} {'engine':>8} {'error':>7}")
    for figure in figures:
        print(figure)


def test_a_law_fitted_on_the_first_halves_foretells_the_second(
    halves: tuple[tuple[RecordedHalf, ...], tuple[RecordedHalf, ...]],
) -> None:
    first, second = halves
    law, plays = make_fold(first, second)
    judged = [figure for half, play in plays for figure in judge(half, play)]
    show(law, judged, "judged, by the law of the first halves")
    show(law, [REPORTED.compare(half, play) for half, play in plays], "reported only")
    assert len(judged) == 15
    assert all(figure.agrees for figure in judged), [str(figure) for figure in judged if not figure.agrees]


@pytest.mark.slow
def test_the_other_way_round_is_reported(halves: tuple[tuple[RecordedHalf, ...], tuple[RecordedHalf, ...]]) -> None:
    first, second = halves
    law, plays = make_fold(second, first)
    show(
        law, [figure for half, play in plays for figure in judge(half, play)], "reported only, by the law of the second"
    )
    assert law.fixed_s > 0.0


def test_the_halves_begin_and_end_with_an_idle_server(
    halves: tuple[tuple[RecordedHalf, ...], tuple[RecordedHalf, ...]],
) -> None:
    """So that what is sent in a half also ends there; of the one killed in between, the count begins anew."""
    (restart, overload), (restarted, overloaded) = halves
    for half, finished_before in (
        (restart, 0.0),
        (overload, 0.0),
        (restarted, 0.0),
        (overloaded, overload.pages[-1].finished),
    ):
        last = half.pages[-1]
        assert (last.running_requests, last.waiting_requests) <= (1.0, 0.0)
        assert last.finished - finished_before == pytest.approx(len(half.requests), abs=3)
