"""What a cluster tells besides pods: variants by label, followers of our number, limits, trouble. Data only; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from adapter.inventory import Inventory
from optimizer.domain import Override, Reason, Role, WorkloadRef


class Dialect(StrEnum):
    """Whose labels and annotations tell of a variant."""

    OURS = "variant-autoscaler.io"
    AIBRIX = "model.aibrix.ai"
    LLM_D = "llm-d.ai"


@dataclass(frozen=True, slots=True)
class VariantFacts:
    """What labels, annotations and the pod template of one workload tell of the variant it runs.

    What is None or empty was not told; the configuration may tell it, else a default holds.

    Attributes
    ----------
    workload, uid
        The object, and the identity it keeps through its life.
    created_s
        When it was made [Unix s]: of two claims the older one counts.
    dialect
        Whose labels name the model; None where no label does and only the configuration claims the workload.
    model_id, variant
        Names; the variant's is the workload's own where nothing names it.
    accelerator
        Type, from annotation, node selector, affinity, or the labels of the nodes its pods run on.
    accelerators_per_replica
        Devices one replica requests, over all its pods.
    pods_per_replica
        1, or the size of a LeaderWorkerSet's group.
    cost_per_hour
        Price of one replica.
    service_classes
        Names of promises.
    roles
        What its replicas may serve as.
    engine, metrics_port, metrics_path
        What serves, and where its page is.
    min_replicas, max_replicas
        Bounds that annotations give.
    startup_s
        Decision to ready replica [s].
    override
        By annotation.
    termination_grace_s
        Of the pod template [s].
    has_pre_stop
        Whether a container of it has a preStop hook.
    replicas_owner
        The field manager that owns ``spec.replicas`` besides scalers, "" for none (GitOps fights autoscaling).
    """

    workload: WorkloadRef
    uid: str = ""
    created_s: float = 0.0
    dialect: Dialect | None = None
    model_id: str | None = None
    variant: str | None = None
    accelerator: str | None = None
    accelerators_per_replica: int | None = None
    pods_per_replica: int = 1
    cost_per_hour: float | None = None
    service_classes: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    engine: str | None = None
    metrics_port: int | None = None
    metrics_path: str | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    startup_s: float | None = None
    override: Override | None = None
    termination_grace_s: float = 30.0
    has_pre_stop: bool = False
    replicas_owner: str = ""


class FollowerKind(StrEnum):
    """Objects that follow our number."""

    HPA = "HorizontalPodAutoscaler"
    KEDA = "ScaledObject"
    POD_AUTOSCALER = "PodAutoscaler"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What keeps a number from being followed exactly.

    Attributes
    ----------
    code
        For machines, CamelCase, such as ``ToleranceAboveZero``.
    message
        What happens because of it.
    remedy
        The YAML lines that change it, "" where none do.
    """

    code: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Follower:
    """An object that sets the replicas of one workload, by our number unless `reads_our_number` is False.

    Attributes
    ----------
    kind, name
        The object; its namespace is the workload's.
    workload
        Whose replicas it sets.
    min_replicas, max_replicas
        What it allows; `max_replicas` None means no bound.
    obstacles
        What keeps it from following exactly, worst first.
    has_scaled_to_zero
        Whether it put the workload to zero itself and will wake it (HPA condition ``ScaledToZero``); None: unknown.
    is_active
        Whether it says that it can read our number; None before it said anything.
    message
        What it says of that, "" for nothing.
    reads_our_number
        False for one that scales by something else: it is no follower, but stands in the way of one.
    tolerance_up_ratio, tolerance_down_ratio
        Dead band around the replicas that exist, in which it ignores our number [0-1].
    """

    kind: FollowerKind
    name: str
    workload: WorkloadRef
    min_replicas: int
    max_replicas: int | None
    obstacles: tuple[Obstacle, ...] = ()
    has_scaled_to_zero: bool | None = None
    is_active: bool | None = None
    message: str = ""
    reads_our_number: bool = True
    tolerance_up_ratio: float = 0.0
    tolerance_down_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Standstill:
    """Why nobody would add a replica to a workload, whatever our number says.

    Attributes
    ----------
    replicas
        What it asks for, and will go on asking for.
    message
        Why, in one sentence.
    ends_with_scale
        Whether it is none where we patch ``/scale`` ourselves.
    """

    replicas: int
    message: str
    ends_with_scale: bool = False


class AmountKind(StrEnum):
    """What an amount that the cluster tells is of."""

    QUOTA = "quota"  # granted to a namespace, over all types
    NODES = "nodes"  # free on schedulable nodes, of one type
    SCHEDULER = "scheduler"  # replicas of one workload that could be placed


@dataclass(frozen=True, slots=True)
class ClusterAmount:
    """An amount that bounds plans.

    Attributes
    ----------
    kind
        Devices of a quota or of nodes, or replicas of one workload.
    name
        Of the quota, the accelerator, or the workload.
    amount
        Devices or replicas that our variants together may use.
    namespace
        Scope, None for the cluster.
    accelerator
        Type that counts, None for all.
    workload
        For `SCHEDULER`.
    message
        Where it comes from, in one sentence.
    """

    kind: AmountKind
    name: str
    amount: float
    namespace: str | None = None
    accelerator: str | None = None
    workload: WorkloadRef | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something about one workload that a person should know: shown as condition and event.

    `remedy` is what to do, "" where nothing helps. `is_claim_refused` tells that the workload is not decided about.
    """

    workload: WorkloadRef
    reason: Reason
    remedy: str = ""
    is_claim_refused: bool = False


@dataclass(frozen=True, slots=True)
class ClusterView:
    """Everything the watches know at one moment.

    Attributes
    ----------
    inventory
        Workloads and pods; its `reason` tells when a watch is behind.
    variants
        One entry per workload that labels or the configuration claim.
    followers
        By the workload they set; the one with the tightest grip first.
    amounts
        Limits that the cluster tells.
    troubles
        Conflicts, bad annotations, pods that find no place.
    """

    inventory: Inventory = field(default_factory=lambda: Inventory(()))
    variants: tuple[VariantFacts, ...] = ()
    followers: Mapping[WorkloadRef, tuple[Follower, ...]] = field(default_factory=dict)
    amounts: tuple[ClusterAmount, ...] = ()
    troubles: tuple[Trouble, ...] = ()
