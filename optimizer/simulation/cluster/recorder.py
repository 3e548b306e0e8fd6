"""Writes down how requests end: each exactly once. It computes no figure that can be computed afterwards."""

from __future__ import annotations

import math
from array import array

from optimizer.domain import LatencyQuantity, ServiceClass
from optimizer.simulation.cluster.result import ClassFigures, Ending, LatencyCounts, RequestColumns
from optimizer.simulation.cluster.scenario import Scenario

_ORDER = (LatencyQuantity.TTFT, LatencyQuantity.ITL, LatencyQuantity.TTLT)


class _ClassTally:
    __slots__ = ("finished", "met", "met_all", "name", "requests", "targets_s")

    def __init__(self, one: ServiceClass) -> None:
        self.name = one.name
        slos = [(place, one.get_slo(quantity)) for place, quantity in enumerate(_ORDER)]
        self.targets_s = tuple((place, slo.target_s) for place, slo in slos if slo is not None)
        self.requests = self.finished = self.met_all = 0
        self.met = [0, 0, 0]


class Recorder:
    """The endings of one run.

    Parameters
    ----------
    scenario
        Whose requests.
    keeps_requests
        Whether the latencies of each are kept.
    """

    def __init__(self, scenario: Scenario, *, keeps_requests: bool) -> None:
        requests = scenario.requests
        count = len(requests)
        self.ending = bytearray(count)
        kept = count if keeps_requests else 0
        self._latencies = tuple(array("d", [math.inf]) * kept for _ in _ORDER)
        self._histograms = () if keeps_requests else tuple(LatencyCounts() for _ in _ORDER)
        self._scenario = scenario
        self._tallies = [[_ClassTally(one) for one in model.service_classes] for model in scenario.models]
        self._model, self._class = requests.model.tolist(), requests.service_class.tolist()

    def finish(self, index: int, ttft_s: float, itl_s: float, ttlt_s: float) -> None:
        """Note that request `index` finished, with these latencies [s]."""
        self._end(index, Ending.FINISHED)
        tally = self._tallies[self._model[index]][self._class[index]]
        tally.finished += 1
        is_met = True
        latencies_s = (ttft_s, itl_s, ttlt_s)
        self._keep(index, latencies_s)
        for place, target_s in tally.targets_s:
            if latencies_s[place] <= target_s:
                tally.met[place] += 1
            else:
                is_met = False
        tally.met_all += is_met

    def fail(self, index: int, ending: Ending) -> None:
        """Note that request `index` ended in another way."""
        self._end(index, ending)
        for histogram in self._histograms:
            histogram.observe(math.inf)

    def to_columns(self) -> RequestColumns:
        """Return what was kept of every request."""
        return RequestColumns(self.ending, *self._latencies)

    def to_endings(self) -> dict[Ending, int]:
        """Return how many requests ended in which way."""
        return {ending: self.ending.count(int(ending)) for ending in Ending}

    def to_classes(self) -> tuple[ClassFigures, ...]:
        """Return the figures of every class."""
        figures = []
        for model, tallies in zip(self._scenario.models, self._tallies, strict=True):
            for tally in tallies:
                met = {_ORDER[place]: tally.met[place] for place, _ in tally.targets_s}
                figures.append(ClassFigures(model.key, tally.name, tally.requests, tally.finished, met, tally.met_all))
        return tuple(figures)

    def to_histograms(self) -> dict[LatencyQuantity, LatencyCounts]:
        """Return the latencies that were not kept one by one."""
        return dict(zip(_ORDER, self._histograms, strict=False))

    def _keep(self, index: int, latencies_s: tuple[float, float, float]) -> None:
        if self._histograms:
            for histogram, latency_s in zip(self._histograms, latencies_s, strict=True):
                histogram.observe(latency_s)
            return
        ttfts_s, itls_s, ttlts_s = self._latencies
        ttfts_s[index], itls_s[index], ttlts_s[index] = latencies_s

    def _end(self, index: int, ending: Ending) -> None:
        assert not self.ending[index], "it ended before"
        self.ending[index] = ending
        self._tallies[self._model[index]][self._class[index]].requests += 1
