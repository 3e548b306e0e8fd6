"""A whole day of requests: all end, the bill is exact, and the pages saw what the requests saw."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.domain import Histogram
from optimizer.simulation.cluster import Ending, simulate
from tests.bench.simulated_cluster import DAY_S, read_day
from tests.builders.simulated_clusters import KEY, PRICE_PER_HOUR, make_scenario, make_static


@pytest.mark.slow
def test_a_day_on_twenty_replicas() -> None:
    requests = read_day()
    decider = make_static(20)
    decider.period_s, decider.keeps_views = 86_385.0, True
    result = simulate(make_scenario(requests, DAY_S, initial=20), decider)
    assert result.endings[Ending.FINISHED] == len(requests) == 172_499
    assert result.cost == 20 * 24 * PRICE_PER_HOUR
    assert result.pages == 20 * 5760
    assert result.variants[KEY].created == 20
    readings = [reading for readings in decider.views[-1].readings.values() for reading in readings]
    counted, total_s = (
        sum(getattr(reading.histograms[Histogram.TTLT], name) for reading in readings) for name in ("count", "total")
    )
    latencies_s = np.array(result.columns.ttlt_s)
    ended = requests.arrival_ns / 1e9 + latencies_s <= readings[0].time_s
    assert counted == pytest.approx(int(ended.sum()), abs=5)  # each page has its own moment
    assert total_s == pytest.approx(float(latencies_s[ended].sum()), rel=1e-3)
