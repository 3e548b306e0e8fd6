"""Variants: one way to serve an LLM (accelerator, engine, parallelism, role), and the object running it. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from optimizer.domain.override import Override
from optimizer.domain.performance import PerformanceProfile


class Role(StrEnum):
    """What a replica does with a request."""

    BOTH = "both"
    PREFILL = "prefill"
    DECODE = "decode"


@dataclass(frozen=True, slots=True, order=True)
class VariantKey:
    """Identity of a decision: one role of one variant of one LLM in one namespace."""

    namespace: str
    model_id: str
    variant: str
    role: Role = Role.BOTH


@dataclass(frozen=True, slots=True, order=True)
class WorkloadRef:
    """The object whose replica count is asked for, such as a Deployment."""

    namespace: str
    name: str
    kind: str = "Deployment"
    api_version: str = "apps/v1"


@dataclass(frozen=True, slots=True)
class Parallelism:
    """How one replica spreads over accelerators: tensor, pipeline, expert and data parallel degrees."""

    tensor: int = 1
    pipeline: int = 1
    expert: int = 1
    data: int = 1


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to serve an LLM.

    Attributes
    ----------
    namespace, model_id, name
        Identity; `name` is unique within the LLM.
    workload
        The object that runs it.
    accelerator
        Name of the accelerator type.
    accelerators_per_replica
        Devices one replica occupies, over all its nodes.
    engine, engine_version
        Server software (``vllm`` or ``sglang``) and its version, "" when unknown.
    parallelism, nodes_per_replica, interconnect
        Shape of one replica; `interconnect` names the link between its devices, "" when unknown.
    max_running_requests
        Most requests the engine runs at once.
    max_batched_tokens
        Prompt tokens one iteration computes at most (the chunk of chunked prefill).
    roles
        What its replicas may serve as.
    startup_s
        Decision to ready replica [s].
    min_replicas, max_replicas
        Bounds of the plan; `max_replicas` None means no bound but the limits.
    cost_per_hour
        Price of one replica [currency/h]; None means accelerators times their price.
    performance
        What is known beforehand of its speed, None when nothing is.
    override
        What a person decided about it instead of us, None for nothing.
    """

    namespace: str
    model_id: str
    name: str
    workload: WorkloadRef
    accelerator: str
    accelerators_per_replica: int = 1
    engine: str = "vllm"
    engine_version: str = ""
    parallelism: Parallelism = field(default_factory=Parallelism)
    nodes_per_replica: int = 1
    interconnect: str = ""
    max_running_requests: int = 256
    max_batched_tokens: int = 2048
    roles: tuple[Role, ...] = (Role.BOTH,)
    startup_s: float = 120.0
    min_replicas: int = 0
    max_replicas: int | None = None
    cost_per_hour: float | None = None
    performance: PerformanceProfile | None = None
    override: Override | None = None

    @property
    def main_role(self) -> Role:
        """The role that it is collected and decided for: both where it may do both, else the first."""
        return Role.BOTH if Role.BOTH in self.roles else self.roles[0]

    def key(self, role: Role = Role.BOTH) -> VariantKey:
        """Return the identity of the decision about `role` of this variant."""
        return VariantKey(self.namespace, self.model_id, self.name, role)
