"""One pool per variant, as scalers of a single Deployment see a fleet: bounds, counts and pods. It scales nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.domain import ModelKey, PodPhase, PodReading, PodState, ServedModel, VariantKey, VariantState
from optimizer.simulation.decider import ScraperView

MOST_REPLICAS = 1000
"""Upper bound where none was configured: such scalers must have one."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One variant of one LLM at one moment.

    Attributes
    ----------
    model, key
        Which one.
    requested_replicas
        In ``scale.spec``.
    state
        Its pods.
    min_replicas, max_replicas
        Bounds; at least one replica, as is every such scaler's default, unless its configuration forbids any.
    """

    model: ModelKey
    key: VariantKey
    requested_replicas: int
    state: VariantState
    min_replicas: int
    max_replicas: int

    @property
    def ready_pods(self) -> tuple[PodState, ...]:
        """Pods that serve."""
        return tuple(pod for pod in self.state.pods if pod.phase is PodPhase.READY)

    @property
    def told_pods(self) -> tuple[PodState, ...]:
        """Pods that serve, and whose newest page could be had."""
        return tuple(pod for pod in self.ready_pods if pod.reason is None and pod.seen_s is not None)

    def bound(self, replicas: int) -> int:
        """Return `replicas` within the bounds."""
        return min(max(replicas, self.min_replicas), self.max_replicas)


def list_in_flight(pool: Pool) -> list[float]:
    """Return the running and waiting requests of every pod of `pool` that told."""
    return [
        pod.running_requests + pod.waiting_requests
        for pod in pool.told_pods
        if pod.running_requests is not None and pod.waiting_requests is not None
    ]


def list_told_readings(pool: Pool, view: ScraperView) -> tuple[PodReading, ...]:
    """Return the newest pages of the pods of `pool` that told."""
    told = {pod.pod for pod in pool.told_pods}
    return tuple(reading for reading in view.readings.get(pool.model, ()) if reading.pod in told)


def iterate_pools(models: tuple[ServedModel, ...], view: ScraperView) -> Iterator[Pool]:
    """Yield the variants of `models` that `view` tells of, those without replicas too."""
    for model in models:
        snapshot = next((entry for entry in view.snapshot.models if entry.key == model.key), None)
        states = {} if snapshot is None else {state.key: state for state in snapshot.variants}
        for variant in model.variants:
            key = variant.key(variant.main_role)
            state = states.get(key)
            if state is None or state.reason is not None:
                continue
            most = MOST_REPLICAS if variant.max_replicas is None else variant.max_replicas
            least = min(max(variant.min_replicas, 1), most)
            yield Pool(model.key, key, view.requested.get(key, state.observed_replicas), state, least, most)
