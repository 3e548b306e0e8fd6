"""A run of a large fleet under thin traffic takes no more memory the longer it lasts."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Mapping

import numpy as np
import pytest

from optimizer.domain import VariantKey
from optimizer.simulation.cluster import ClusterOptions, Requests, ScrapeOptions, simulate
from optimizer.simulation.decider import ScraperView
from tests.builders.simulated_clusters import KEY, Scripted, make_scenario, make_static

DAY_S = 86_400.0


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


class Counting(Scripted):
    """A scaler that swaps twenty of a thousand replicas every hour, and counts what is held every quarter of a day."""

    def __init__(self) -> None:
        super().__init__([], period_s=1800.0)
        self.held_blocks: list[int] = []
        self.held_objects: list[int] = []

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        half_hours = round(view.now_s / self.period_s)
        if half_hours % 12 == 0 and half_hours:
            gc.collect()
            self.held_blocks.append(sys.getallocatedblocks())
            self.held_objects.append(len(gc.get_objects()))
        return {KEY: 1000 if half_hours % 2 == 0 else 980}


@pytest.mark.slow
def test_a_day_of_a_thousand_replicas_holds_no_more_in_the_evening_than_in_the_morning() -> None:
    """Counted in blocks of the allocator, which every number, tuple, page and event is at least one of."""
    requests = Requests.from_columns(np.arange(5.0, DAY_S + 3600.0, 30.0), 500, 50)  # thin: one a replica in 8 hours
    scenario = make_scenario(requests, DAY_S + 3600.0, initial=1000)
    decider = Counting()
    options = ClusterOptions(scrape=ScrapeOptions(interval_s=300.0), keeps_requests=False)
    result = simulate(scenario, decider, options)
    assert result.failed == 0
    assert result.variants[KEY].created == 1000 + 20 * 24
    assert result.pages > 280_000
    morning, *others = decider.held_blocks
    assert len(others) == 3
    assert max(others) <= 1.03 * morning
    assert max(others[1:]) <= 1.01 * others[0]
    assert max(decider.held_objects) <= 1.01 * decider.held_objects[0]
