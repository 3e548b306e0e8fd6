"""What a simulated cluster takes: a day of 172 499 requests on 20 replicas, an hour with ours, 1000 replicas for a day.

Everything is in it: routing, engines, scraped pages, starts and ends of replicas; CPU time of one core. The last one
has a process of its own, whose memory is read every quarter of the day.
"""

from __future__ import annotations

import csv
import gzip
import resource
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from optimizer.domain import VariantKey
from optimizer.simulation.cluster import ClusterOptions, Requests, Scenario, ScrapeOptions, simulate
from optimizer.simulation.decider import Decider, ScraperView
from optimizer.simulation.deciders import make_slo
from tests.builders.simulated_clusters import KEY, Scripted, make_changing_requests, make_scenario, make_static

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
        **_measure_thin_day(),
    }


class Weighed(Scripted):
    """A scaler that notes every quarter of a day how much memory the process has needed so far [MB]."""

    def __init__(self) -> None:
        super().__init__([(0.0, {KEY: 1000})], period_s=DAY_S / 4.0)
        self.memory_mb: list[float] = []

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        self.memory_mb.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0)
        return super().step(view)


def play_thin_day() -> tuple[float, list[float]]:
    """Return CPU time [s], and the most memory up to the begin of every quarter of the day and to its end [MB]."""
    requests = Requests.from_columns(np.arange(5.0, DAY_S, 10.0), 500, 50)
    options = ClusterOptions(scrape=ScrapeOptions(interval_s=60.0), keeps_requests=False)
    decider = Weighed()
    taken_s = _play(make_scenario(requests, DAY_S, initial=1000), decider, options)
    return taken_s, [*decider.memory_mb, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0]


def _measure_thin_day() -> dict[str, float]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        taken_s, memory_mb = executor.submit(play_thin_day).result()
    what = "8640 requests in a day, 1000 replicas"
    return {f"{what} [CPU s]": taken_s, f"{what}, at 6 h [MB]": memory_mb[1], f"{what}, at 24 h [MB]": memory_mb[-1]}


def _play(scenario: Scenario, decider: Decider, options: ClusterOptions | None = None) -> float:
    begin_s = time.process_time()
    result = simulate(scenario, decider, options)
    taken_s = time.process_time() - begin_s
    assert result.failed == 0
    return taken_s
