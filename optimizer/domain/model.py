"""A served LLM: who asks for it under which promises, and the variants that may serve it. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from optimizer.domain.service_class import ServiceClass
from optimizer.domain.variant import Variant
from optimizer.domain.workload import Workload


class Routing(StrEnum):
    """How requests reach replicas."""

    AUTO = "auto"  # `uniform` until measured shares, or a known router, show `weighted`
    UNIFORM = "uniform"  # each replica gets the same rate: a plain Service
    WEIGHTED = "weighted"  # in proportion to capacity: least-load routers
    BUCKETED = "bucketed"  # follows published guidance


@dataclass(frozen=True, slots=True, order=True)
class ModelKey:
    """Identity of a served LLM."""

    namespace: str
    model_id: str


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One LLM in one namespace.

    Attributes
    ----------
    namespace, model_id
        Identity.
    service_classes
        Promises, at least one.
    variants
        Ways to serve it, at least one, names unique.
    routing
        How requests reach replicas.
    policy
        Name of the policy that proposes its replicas.
    policy_options
        Options of that policy, plain values.
    min_replicas, max_replicas
        Bounds over all its variants together; None means no bound.
    idle_to_zero_s
        Silence after which it may go to zero [s]; only used where every bound allows zero.
    has_gateway
        Whether a source outside the pods can wake it from zero.
    expected_workload
        Token lengths to plan with until some were measured, None when nobody said.
    """

    namespace: str
    model_id: str
    service_classes: tuple[ServiceClass, ...]
    variants: tuple[Variant, ...]
    routing: Routing = Routing.AUTO
    policy: str = "slo"
    policy_options: Mapping[str, object] = field(default_factory=dict)
    min_replicas: int = 0
    max_replicas: int | None = None
    idle_to_zero_s: float = 300.0
    has_gateway: bool = False
    expected_workload: Workload | None = None

    @property
    def key(self) -> ModelKey:
        """Identity."""
        return ModelKey(self.namespace, self.model_id)
