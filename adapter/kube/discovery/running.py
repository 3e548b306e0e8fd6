"""One workload that is decided about: its pods, its replicas, its facts, and what is wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from adapter.cluster import Trouble, VariantFacts
from adapter.errors import BadDocument
from adapter.inventory import WorkloadEntry
from adapter.kube.client import Json
from adapter.kube.discovery.candidates import Candidate
from adapter.kube.discovery.devices import DeviceCounter
from adapter.kube.discovery.memory import OWNER_S, Memory
from adapter.kube.discovery.objects import get_group_size, get_requested_replicas, get_uid, to_seconds
from adapter.kube.discovery.options import ScaledObject
from adapter.kube.discovery.ownership import PodIndex
from adapter.kube.discovery.placement import Placement, find_placement
from adapter.kube.discovery.pods import Replica, is_replica, read_groups, read_single_pods
from adapter.kube.discovery.selector import parse_selector
from adapter.kube.discovery.serving import DEFAULT_PORTS
from adapter.kube.discovery.shortfall import PlacementSight, look_at_placement
from adapter.kube.discovery.variant_facts import Template, build_facts, choose_accelerator, read_template
from adapter.kube.json_fields import get_condition, get_object
from optimizer.domain import PodPhase, Reason, ReasonCode, WorkloadRef

_GROUPED = "LeaderWorkerSet"
_USUAL_PORT = 8000


@dataclass(frozen=True, slots=True)
class Lens:
    """Everything that one look at a cluster has in common for all workloads.

    Attributes
    ----------
    index
        All pods.
    node_types
        Accelerator type by name of node, where it is known.
    scaled
        Objects of further kinds.
    catalog
        Names of accelerators as the configuration spells them.
    counter
        Tells devices among resources.
    memory
        What was found before.
    now_s
        Time of the look [Unix s].
    """

    index: PodIndex
    node_types: Mapping[str, str]
    scaled: Mapping[WorkloadRef, ScaledObject]
    catalog: tuple[str, ...]
    counter: DeviceCounter
    memory: Memory
    now_s: float


@dataclass(frozen=True, slots=True)
class Running:
    """One workload with everything found about it.

    Attributes
    ----------
    facts, template
        What it tells of its variant.
    document
        The object.
    pods, replicas
        What it runs; `pods` is None when they cannot be found.
    requested_replicas
        Asked for, None when nobody can tell.
    seen_accelerator
        Type seen on nodes, now or before; None where it was never looked for or never seen.
    owner
        Who declares ``spec.replicas``, and when that was last seen [Unix s].
    troubles
        What people should know.
    """

    facts: VariantFacts
    template: Template
    document: Json
    pods: tuple[Json, ...] | None
    replicas: tuple[Replica, ...]
    requested_replicas: int | None
    seen_accelerator: str | None = None
    owner: tuple[str, float] | None = None
    troubles: tuple[Trouble, ...] = ()

    @property
    def workload(self) -> WorkloadRef:
        """Which one it is."""
        return self.facts.workload

    @property
    def has_known_pods(self) -> bool:
        """Whether its pods can be found; else it is unknown, which is not the same as empty."""
        return self.pods is not None

    def to_inventory(self) -> WorkloadEntry:
        """Return it with its replicas."""
        return WorkloadEntry(self.workload, self.requested_replicas, tuple(replica.entry for replica in self.replicas))

    def look_at_placement(self, now_s: float, after_s: float) -> PlacementSight:
        """Return how many of its replicas found a place at `now_s`, a wait of up to `after_s` [s] being none."""
        return look_at_placement(self.replicas, now_s, after_s, self._find_refusal())

    def _find_refusal(self) -> tuple[int, float, str] | None:
        """Return how many pods of a Deployment could not be made, since when [Unix s] and why, such as for a quota."""
        failure = get_condition(self.document, "ReplicaFailure") or {}
        since_s = to_seconds(failure.get("lastTransitionTime"))
        staying = sum(replica.entry.phase is not PodPhase.TERMINATING for replica in self.replicas)
        missing = (self.requested_replicas or 0) - staying
        if failure.get("status") != "True" or since_s is None or missing <= 0:
            return None
        return missing, since_s, str(failure.get("message") or "")


def look_at_workload(candidate: Candidate, lens: Lens) -> Running:
    """Return what is found about one workload."""
    document, claimed, told = candidate.document, candidate.claimed, candidate.told
    template = read_template(document, lens.counter, lens.catalog)
    entry = lens.scaled.get(claimed.workload)
    pods, complaint = _find_pods(document, entry, lens.index)
    uid = get_uid(document)
    placement = find_placement(
        template.accelerator, _list_seen_types(pods or (), lens), lens.memory.accelerators.get(uid)
    )
    accelerator = choose_accelerator(told, template, placement.accelerator, lens.catalog)
    facts = build_facts(document, claimed, told, template, accelerator)
    owner = _recall_owner(facts, lens)
    troubles = [Trouble(claimed.workload, complaint)] if complaint is not None else []
    if placement.others and told.accelerator is None:
        troubles.append(_describe_mixture(facts, placement))
    return Running(
        facts=facts if owner is None else replace(facts, replicas_owner=owner[0]),
        template=template,
        document=document,
        pods=pods,
        replicas=_read_replicas(document, pods or (), facts),
        requested_replicas=get_requested_replicas(document) if entry is None else entry.requested_replicas,
        seen_accelerator=placement.accelerator if placement.is_seen else None,
        owner=owner,
        troubles=tuple(troubles),
    )


def _find_pods(
    document: Json, entry: ScaledObject | None, index: PodIndex
) -> tuple[tuple[Json, ...] | None, Reason | None]:
    """Return the pods of a workload, or None and why they cannot be found."""
    if entry is None:
        is_grouped = document.get("kind") == _GROUPED
        return (index.list_grouped(document) if is_grouped else index.list_owned(document)), None
    name = f"{entry.workload.kind} {entry.workload.name}"
    try:
        selector = parse_selector(entry.selector)
    except BadDocument as failure:
        return None, Reason(ReasonCode.NO_DATA, f"the pods of {name} cannot be found: its selector {failure}")
    if not selector:
        message = f"the pods of {name} cannot be found: its scale tells no selector"
        return None, Reason(ReasonCode.NO_DATA, message)
    return index.list_selected(entry.workload.namespace, selector), None


def _read_replicas(document: Json, pods: tuple[Json, ...], facts: VariantFacts) -> tuple[Replica, ...]:
    port = facts.metrics_port or DEFAULT_PORTS.get(facts.engine or "", _USUAL_PORT)
    if document.get("kind") == _GROUPED:
        return read_groups(pods, get_group_size(document), port)
    return read_single_pods(pods, port)


def _list_seen_types(pods: tuple[Json, ...], lens: Lens) -> list[str]:
    """Return the accelerator types of the nodes of pods that have devices, once per pod."""
    nodes = (
        str(get_object(pod, "spec").get("nodeName")) for pod in pods if is_replica(pod) and lens.counter.count_pod(pod)
    )
    return [lens.node_types[node] for node in nodes if node in lens.node_types]


def _describe_mixture(facts: VariantFacts, placement: Placement) -> Trouble:
    others = ", ".join(f"{pods} on {accelerator}" for accelerator, pods in placement.others)
    name = f"{facts.workload.kind} {facts.workload.name}"
    message = f"pods of {name} run on several accelerator types: {others}; it is planned as {placement.accelerator}"
    remedy = f"Give {name} a node selector that admits one type, or the annotation variant-autoscaler.io/accelerator."
    return Trouble(facts.workload, Reason(ReasonCode.PARTIAL_DATA, message), remedy)


def _recall_owner(facts: VariantFacts, lens: Lens) -> tuple[str, float] | None:
    """Return who declares ``spec.replicas``, as seen now, else as seen a short while ago."""
    if facts.replicas_owner:
        return facts.replicas_owner, lens.now_s
    before = lens.memory.owners.get(facts.uid)
    return before if before is not None and lens.now_s - before[1] < OWNER_S else None
