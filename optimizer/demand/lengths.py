"""Token lengths to plan with: two fading memories, a slow one that is sharp and a fast one that notices a change.

The slow memory is believed until the fast one differs from it by more than chance allows; then the fast one is. Below
a few dozen requests the expected workload stands in, for what is missing. It knows no rate and no capacity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from optimizer.demand.length_sums import estimate_lengths, merge_length_sums
from optimizer.domain import (
    DemandWindow,
    LengthDistribution,
    LengthSums,
    Reason,
    ReasonCode,
    Workload,
)

SLOW_HALF_LIFE_S = 300.0
"""Half-life of the slow memory [s]: a thousand requests at a few per second, 2 % error of the mean."""
FAST_HALF_LIFE_S = 30.0
"""Half-life of the fast memory [s]: notices a change of lengths within two or three scrapes."""
ENOUGH_REQUESTS = 30.0
"""Requests from which on measured lengths stand alone, and the fast memory may speak."""
CHANGE_SDS = 3.5
"""Standard deviations by which the memories must differ before the change is believed."""
_NOTHING = LengthSums(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class LengthMemory:
    """Fading sums over requests, with the prompt tokens moved and those of them found in the prefix cache."""

    input_sums: LengthSums = _NOTHING
    output_sums: LengthSums = _NOTHING
    prompt_tokens: float = 0.0
    cached_tokens: float = 0.0

    def fade(self, ratio: float) -> LengthMemory:
        """Return this memory with everything in it weighing `ratio` of what it did."""
        return LengthMemory(
            _scale(self.input_sums, ratio),
            _scale(self.output_sums, ratio),
            self.prompt_tokens * ratio,
            self.cached_tokens * ratio,
        )

    def add(self, window: DemandWindow) -> LengthMemory:
        """Return this memory with the lengths that `window` saw; what it did not see stays as it is."""
        cached = window.prompt_tokens is not None and window.cached_tokens is not None
        return LengthMemory(
            _add(self.input_sums, window.input_lengths),
            _add(self.output_sums, window.output_lengths),
            self.prompt_tokens + ((window.prompt_tokens or 0.0) if cached else 0.0),
            self.cached_tokens + ((window.cached_tokens or 0.0) if cached else 0.0),
        )


@dataclass(frozen=True, slots=True)
class LengthHistory:
    """Both memories, faded to `time_s` [s]; None before the first window.

    They fade while requests are seen, not while nothing is: what comes after a silence is most like what was before it.
    """

    slow: LengthMemory = LengthMemory()
    fast: LengthMemory = LengthMemory()
    time_s: float | None = None

    def add(self, windows: Iterable[DemandWindow], time_s: float) -> LengthHistory:
        """Return the history with `windows` added at `time_s` [s]."""
        telling = [window for window in windows if _has_lengths(window)]
        if not telling:
            return self
        elapsed_s = math.inf if self.time_s is None else max(time_s - self.time_s, 0.0)
        elapsed_s = min(elapsed_s, max(window.duration_s for window in telling))
        slow = self.slow.fade(0.5 ** (elapsed_s / SLOW_HALF_LIFE_S))
        fast = self.fast.fade(0.5 ** (elapsed_s / FAST_HALF_LIFE_S))
        for window in telling:
            slow, fast = slow.add(window), fast.add(window)
        return LengthHistory(slow, fast, time_s)


def estimate_workload(
    history: LengthHistory, arrival_rate_per_s: float, expected: Workload | None
) -> tuple[Workload | None, Reason | None]:
    """Return the workload to plan with, and the reason why it is not purely measured.

    Parameters
    ----------
    history
        What was measured.
    arrival_rate_per_s
        Goes into the result as it is [1/s].
    expected
        Stands in while fewer than `ENOUGH_REQUESTS` were measured; None when nobody said.

    Returns
    -------
    tuple
        None with a reason when nothing was measured and nothing is expected.
    """
    inputs = _choose(history.slow.input_sums, history.fast.input_sums)
    outputs = _choose(history.slow.output_sums, history.fast.output_sums)
    measured_input, measured_output = estimate_lengths(inputs), estimate_lengths(outputs)
    requests = min(inputs.requests, outputs.requests)
    reason = None
    if requests < ENOUGH_REQUESTS:
        reason = Reason(ReasonCode.FEW_SAMPLES, f"token lengths of {requests:.0f} requests only")
    cached_ratio = _get_cached_ratio(history)
    if expected is None:
        if measured_input is None or measured_output is None:
            return None, Reason(ReasonCode.NO_DATA, "no request was measured yet and no workload is expected")
        return Workload(arrival_rate_per_s, measured_input, measured_output, cached_ratio), reason
    weight_ratio = min(requests / ENOUGH_REQUESTS, 1.0)
    workload = Workload(
        arrival_rate_per_s,
        _blend(measured_input, expected.input_lengths, weight_ratio),
        _blend(measured_output, expected.output_lengths, weight_ratio),
        weight_ratio * cached_ratio + (1.0 - weight_ratio) * expected.cached_ratio,
    )
    return workload, reason


def _has_lengths(window: DemandWindow) -> bool:
    sums = (window.input_lengths, window.output_lengths)
    return any(entry is not None and entry.requests > 0.0 for entry in sums)


def _choose(slow: LengthSums, fast: LengthSums) -> LengthSums:
    """Return `fast` when its mean differs from that of `slow` by more than chance allows, else `slow`."""
    if fast.requests < ENOUGH_REQUESTS or slow.requests <= fast.requests:
        return slow
    difference_tokens = abs(fast.tokens / fast.requests - slow.tokens / slow.requests)
    variance_tokens2 = _get_variance_tokens2(fast) / fast.requests + _get_variance_tokens2(slow) / slow.requests
    return fast if difference_tokens > CHANGE_SDS * math.sqrt(variance_tokens2) else slow


def _get_variance_tokens2(sums: LengthSums) -> float:
    return max(sums.squares_tokens2 / sums.requests - (sums.tokens / sums.requests) ** 2, 0.0)


def _get_cached_ratio(history: LengthHistory) -> float:
    memory = history.slow
    return min(max(memory.cached_tokens / memory.prompt_tokens, 0.0), 1.0) if memory.prompt_tokens > 0.0 else 0.0


def _blend(
    measured: LengthDistribution | None, expected: LengthDistribution, weight_ratio: float
) -> LengthDistribution:
    """Return both lengths, the measured ones with weight `weight_ratio`; the shape is that of the heavier."""
    if measured is None or weight_ratio <= 0.0:
        return expected
    if weight_ratio >= 1.0:
        return measured
    shape = measured if weight_ratio >= 0.5 and measured.edges_tokens else expected
    return LengthDistribution(
        weight_ratio * measured.mean_tokens + (1.0 - weight_ratio) * expected.mean_tokens,
        weight_ratio * measured.mean_square_tokens2 + (1.0 - weight_ratio) * expected.mean_square_tokens2,
        shape.edges_tokens,
        shape.cumulative_ratio,
    )


def _scale(sums: LengthSums, ratio: float) -> LengthSums:
    counts = tuple(count * ratio for count in sums.counts)
    return LengthSums(
        sums.requests * ratio, sums.tokens * ratio, sums.squares_tokens2 * ratio, sums.edges_tokens, counts
    )


def _add(sums: LengthSums, seen: LengthSums | None) -> LengthSums:
    """Return both sums together; where only one of them has a shape, that one stays."""
    if seen is None or seen.requests <= 0.0:
        return sums
    if bool(sums.edges_tokens) == bool(seen.edges_tokens):
        return merge_length_sums(sums, seen)
    shaped = sums if sums.edges_tokens else seen
    return LengthSums(
        sums.requests + seen.requests,
        sums.tokens + seen.tokens,
        sums.squares_tokens2 + seen.squares_tokens2,
        shaped.edges_tokens,
        shaped.counts,
    )
