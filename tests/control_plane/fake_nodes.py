"""Nodes with accelerators, and which of them has a place for a pod. Data and rules on API objects; no I/O.

The rules are those of Kubernetes' scheduler that matter to accelerators: node selector, required node affinity, taints,
cordons, and device counts. Processors and memory are never short here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from adapter.kube.client import Json
from tests.control_plane.pods import GPU, PRODUCT

NO_PLACE_EFFECTS = ("NoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True)
class FakeNode:
    """A node to be.

    Attributes
    ----------
    name
        Its name.
    product
        Value of its label ``nvidia.com/gpu.product``; "" for a node without accelerators.
    accelerators
        Devices it has.
    labels
        More labels.
    """

    name: str
    product: str = ""
    accelerators: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    def to_object(self) -> Json:
        """Return the Node as a kubelet would register it, ready."""
        labels = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", **self.labels}
        if self.product:
            labels[PRODUCT] = self.product
        amounts = {"cpu": "256", "memory": "2048Gi", "pods": "512", GPU: str(self.accelerators)}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": labels},
            "status": {
                "capacity": amounts,
                "allocatable": amounts,
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "fake"}],
            },
        }


@dataclass(frozen=True, slots=True)
class Placing:
    """Where pods that wait go.

    Attributes
    ----------
    nodes
        Name of the node by uid of the pod.
    refusals
        Why there is no place, by uid of the pod.
    """

    nodes: Mapping[str, str]
    refusals: Mapping[str, str]


def place_pods(waiting: Iterable[Json], nodes: Sequence[Json], bound: Iterable[Json]) -> Placing:
    """Return where the pods `waiting` go, oldest first, beside those `bound` already; devices are never overbooked."""
    used: Counter[str] = Counter()
    for pod in bound:
        used[pod["spec"]["nodeName"]] += count_accelerators(pod)
    chosen: dict[str, str] = {}
    refusals: dict[str, str] = {}
    for pod in sorted(waiting, key=_get_age_key):
        uid = pod["metadata"]["uid"]
        reasons = {_get_name(node): find_obstacle(pod, node, used[_get_name(node)]) for node in nodes}
        name = next((name for name, reason in reasons.items() if reason is None), None)
        if name is None:
            refusals[uid] = _describe([reason or "" for reason in reasons.values()])
        else:
            chosen[uid] = name
            used[name] += count_accelerators(pod)
    return Placing(chosen, refusals)


def count_accelerators(pod: Json) -> int:
    """Return the devices that `pod` requests."""
    containers: list[Json] = pod["spec"]["containers"]
    amounts = [container.get("resources", {}) for container in containers]
    return sum(int(amount.get("requests", amount.get("limits", {})).get(GPU, 0)) for amount in amounts)


def find_obstacle(pod: Json, node: Json, used: int) -> str | None:
    """Return why `pod` cannot go to `node`, where `used` devices are taken; None when it can."""
    labels: Mapping[str, str] = node["metadata"].get("labels", {})
    spec: Json = node.get("spec", {})
    if spec.get("unschedulable"):
        return "node(s) were unschedulable"
    if any(not _is_tolerated(taint, pod) for taint in spec.get("taints", [])):
        return "node(s) had untolerated taint(s)"
    if not _is_selected(pod, labels):
        return "node(s) didn't match Pod's node affinity/selector"
    free = int(node["status"]["allocatable"].get(GPU, 0)) - used
    return f"Insufficient {GPU}" if count_accelerators(pod) > free else None


def _is_tolerated(taint: Json, pod: Json) -> bool:
    if taint["effect"] not in NO_PLACE_EFFECTS:
        return True
    tolerations: list[Json] = pod["spec"].get("tolerations", [])
    return any(
        toleration.get("key") in (None, taint["key"])
        and toleration.get("effect") in (None, taint["effect"])
        and (toleration.get("operator") == "Exists" or toleration.get("value") == taint.get("value"))
        for toleration in tolerations
    )


def _is_selected(pod: Json, labels: Mapping[str, str]) -> bool:
    selector: Mapping[str, str] = pod["spec"].get("nodeSelector", {})
    if any(labels.get(name) != value for name, value in selector.items()):
        return False
    affinity: Json = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms")
    return terms is None or any(
        all(_is_met(wish, labels) for wish in term.get("matchExpressions", [])) for term in terms
    )


def _is_met(wish: Json, labels: Mapping[str, str]) -> bool:
    value = labels.get(wish["key"])
    match wish["operator"]:
        case "In":
            return value in wish["values"]
        case "NotIn":
            return value not in wish["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    raise ValueError(f"operator {wish['operator']} of a node affinity is not known here")


def _describe(reasons: Sequence[str]) -> str:
    counts = Counter(reasons)
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    return f"0/{len(reasons)} nodes are available: {told or 'no nodes'}."


def _get_age_key(pod: Json) -> tuple[str, str]:
    return str(pod["metadata"]["creationTimestamp"]), str(pod["metadata"]["name"])


def _get_name(found: Json) -> str:
    return str(found["metadata"]["name"])
