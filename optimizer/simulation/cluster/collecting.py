"""From pages to what a decider may know: windows, states and signals, made as the collector of the product makes them.

It asks engines nothing; what lost or late pages do not tell is not known.
"""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.domain import (
    DemandWindow,
    FleetSnapshot,
    ModelKey,
    ModelSnapshot,
    PodPhase,
    PodReading,
    PodSignals,
    ServedModel,
    VariantKey,
    VariantState,
)
from optimizer.simulation.cluster.cluster import Cluster
from optimizer.simulation.cluster.gateway import GatewayMemory
from optimizer.simulation.cluster.options import ClusterOptions
from optimizer.simulation.cluster.page import PageForm
from optimizer.simulation.cluster.pod_memory import PodMemory
from optimizer.simulation.cluster.replica import Life, Replica
from optimizer.simulation.cluster.scenario import Scenario
from optimizer.simulation.cluster.scraper import Scraper
from optimizer.simulation.cluster.steering import get_page_delay_s
from optimizer.simulation.decider import Decider, ScraperView
from optimizer.simulation.ticks import to_ns, to_s

_PHASES = {
    Life.PENDING: PodPhase.STARTING,
    Life.STARTING: PodPhase.STARTING,
    Life.READY: PodPhase.READY,
    Life.DRAINING: PodPhase.TERMINATING,
}


class Collecting:
    """The collector of one run."""

    def __init__(
        self, scenario: Scenario, cluster: Cluster, decider: Decider, options: ClusterOptions, seed: int
    ) -> None:
        self._scenario, self._cluster = scenario, cluster
        self._specs = {model.key: tuple(decider.signals.get(model.key, ())) for model in scenario.models}
        forms = {model.key: PageForm(model.model_id, self._specs[model.key]) for model in scenario.models}
        delay_s = get_page_delay_s(decider, options)
        self._scraper = Scraper(cluster, options.scrape, forms, seed, delay_s)
        self._memories: dict[Replica, PodMemory] = {}
        self._looked_s: float | None = None
        self._gateways = {model.key: GatewayMemory() for model in scenario.models if model.has_gateway}

    @property
    def pages(self) -> int:
        """Pages that were read."""
        return self._scraper.pages

    @property
    def lost_pages(self) -> int:
        """Pages that could not be had."""
        return self._scraper.lost_pages

    def open(self) -> None:
        """Plan the first round of pages."""
        self._scraper.open()

    def look(self, now_ns: int, requested: Mapping[VariantKey, int]) -> ScraperView:
        """Return what is known at `now_ns` [ns]."""
        now_s = to_s(now_ns)
        self._recall(now_s)
        models = tuple(self._to_model(model, now_ns) for model in self._scenario.models)
        self._looked_s = now_s
        readings = {model.key: self._list_readings(model) for model in self._scenario.models}
        return ScraperView(now_s, FleetSnapshot(now_s, models), requested, readings)

    def _recall(self, now_s: float) -> None:
        """Remember the pods that exist, and no others."""
        memories = {}
        for key, deployment in self._cluster.deployments.items():
            for replica in deployment.replicas.values():
                memory = self._memories.get(replica) or self._meet(replica, key)
                if _PHASES[replica.life] is PodPhase.STARTING:
                    memory.born_s = now_s
                memories[replica] = memory
        self._memories = memories

    def _meet(self, replica: Replica, key: VariantKey) -> PodMemory:
        is_new = self._looked_s is not None and replica.created_ns >= to_ns(self._looked_s)
        specs = self._specs[ModelKey(key.namespace, key.model_id)]
        return PodMemory(replica.pod, specs, born_s=self._looked_s if is_new else None)

    def _to_model(self, model: ServedModel, now_ns: int) -> ModelSnapshot:
        keys = [variant.key(variant.main_role) for variant in model.variants]
        windows: list[DemandWindow] = []
        signals: list[PodSignals] = []
        states = []
        for key in keys:
            deployment = self._cluster.deployments[key]
            pods = []
            for replica in deployment.replicas.values():
                memory, phase = self._memories[replica], _PHASES[replica.life]
                self._take_pages(replica, memory, now_ns)
                ready_s = None if replica.ready_ns is None else to_s(replica.ready_ns)
                pods.append(memory.to_state(phase, to_s(replica.created_ns), ready_s))
                if memory.window is not None and (memory.window.reason is None or phase is PodPhase.READY):
                    windows.append(memory.window)
                if memory.specs and phase is PodPhase.READY:
                    signals.append(memory.to_signals(key, to_s(now_ns)))
            states.append(VariantState(key, deployment.requested, tuple(pods)))
        return ModelSnapshot(
            model.key, tuple(states), tuple(windows), self._look_at_gateway(model, now_ns), tuple(signals)
        )

    def _take_pages(self, replica: Replica, memory: PodMemory, now_ns: int) -> None:
        """Let `memory` take what is new: the newest page that was had, or that none was."""
        shelf = self._scraper.get_shelf(replica, now_ns)
        if shelf is None or shelf.newest is None:
            return
        good, newest = shelf.newest_good, shelf.newest
        seen_s = None if memory.reading is None else memory.reading.time_s
        if good is not None and good.body is not None and (seen_s is None or to_s(good.time_ns) > seen_s):
            memory.take(good.body.to_reading(replica.pod, good.time_ns, is_first=seen_s is None))
        elif newest.body is None:
            memory.miss(to_s(newest.time_ns))

    def _list_readings(self, model: ServedModel) -> tuple[PodReading, ...]:
        readings = (
            self._memories[replica].reading
            for variant in model.variants
            for replica in self._cluster.deployments[variant.key(variant.main_role)].replicas.values()
        )
        return tuple(reading for reading in readings if reading is not None)

    def _look_at_gateway(self, model: ServedModel, now_ns: int) -> DemandWindow | None:
        shelf = self._scraper.get_gateway_shelf(model.key, now_ns)
        if shelf is None or shelf.newest is None:
            return None
        memory, good, newest = self._gateways[model.key], shelf.newest_good, shelf.newest
        if good is not None and good.body is not None and memory.is_new(good.time_ns):
            memory.take(good.body, good.time_ns)
        elif newest.body is None:
            memory.miss(newest.time_ns)
        return memory.window
