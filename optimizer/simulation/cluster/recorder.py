"""Writes down how requests end: each exactly once. It computes no figure that can be computed afterwards."""

from __future__ import annotations

import math
from array import array

from optimizer.domain import LatencyQuantity, Slo
from optimizer.simulation.cluster.result import ClassFigures, Ending, RequestColumns
from optimizer.simulation.cluster.scenario import Scenario

_ORDER = (LatencyQuantity.TTFT, LatencyQuantity.ITL, LatencyQuantity.TTLT)


class _ClassTally:
    __slots__ = ("finished", "met", "met_all", "name", "requests", "targets_s")

    def __init__(self, name: str, targets_s: tuple[float | None, ...]) -> None:
        self.name, self.targets_s = name, targets_s
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
        self._keeps = keeps_requests
        self._scenario = scenario
        self._tallies = [
            [
                _ClassTally(one.name, tuple(_get_target_s(one.get_slo(q)) for q in _ORDER))
                for one in model.service_classes
            ]
            for model in scenario.models
        ]
        self._model, self._class = requests.model.tolist(), requests.service_class.tolist()

    def finish(self, index: int, ttft_s: float, itl_s: float, ttlt_s: float) -> None:
        """Note that request `index` finished, with these latencies [s]."""
        self._end(index, Ending.FINISHED)
        tally = self._tallies[self._model[index]][self._class[index]]
        tally.finished += 1
        is_met = True
        for place, latency_s in enumerate((ttft_s, itl_s, ttlt_s)):
            if self._keeps:
                self._latencies[place][index] = latency_s
            target_s = tally.targets_s[place]
            if target_s is not None:
                kept = latency_s <= target_s
                tally.met[place] += kept
                is_met = is_met and kept
        tally.met_all += is_met

    def fail(self, index: int, ending: Ending) -> None:
        """Note that request `index` ended in another way."""
        self._end(index, ending)

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
                promised = (entry for entry in zip(_ORDER, tally.met, tally.targets_s, strict=True))
                met = {quantity: count for quantity, count, target_s in promised if target_s is not None}
                figures.append(ClassFigures(model.key, tally.name, tally.requests, tally.finished, met, tally.met_all))
        return tuple(figures)

    def _end(self, index: int, ending: Ending) -> None:
        assert self.ending[index] == Ending.OPEN
        self.ending[index] = ending
        self._tallies[self._model[index]][self._class[index]].requests += 1


def _get_target_s(slo: Slo | None) -> float | None:
    return None if slo is None else slo.target_s
