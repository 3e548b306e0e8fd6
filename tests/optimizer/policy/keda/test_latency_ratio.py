"""Expected values are worked out by hand from the published rule."""

from __future__ import annotations

import math

import pytest

from optimizer.policy.keda import LatencySettings, compute_latency_ratio, step_latency_ratio

SETTINGS = LatencySettings()


@pytest.mark.parametrize(
    "latencies, expected",
    [
        ((1.5, 3.0, 0.04, 0.1), 0.5),
        ((1.5, 3.0, 0.09, 0.1), 0.9),
        ((None, 3.0, 0.05, 0.1), 0.5),
        ((None, 3.0, None, 0.1), 0.0),
        ((9.0, None, 0.05, None), 0.0),
        ((math.inf, 3.0, 0.05, 0.1), math.inf),
    ],
)
def test_the_larger_ratio_counts_and_silence_is_no_latency(
    latencies: tuple[float | None, float | None, float | None, float | None], expected: float
) -> None:
    assert compute_latency_ratio(*latencies) == pytest.approx(expected)


@pytest.mark.parametrize(
    "ratios, replicas, wanted, after",
    [
        ((0.5, 0.5), (4, 4), 4, 0.5),  # between 0.40 and 0.55
        ((0.55, 0.55), (4, 4), 4, 0.55),  # at the edge
        ((0.5, 1.0), (4, 4), 6, 0.8),  # ceil(4 * 0.8 / 0.55 = 5.82)
        ((0.0, 9.0), (4, 4), 9, 1.2),  # cut at 2: ceil(4 * 1.2 / 0.55 = 8.73)
        ((0.0, math.inf), (1, 1), 3, 1.2),
        ((0.9, 0.8), (4, 8), 8, 0.84),  # half are not ready: 0.42 is enough
        ((0.9, 0.8), (0, 8), 13, 0.84),  # none is ready: that says nothing; ceil(8 * 0.84 / 0.55 = 12.2)
        ((0.4, 0.3), (8, 8), 7, 0.34),  # ceil(8 * 0.34 / 0.40 = 6.8)
        ((0.0, 0.0), (8, 8), 0, 0.0),  # nothing seen: to the lower bound
        ((0.2, 0.2), (4, 8), 4, 0.2),  # shrinks by the mean itself: ceil(8 * 0.2 / 0.40)
    ],
)
def test_replicas_follow_the_published_rule(
    ratios: tuple[float, float], replicas: tuple[int, int], wanted: int, after: float
) -> None:
    ready, requested = replicas
    count, mean_ratio = step_latency_ratio(*ratios, ready=ready, requested=requested, settings=SETTINGS)
    assert count == wanted
    assert mean_ratio == pytest.approx(after)


def test_a_longer_latency_never_gives_fewer_replicas() -> None:
    counts = [step_latency_ratio(0.45, step / 50, ready=6, requested=6, settings=SETTINGS)[0] for step in range(0, 150)]
    assert counts == sorted(counts)
