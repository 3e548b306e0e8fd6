"""Judges the lengths and latencies that the adapter said against what the client saw. Pure: one line a judgement."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.engine.record import (
    RequestRecord,
    collect_gaps_s,
    collect_ttft_s,
    collect_ttlt_s,
    compute_mean,
    compute_quantile,
    find_bucket,
    select_done,
)

MEAN_RATIO = 0.05
#: The client sees a little more than the engine: its own event loop and the socket.
LATENCY_RATIO, LATENCY_SLACK_S = 0.10, 0.020
Collector = Callable[[Iterable[RequestRecord], float, float], list[float]]
#: What each latency is called, and how the client measured it: at least, from the status line, and at most, from the
#: sending. The engine's clock starts in between, when the server's front end comes to the request.
LATENCIES: dict[str, tuple[Collector, Collector]] = {
    "ttft": (partial(collect_ttft_s, from_taken=True), collect_ttft_s),
    "itl": (collect_gaps_s, collect_gaps_s),
    "ttlt": (partial(collect_ttlt_s, from_taken=True), collect_ttlt_s),
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

    The estimate must lie in the buckets that hold the client's quantile, which is taken from the status line and up to
    10 % and 20 ms lower (the engine does not see the client's own delay), and from the sending and up to 10 % higher.
    """
    subject = f"{estimate.latency.upper()} p{estimate.level * 100:.0f}, {name}"
    shorter_s, longer_s = (
        collect(records, estimate.start_s, estimate.end_s) for collect in LATENCIES[estimate.latency]
    )
    shortest_s, longest_s = (compute_quantile(values_s, estimate.level) for values_s in (shorter_s, longer_s))
    if shortest_s is None or longest_s is None or estimate.value_s is None:
        said = "absent" if estimate.value_s is None else f"{estimate.value_s * 1000:.0f} ms"
        return Line(subject, f"{len(longer_s)} values", said, "its bucket", is_passed=False)
    low = find_bucket(edges_s, max(0.0, shortest_s * (1 - LATENCY_RATIO) - LATENCY_SLACK_S))
    high = find_bucket(edges_s, longest_s * (1 + LATENCY_RATIO))
    least_s = edges_s[low - 1] if low else 0.0
    most_s = edges_s[high] if high < len(edges_s) else math.inf
    return Line(
        subject,
        f"{shortest_s * 1000:.1f}-{longest_s * 1000:.1f} ms ({len(longer_s)} values)",
        f"{estimate.value_s * 1000:.1f} ms",
        f"buckets from {least_s * 1000:g} to {most_s * 1000:g} ms",
        least_s <= estimate.value_s <= most_s,
    )
