"""Judges what the adapter said against what the client saw. Pure: figures in, one line per judgement out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.engine.record import (
    RequestRecord,
    collect_gaps_s,
    collect_ttft_s,
    collect_ttlt_s,
    compute_mean,
    compute_quantile,
    count_sent,
    find_bucket,
    select_done,
)

RATE_WINDOW_S = 20.0
RATE_RATIO, RATE_SLACK_PER_S = 0.02, 0.2
MEAN_RATIO = 0.05
#: The client sees a little more than the engine: its own event loop, the socket, the front end.
LATENCY_RATIO, LATENCY_SLACK_S = 0.10, 0.020
#: What each latency is called, and how the client measured it.
LATENCIES: dict[str, Callable[[Iterable[RequestRecord], float, float], list[float]]] = {
    "ttft": collect_ttft_s,
    "itl": collect_gaps_s,
    "ttlt": collect_ttlt_s,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One judgement: what was looked at, the truth, what was said, the allowed deviation as text, the verdict."""

    subject: str
    expected: str
    observed: str
    bound: str
    is_passed: bool


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


@dataclass(frozen=True, slots=True)
class LengthEstimate:
    """Sums of the lengths of requests said to have ended between two moments [s since the trial began]."""

    start_s: float
    end_s: float
    requests: float
    tokens: float


@dataclass(frozen=True, slots=True)
class QuantileEstimate:
    """A latency quantile said to hold between two moments [s since the trial began]; `level` is a ratio."""

    start_s: float
    end_s: float
    latency: str
    level: float
    value_s: float | None


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the trial [s since its beginning]."""

    start_s: float
    end_s: float

    def overlaps(self, start_s: float, end_s: float) -> bool:
        """Whether any of (start_s, end_s] lies in it."""
        return start_s < self.end_s and end_s > self.start_s


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


def judge_rates(
    name: str, estimates: Sequence[RateEstimate], sent_s: Sequence[float], within: Span, excluded: Sequence[Span] = ()
) -> Line:
    """Judge every window of at least 20 s inside `within` that touches no `excluded` span; the worst one is told.

    Parameters
    ----------
    name
        Told in the line.
    estimates
        As the adapter made them, of any length.
    sent_s
        Ascending sending times of the client [s].
    within, excluded
        Which windows count. No window at all is a failure: then nothing was seen.
    """
    windows = [
        window
        for window in join_windows(estimates)
        if within.start_s <= window.start_s
        and window.end_s <= within.end_s
        and not any(span.overlaps(window.start_s, window.end_s) for span in excluded)
    ]
    subject, bound = f"arrival rate, {name}", f"2 % + {RATE_SLACK_PER_S}/s in each window of 20 s"
    if not windows:
        return Line(subject, "some", "no window", bound, is_passed=False)
    judged = [(_compute_rate_excess_per_s(window, sent_s), window) for window in windows]
    excess_per_s, worst = max(judged, key=lambda one: one[0])
    duration_s = worst.end_s - worst.start_s
    return Line(
        subject,
        f"{count_sent(sent_s, worst.start_s, worst.end_s) / duration_s:.3f}/s",
        f"{worst.arrivals / duration_s:.3f}/s (worst of {len(windows)}, {worst.start_s:.0f}-{worst.end_s:.0f} s, "
        f"{sum(one > 0 for one, _ in judged)} outside)",
        bound,
        is_passed=excess_per_s <= 0,
    )


def _compute_rate_excess_per_s(window: RateEstimate, sent_s: Sequence[float]) -> float:
    duration_s = window.end_s - window.start_s
    truth_per_s = count_sent(sent_s, window.start_s, window.end_s) / duration_s
    return abs(window.arrivals / duration_s - truth_per_s) - RATE_RATIO * truth_per_s - RATE_SLACK_PER_S


def judge_signs(estimates: Sequence[RateEstimate]) -> Line:
    """Judge that no estimate, however short, is negative."""
    lowest = min((one.arrivals for one in estimates), default=math.nan)
    return Line(
        "arrivals never negative", ">= 0", f"lowest {lowest:.3g} of {len(estimates)}", "every window", lowest >= 0
    )


def judge_spikes(estimates: Sequence[RateEstimate], sent_s: Sequence[float], around: Span) -> Line:
    """Judge that no estimate that touches `around` claims more arrivals than were sent in it or near it.

    What was sent within 20 s around an estimate bounds it: at a restart arrivals may be found late, never invented.
    """
    near = [one for one in estimates if around.overlaps(one.start_s, one.end_s)]
    subject, bound = "arrivals at the restart", "at most those sent within 20 s around, + 2 % + 0.2/s"
    if not near:
        return Line(subject, "some", "no estimate", bound, is_passed=False)

    def compute_excess(one: RateEstimate) -> float:
        sent = count_sent(sent_s, one.start_s - RATE_WINDOW_S, one.end_s + RATE_WINDOW_S)
        return one.arrivals - sent * (1 + RATE_RATIO) - RATE_SLACK_PER_S * (one.end_s - one.start_s)

    worst = max(near, key=compute_excess)
    sent = count_sent(sent_s, worst.start_s - RATE_WINDOW_S, worst.end_s + RATE_WINDOW_S)
    observed = f"{worst.arrivals:.1f} in {worst.start_s:.0f}-{worst.end_s:.0f} s (worst of {len(near)})"
    return Line(subject, f"<= {sent}", observed, bound, compute_excess(worst) <= 0)


def judge_mean_tokens(
    name: str,
    estimates: Sequence[LengthEstimate],
    records: Sequence[RequestRecord],
    read: Callable[[RequestRecord], int],
) -> Line:
    """Judge the mean length over all `estimates` together against the requests that ended in the same time."""
    subject, bound = f"mean {name}", f"{MEAN_RATIO:.0%}"
    said = sum(one.requests for one in estimates)
    done = [one for window in estimates for one in select_done(records, window.start_s, window.end_s)]
    truth_tokens = compute_mean([read(one) for one in done])
    if truth_tokens is None or said <= 0:
        return Line(subject, f"{len(done)} requests", f"{said:.0f} requests", bound, is_passed=False)
    value_tokens = sum(one.tokens for one in estimates) / said
    return Line(
        subject,
        f"{truth_tokens:.2f} ({len(done)} requests)",
        f"{value_tokens:.2f} ({said:.0f} requests)",
        bound,
        abs(value_tokens - truth_tokens) <= MEAN_RATIO * truth_tokens,
    )


def judge_quantile(
    name: str, estimate: QuantileEstimate, records: Sequence[RequestRecord], edges_s: Sequence[float]
) -> Line:
    """Judge a quantile to the resolution of the engine's buckets.

    The estimate must lie in the buckets that hold the client's quantile, which is taken up to 10 % and 20 ms lower
    (the engine does not see the client's own delay) and up to 10 % higher.
    """
    subject = f"{estimate.latency.upper()} p{estimate.level * 100:.0f}, {name}"
    values_s = LATENCIES[estimate.latency](records, estimate.start_s, estimate.end_s)
    truth_s = compute_quantile(values_s, estimate.level)
    if truth_s is None or estimate.value_s is None:
        said = "absent" if estimate.value_s is None else f"{estimate.value_s * 1000:.0f} ms"
        return Line(subject, f"{len(values_s)} values", said, "its bucket", is_passed=False)
    low = find_bucket(edges_s, max(0.0, truth_s * (1 - LATENCY_RATIO) - LATENCY_SLACK_S))
    high = find_bucket(edges_s, truth_s * (1 + LATENCY_RATIO))
    least_s = edges_s[low - 1] if low else 0.0
    most_s = edges_s[high] if high < len(edges_s) else math.inf
    return Line(
        subject,
        f"{truth_s * 1000:.1f} ms ({len(values_s)} values)",
        f"{estimate.value_s * 1000:.1f} ms",
        f"buckets from {least_s * 1000:g} to {most_s * 1000:g} ms",
        least_s <= estimate.value_s <= most_s,
    )
