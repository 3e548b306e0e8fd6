"""From engines to what a decider may know: pages scraped in rounds, lost and late, made into a snapshot."""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.domain import FleetSnapshot, ModelSnapshot, PodPhase, PodState, VariantKey, VariantState
from optimizer.simulation.cluster.cluster import Cluster
from optimizer.simulation.cluster.options import ClusterOptions
from optimizer.simulation.cluster.replica import Life, Replica
from optimizer.simulation.cluster.scenario import Scenario
from optimizer.simulation.decider import Decider, ScraperView
from optimizer.simulation.ticks import to_s

_PHASES = {
    Life.PENDING: PodPhase.STARTING,
    Life.STARTING: PodPhase.STARTING,
    Life.READY: PodPhase.READY,
    Life.DRAINING: PodPhase.TERMINATING,
}


class Collecting:
    """The collector of one run.

    Attributes
    ----------
    pages, lost_pages
        Pages that were read, and that could not be had.
    """

    def __init__(
        self, scenario: Scenario, cluster: Cluster, decider: Decider, options: ClusterOptions, seed: int
    ) -> None:
        self.pages = self.lost_pages = 0
        self._scenario, self._cluster, self._options = scenario, cluster, options

    def open(self) -> None:
        """Plan the first round of pages."""

    def look(self, now_ns: int, requested: Mapping[VariantKey, int]) -> ScraperView:
        """Return what is known at `now_ns` [ns]."""
        models = tuple(
            ModelSnapshot(
                model.key,
                tuple(self._to_state(variant.key(variant.main_role)) for variant in model.variants),
            )
            for model in self._scenario.models
        )
        return ScraperView(to_s(now_ns), FleetSnapshot(to_s(now_ns), models), requested)

    def _to_state(self, key: VariantKey) -> VariantState:
        deployment = self._cluster.deployments[key]
        pods = tuple(_to_pod(replica) for replica in deployment.replicas.values())
        return VariantState(key, deployment.requested, pods)


def _to_pod(replica: Replica) -> PodState:
    ready_s = None if replica.ready_ns is None else to_s(replica.ready_ns)
    return PodState(replica.pod, _PHASES[replica.life], to_s(replica.created_ns), ready_s)
