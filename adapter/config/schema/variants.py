"""Section about variants: the ways to serve one model. Data and their rules only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from adapter.config.amounts import count, duration, number
from adapter.config.fields import given_fields, option, required, rule
from adapter.config.kinds import Choice, Text
from adapter.config.nesting import ListOf
from adapter.config.problems import Problem
from adapter.config.schema.collecting import BASE_URL
from adapter.config.schema.names import KUBERNETES_NAME, NAME
from adapter.config.schema.overrides import OverrideConfig
from adapter.config.schema.performance import PerformanceConfig
from adapter.config.section import Section
from optimizer.domain import Role


class EngineName(StrEnum):
    """Engines whose pages can be read."""

    VLLM = "vllm"
    SGLANG = "sglang"


class WorkloadKind(StrEnum):
    """Kinds of objects that have replicas."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    LEADER_WORKER_SET = "LeaderWorkerSet"


_API_VERSIONS = {
    WorkloadKind.DEPLOYMENT: "apps/v1",
    WorkloadKind.STATEFUL_SET: "apps/v1",
    WorkloadKind.LEADER_WORKER_SET: "leaderworkerset.x-k8s.io/v1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledObjectConfig:
    """An object whose replicas are published: any that has a `/scale` subresource."""

    api_version: str = required(
        Text("a version, with its group if it has one", r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?v[0-9][a-z0-9]*"),
        meaning="Version of its kind, such as argoproj.io/v1alpha1.",
    )
    kind: str = required(Text("a kind in CamelCase", r"[A-Z][A-Za-z0-9]*"), meaning="Its kind, such as Rollout.")
    name: str = required(KUBERNETES_NAME, meaning="Its name, in the namespace of the model.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelismConfig:
    """How one replica spreads over its accelerators."""

    tensor: int = option(count(at_least=1), default=1, meaning="Tensor parallel degree.")
    pipeline: int = option(count(at_least=1), default=1, meaning="Pipeline parallel degree.")
    expert: int = option(count(at_least=1), default=1, meaning="Expert parallel degree; spreads over the others.")
    data: int = option(count(at_least=1), default=1, meaning="Data parallel degree: ranks behind one endpoint.")

    @property
    def accelerators(self) -> int:
        """Devices these degrees occupy."""
        return self.tensor * self.pipeline * self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantConfig:
    """One way to serve a model: accelerator × engine × parallelism, run by one workload.

    With `discovery.kind: kubernetes`, what is left out here is read from labels, annotations and the pod template of
    the workload, before a default holds; what is given here wins over them.
    """

    given: frozenset[str] = given_fields()

    name: str = required(NAME, meaning="Name, unique within the model.")
    deployment: str | None = option(
        KUBERNETES_NAME,
        default=None,
        meaning="Name of the workload whose replicas are published, in the namespace of the model; none takes `name`.",
    )
    workload_kind: WorkloadKind = option(
        Choice(WorkloadKind), default=WorkloadKind.DEPLOYMENT, meaning="Kind of that workload."
    )
    workload: ScaledObjectConfig | None = option(
        Section(ScaledObjectConfig),
        default=None,
        meaning="That workload where it is of another kind; instead of `deployment` and `workload_kind`.",
    )
    accelerator: str = option(
        Text("name of an accelerator"),
        default="",
        meaning="Accelerator type, as in `accelerators`; needed unless `discovery.kind` is `kubernetes`, which may "
        "read it from the workload and its nodes.",
    )
    accelerators_per_replica: int | None = option(
        count(at_least=1),
        default=None,
        meaning="Devices one replica occupies, over all its nodes; none takes the product in `parallelism`.",
    )
    parallelism: ParallelismConfig = option(
        Section(ParallelismConfig), default=ParallelismConfig(), meaning="Spread over accelerators."
    )
    nodes_per_replica: int = option(count(at_least=1), default=1, meaning="Nodes one replica occupies.")
    interconnect: str = option(Text(), default="", meaning="Link between its devices, such as nvlink.")
    engine: EngineName = option(Choice(EngineName), default=EngineName.VLLM, meaning="Server software.")
    engine_version: str = option(Text(), default="", meaning="Its version; performance depends on it.")
    max_running_requests: int = option(
        count(at_least=1),
        default=256,
        meaning="Most requests the engine runs at once (`--max-num-seqs`, `--max-running-requests`).",
        why="Default of vLLM servers.",
    )
    max_batched_tokens: int = option(
        count(at_least=1),
        default=2048,
        meaning="Prompt tokens one iteration computes at most (`--max-num-batched-tokens`, `--chunked-prefill-size`).",
        why="Default of vLLM servers.",
    )
    roles: tuple[Role, ...] = option(
        ListOf(Choice(Role), at_least=1), default=(Role.BOTH,), meaning="What its replicas may serve as."
    )
    startup_s: float = option(
        duration(),
        default=120.0,
        meaning="Time from the decision to a ready replica.",
        why="An 8B model with its image and weights on the node takes 80 s, larger ones minutes: measure yours.",
    )
    min_replicas: int = option(
        count(),
        default=0,
        meaning="Least replicas of this variant.",
        why="Any variant may be left out of a mix; `min_replicas` of the model keeps one replica of the cheapest.",
    )
    max_replicas: int | None = option(
        count(), default=None, meaning="Most replicas of this variant; none leaves it to the limits."
    )
    cost_per_hour: float | None = option(
        number(at_least=0), default=None, meaning="Price of one replica per hour; none takes its accelerators' price."
    )
    metrics_path: str = option(
        Text("a path that begins with /", r"/\S*"),
        default="/metrics",
        meaning="Path of the metrics page on every pod.",
        why="Where vLLM and SGLang serve it.",
    )
    served_model_name: str | None = option(
        Text(),
        default=None,
        meaning="What the pages call the model; none takes its `name`, or the only name on a page.",
    )
    pods: tuple[str, ...] = option(
        ListOf(BASE_URL),
        default=(),
        meaning="Addresses of its pods, such as http://10.0.0.7:8000, for discovery of kind `static`.",
    )
    performance: PerformanceConfig | None = option(
        Section(PerformanceConfig), default=None, meaning="What is known beforehand of its speed."
    )
    override: OverrideConfig | None = option(
        Section(OverrideConfig), default=None, meaning="What a person decides about it instead of us."
    )

    @rule("min_replicas", "max_replicas")
    def check_bounds(self) -> Iterator[Problem]:
        """Yield a problem when no number lies within the bounds."""
        if self.max_replicas is not None and self.max_replicas < self.min_replicas:
            yield Problem("max_replicas", f"must be >= min_replicas {self.min_replicas}, got {self.max_replicas}")

    @rule("accelerators_per_replica", "parallelism", "nodes_per_replica")
    def check_devices(self) -> Iterator[Problem]:
        """Yield a problem when the shape of a replica needs more devices than it has."""
        devices, needed = self.get_accelerators_per_replica(), self.parallelism.accelerators
        if devices < needed:
            yield Problem(
                "accelerators_per_replica",
                f"must be >= tensor × pipeline × data of parallelism, {needed}, got {devices}",
            )
        if self.nodes_per_replica > devices:
            yield Problem(
                "nodes_per_replica", f"must be <= accelerators_per_replica {devices}, got {self.nodes_per_replica}"
            )

    @rule("name", "deployment", "workload_kind", "workload")
    def check_deployment(self) -> Iterator[Problem]:
        """Yield a problem when the name cannot stand for the workload's, or the workload is told twice."""
        if self.workload is not None:
            for key in ("deployment", "workload_kind"):
                if key in self.given:
                    yield Problem(key, "has no effect beside workload")
        elif self.deployment is None and not KUBERNETES_NAME.admits(self.name):
            yield Problem("deployment", f"is missing: the name {self.name} cannot be that of a workload")

    @rule("roles", "pods")
    def check_repetition(self) -> Iterator[Problem]:
        """Yield a problem for everything listed twice."""
        for key, entries in (("roles", self.roles), ("pods", self.pods)):
            for i, entry in enumerate(entries):
                if entry in entries[:i]:
                    yield Problem(f"{key}[{i}]", f"repeats {entry}")

    def get_deployment(self) -> str:
        """Return the name of the workload."""
        return self.workload.name if self.workload is not None else self.deployment or self.name

    def get_kind(self) -> str:
        """Return the kind of the workload."""
        return self.workload_kind.value if self.workload is None else self.workload.kind

    def get_api_version(self) -> str:
        """Return the version of that kind."""
        return _API_VERSIONS[self.workload_kind] if self.workload is None else self.workload.api_version

    def get_accelerators_per_replica(self) -> int:
        """Return the devices one replica occupies."""
        return self.accelerators_per_replica or self.parallelism.accelerators
