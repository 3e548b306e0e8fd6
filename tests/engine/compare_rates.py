"""Judges the arrivals that were said against what the client knows of them. Pure: one line a judgement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tests.engine.arrivals import ArrivalTruth
from tests.engine.compare import Line, Span

RATE_WINDOW_S = 20.0
RATE_RATIO, RATE_SLACK_PER_S = 0.02, 0.2
LEAST_CERTAIN_RATIO = 0.8


@dataclass(frozen=True, slots=True)
class RateEstimate:
    """Arrivals said to have come between two moments [s since the trial began].

    `overcounted` were counted too many before this estimate, as it found out; they are taken off where estimates are
    added up, so that no single one needs to be negative.
    """

    start_s: float
    end_s: float
    arrivals: float
    overcounted: float = 0.0

    @property
    def duration_s(self) -> float:
        """How long it lasts [s]."""
        return self.end_s - self.start_s


def join_windows(estimates: Sequence[RateEstimate], least_s: float = RATE_WINDOW_S) -> list[RateEstimate]:
    """Return, from every estimate on, the shortest run of adjoining ones that lasts at least `least_s` [s].

    A run ends where estimates do not adjoin (more than 1 ms apart): nothing is known in between.
    """
    ordered = sorted(estimates, key=lambda one: one.end_s)
    runs: list[RateEstimate] = []
    for first, head in enumerate(ordered):
        arrivals, end_s = 0.0, head.start_s
        for estimate in ordered[first:]:
            if abs(estimate.start_s - end_s) > 1e-3:
                break
            arrivals, end_s = arrivals + estimate.arrivals - estimate.overcounted, estimate.end_s
            if end_s - head.start_s >= least_s:
                runs.append(RateEstimate(head.start_s, end_s, arrivals))
                break
    return runs


def select_windows(
    estimates: Sequence[RateEstimate], within: Span, excluded: Sequence[Span] = ()
) -> list[RateEstimate]:
    """Return every window of at least 20 s inside `within` that touches no `excluded` span."""
    return [
        window
        for window in join_windows(estimates)
        if within.start_s <= window.start_s
        and window.end_s <= within.end_s
        and not any(span.overlaps(window.start_s, window.end_s) for span in excluded)
    ]


def judge_rates(name: str, windows: Sequence[RateEstimate], truth: ArrivalTruth) -> Line:
    """Judge every one of `windows`; the worst one is told. No window at all is a failure: then nothing was seen.

    The truth of a window is what the client is certain of, a range: requests on their way into the server at either
    edge belong to neither side. How many windows the sending times alone would call wrong is told beside it.
    """
    subject, bound = f"arrival rate, {name}", f"2 % + {RATE_SLACK_PER_S}/s in each window of 20 s"
    if not windows:
        return Line(subject, "some", "no window", bound, is_passed=False)
    excesses_per_s = [_compute_excess_per_s(window, truth) for window in windows]
    excess_per_s, worst = max(zip(excesses_per_s, windows, strict=True), key=lambda one: one[0])
    by_sending = sum(_compute_sent_excess_per_s(window, truth) > 0 for window in windows)
    least_per_s, most_per_s = (count / worst.duration_s for count in truth.bound_arrivals(worst.start_s, worst.end_s))
    return Line(
        subject,
        f"{least_per_s:.3f}-{most_per_s:.3f}/s",
        f"{worst.arrivals / worst.duration_s:.3f}/s (worst of {len(windows)}, {worst.start_s:.0f}-{worst.end_s:.0f} s, "
        f"{sum(one > 0 for one in excesses_per_s)} outside; {by_sending} by sending times alone)",
        bound,
        is_passed=excess_per_s <= 0,
    )


def judge_certainty(windows: Sequence[RateEstimate], truth: ArrivalTruth) -> Line:
    """Judge that the client knows the arrivals of most windows to the bound that estimates are held to.

    A machine so short of CPU that requests stay on their way for long proves nothing about anybody's estimate.
    """
    certain = 0
    for window in windows:
        least, most = truth.bound_arrivals(window.start_s, window.end_s)
        certain += most - least <= _compute_bound_per_s(window, truth) * window.duration_s
    return Line(
        "trial: arrivals known to the client",
        f">= {LEAST_CERTAIN_RATIO:.0%} of windows",
        f"{certain} of {len(windows)} windows",
        f"2 % + {RATE_SLACK_PER_S}/s between least and most",
        bool(windows) and certain >= LEAST_CERTAIN_RATIO * len(windows),
    )


def _compute_excess_per_s(window: RateEstimate, truth: ArrivalTruth) -> float:
    """Return by how much `window` is further from the range of the truth than it may be [1/s]."""
    least, most = truth.bound_arrivals(window.start_s, window.end_s)
    deviation = max(least - window.arrivals, window.arrivals - most, 0.0)
    return deviation / window.duration_s - _compute_bound_per_s(window, truth)


def _compute_sent_excess_per_s(window: RateEstimate, truth: ArrivalTruth) -> float:
    deviation = abs(window.arrivals - truth.count_sent(window.start_s, window.end_s))
    return deviation / window.duration_s - _compute_bound_per_s(window, truth)


def _compute_bound_per_s(window: RateEstimate, truth: ArrivalTruth) -> float:
    return RATE_RATIO * truth.count_sent(window.start_s, window.end_s) / window.duration_s + RATE_SLACK_PER_S


def judge_signs(estimates: Sequence[RateEstimate]) -> Line:
    """Judge that no estimate, however short, is negative."""
    lowest = min((one.arrivals for one in estimates), default=math.nan)
    return Line(
        "arrivals never negative", ">= 0", f"lowest {lowest:.3g} of {len(estimates)}", "every window", lowest >= 0
    )


def judge_spikes(estimates: Sequence[RateEstimate], truth: ArrivalTruth, around: Span) -> Line:
    """Judge that no estimate that touches `around` claims more arrivals than were sent in it or near it.

    What was sent within 20 s around an estimate bounds it: at a restart arrivals may be found late, never invented.
    """
    near = [one for one in estimates if around.overlaps(one.start_s, one.end_s)]
    subject, bound = "arrivals at the restart", "at most those sent within 20 s around, + 2 % + 0.2/s"
    if not near:
        return Line(subject, "some", "no estimate", bound, is_passed=False)

    def compute_excess(one: RateEstimate) -> float:
        sent = truth.count_sent(one.start_s - RATE_WINDOW_S, one.end_s + RATE_WINDOW_S)
        return one.arrivals - sent * (1 + RATE_RATIO) - RATE_SLACK_PER_S * one.duration_s

    worst = max(near, key=compute_excess)
    sent = truth.count_sent(worst.start_s - RATE_WINDOW_S, worst.end_s + RATE_WINDOW_S)
    observed = f"{worst.arrivals:.1f} in {worst.start_s:.0f}-{worst.end_s:.0f} s (worst of {len(near)})"
    return Line(subject, f"<= {sent}", observed, bound, compute_excess(worst) <= 0)
