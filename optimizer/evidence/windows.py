"""What a collector would have seen of a recorded demand: windows of arrivals and token lengths. It serves nothing."""

from __future__ import annotations

from optimizer.domain import DemandSource, DemandWindow, LengthDistribution, LengthSums, PodKey
from optimizer.evidence.record import DemandStep


def draw_window(
    steps: tuple[DemandStep, ...], start_s: float, end_s: float, pod: PodKey | None, share_ratio: float
) -> DemandWindow:
    """Return the window in which `pod` got `share_ratio` of what was asked between `start_s` and `end_s` [s]."""
    arrivals, inputs, outputs = 0.0, LengthSums(0.0, 0.0, 0.0), LengthSums(0.0, 0.0, 0.0)
    for step in steps:
        overlap_s = min(step.end_s, end_s) - max(step.start_s, start_s)
        if overlap_s > 0.0:
            requests = step.arrival_rate_per_s * overlap_s * share_ratio
            arrivals += requests
            inputs = _add(inputs, step.workload.input_lengths, requests)
            outputs = _add(outputs, step.workload.output_lengths, requests)
    return DemandWindow(
        start_s,
        end_s,
        DemandSource.GATEWAY if pod is None else DemandSource.HTTP_REQUESTS,
        pod,
        arrivals=arrivals,
        completions=arrivals,
        waiting_requests=0.0,
        input_lengths=inputs if pod is not None else None,
        output_lengths=outputs if pod is not None else None,
    )


def _add(sums: LengthSums, lengths: LengthDistribution, requests: float) -> LengthSums:
    """Return `sums` with `requests` of `lengths` added; the shape is that of the newest."""
    edges_tokens: tuple[float, ...] = lengths.edges_tokens
    counts: tuple[float, ...] = ()
    if edges_tokens:
        below = (0.0, *lengths.cumulative_ratio)
        above = (*lengths.cumulative_ratio, 1.0)
        counts = tuple(requests * (after - before) for before, after in zip(below, above, strict=True))
    if sums.edges_tokens == edges_tokens and sums.counts:
        counts = tuple(mine + theirs for mine, theirs in zip(sums.counts, counts, strict=True))
    return LengthSums(
        sums.requests + requests,
        sums.tokens + requests * lengths.mean_tokens,
        sums.squares_tokens2 + requests * lengths.mean_square_tokens2,
        edges_tokens,
        counts,
    )
