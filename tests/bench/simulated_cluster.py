"""What a simulated cluster takes: a day of 172 499 requests on 20 replicas, an hour with ours, 1000 idle replicas.

Everything is in it: routing, engines, scraped pages, starts and ends of replicas; CPU time of one core.
"""

from __future__ import annotations

import csv
import gzip
import time
from pathlib import Path

import numpy as np

from optimizer.simulation.cluster import ClusterOptions, Requests, Scenario, simulate
from optimizer.simulation.decider import Decider
from optimizer.simulation.deciders import make_slo
from tests.builders.simulated_clusters import make_changing_requests, make_scenario, make_static

DAY = Path(__file__).parents[2] / "adapter" / "simulation" / "data" / "day_24h.csv.gz"
DAY_S = 86_400.0


def read_day() -> Requests:
    with gzip.open(DAY, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    inputs, outputs = ([max(int(row[name]), 1) for row in rows] for name in ("input_tokens", "output_tokens"))
    return Requests.from_columns([float(row["arrival_seconds"]) for row in rows], inputs, outputs)


def measure() -> dict[str, float]:
    day = make_scenario(read_day(), DAY_S, initial=20)
    hour = make_scenario(make_changing_requests([(5.0, 1800.0), (15.0, 1800.0)]), 3600.0, initial=2)
    thin = make_scenario(Requests.from_columns(np.arange(0.0, 3600.0, 2.0), 500, 50), 3600.0, initial=1000)
    return {
        "172499 requests, 20 replicas that stay [CPU s]": _play(day, make_static(20)),
        "36000 requests in an hour, ours deciding [CPU s]": _play(hour, make_slo(hour.to_settings())),
        "1800 requests in an hour, 1000 replicas [CPU s]": _play(thin, make_static(1000)),
    }


def _play(scenario: Scenario, decider: Decider) -> float:
    begin_s = time.process_time()
    result = simulate(scenario, decider, ClusterOptions())
    taken_s = time.process_time() - begin_s
    assert result.failed == 0
    return taken_s
