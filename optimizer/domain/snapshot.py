"""A FleetSnapshot: demand windows and pod states of every LLM at one moment, the only input of `decide`. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from optimizer.domain.demand import DemandWindow
from optimizer.domain.model import ModelKey
from optimizer.domain.reading import PodKey
from optimizer.domain.reason import Reason
from optimizer.domain.signal import PodSignals
from optimizer.domain.variant import VariantKey


class PodPhase(StrEnum):
    """Life of a replica as far as capacity is concerned."""

    STARTING = "starting"
    READY = "ready"
    TERMINATING = "terminating"


@dataclass(frozen=True, slots=True)
class PodState:
    """One replica as last seen.

    Attributes
    ----------
    pod
        Identity.
    phase
        As the inventory says, with a sleeping engine counted as starting.
    created_s, ready_s
        When it was asked for and when it became ready [s], None when unknown.
    seen_s
        Time of the last good page [s], None when there was none yet.
    running_requests, waiting_requests, kv_cache_ratio, kv_capacity_tokens
        From that page; None when absent.
    reason
        Why the last scrape gave no usable page, None when it did.
    """

    pod: PodKey
    phase: PodPhase
    created_s: float | None = None
    ready_s: float | None = None
    seen_s: float | None = None
    running_requests: float | None = None
    waiting_requests: float | None = None
    kv_cache_ratio: float | None = None
    kv_capacity_tokens: float | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class VariantState:
    """One variant as last seen.

    Attributes
    ----------
    key
        Identity.
    requested_replicas
        In ``scale.spec``, None when nobody can tell.
    pods
        Its replicas that exist, in any phase.
    reason
        Why the inventory is not known, None when it is.
    """

    key: VariantKey
    requested_replicas: int | None
    pods: tuple[PodState, ...]
    reason: Reason | None = None

    def count_pods(self, phase: PodPhase) -> int:
        """Return the number of replicas in `phase`."""
        return sum(pod.phase is phase for pod in self.pods)

    @property
    def observed_replicas(self) -> int:
        """Replicas that exist and are not going away."""
        return len(self.pods) - self.count_pods(PodPhase.TERMINATING)

    @property
    def ready_replicas(self) -> int:
        """Replicas that serve."""
        return self.count_pods(PodPhase.READY)


@dataclass(frozen=True, slots=True)
class ModelSnapshot:
    """One LLM at one moment.

    Attributes
    ----------
    key
        Identity.
    variants
        State of each variant.
    windows
        The newest window of each pod that should have one (absent ones with their reason).
    gateway
        The newest window of the gateway source, None when there is no such source.
    signals
        What its policy asked for of the pods that serve, one entry a pod.
    """

    key: ModelKey
    variants: tuple[VariantState, ...]
    windows: tuple[DemandWindow, ...] = ()
    gateway: DemandWindow | None = None
    signals: tuple[PodSignals, ...] = ()


@dataclass(frozen=True, slots=True)
class FleetSnapshot:
    """Every LLM at `time_s` [s]."""

    time_s: float
    models: tuple[ModelSnapshot, ...]
