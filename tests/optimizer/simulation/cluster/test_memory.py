"""A run of a large fleet under thin traffic takes no more memory the longer it lasts."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

from optimizer.simulation.cluster import ClusterOptions, Requests, simulate
from tests.builders.simulated_clusters import make_scenario, make_static


def measure_peak_bytes(horizon_s: float, replicas: int) -> int:
    """Return the most memory that a run took at once."""
    requests = Requests.from_columns(np.linspace(0.0, horizon_s - 1.0, 500), 500, 20)  # equally many, however long
    scenario = make_scenario(requests, horizon_s, initial=replicas)
    decider = make_static(replicas)
    gc.collect()
    tracemalloc.start()
    result = simulate(scenario, decider, ClusterOptions(keeps_requests=False))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.failed == 0
    assert result.pages == replicas * horizon_s / 15.0
    return peak


def test_memory_does_not_grow_with_time() -> None:
    measure_peak_bytes(60.0, 10)  # what is made once, such as tables, is there already
    assert measure_peak_bytes(2400.0, 50) <= 1.1 * measure_peak_bytes(600.0, 50)


@pytest.mark.slow
def test_a_thousand_replicas_stay_small() -> None:
    assert measure_peak_bytes(1800.0, 1000) < 60e6
