"""Nodes to amounts of accelerators that our variants may use, by type: what is free, and what they hold. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from adapter.cluster import AmountKind, ClusterAmount
from adapter.kube.client import Json
from adapter.kube.discovery.devices import DeviceCounter
from adapter.kube.discovery.objects import get_name, get_uid
from adapter.kube.discovery.placement import read_node_accelerator, to_device_type
from adapter.kube.discovery.pods import is_replica
from adapter.kube.json_fields import get_condition, get_object, get_objects

_KEEPING_OUT = ("NoSchedule", "NoExecute")


def read_node_amounts(
    nodes: Iterable[Json],
    pods: Iterable[Json],
    ours: frozenset[str],
    *,
    accelerators: Iterable[str],
    tolerations: Iterable[Json] = (),
    counter: DeviceCounter,
    catalog: Iterable[str] = (),
) -> tuple[ClusterAmount, ...]:
    """Return how many devices of each type our variants together may use on today's nodes.

    That is what nodes that take pods can give, less what pods of others request there; on nodes that take none, what
    our own pods hold there.

    Parameters
    ----------
    pods, ours
        All pods of the cluster, and the uids of those that are our variants'.
    accelerators
        Types of our variants. One that no node has amounts to 0, unless the type of some node with devices is unknown.
    tolerations
        Of our variants' pods; a taint named after a resource of devices is tolerated in any case.
    """
    names, tolerated, wanted = tuple(catalog), tuple(tolerations), frozenset(accelerators)
    requested, held = _sum_requests(pods, ours, counter)
    free: dict[str, int] = defaultdict(int)
    open_nodes: dict[str, int] = defaultdict(int)
    has_unknown = False
    for node in nodes:
        accelerator, is_open = read_node_accelerator(node, names), takes_pods(node, tolerated, counter)
        for resource, devices in counter.count_allocatable(node).items():
            if accelerator is None:
                has_unknown = True
                continue
            place, kind = (get_name(node), resource), to_device_type(accelerator, resource)
            free[kind] += max(devices - requested[place], 0) if is_open else held[place]
            open_nodes[kind] += is_open
    if not has_unknown:
        free.update({accelerator: 0 for accelerator in wanted if accelerator not in free})
    return tuple(
        ClusterAmount(
            AmountKind.NODES,
            accelerator,
            float(amount),
            accelerator=accelerator,
            message=f"{open_nodes[accelerator]} nodes with {accelerator} take pods, {amount} devices are not of others",
        )
        for accelerator, amount in sorted(free.items())
        if accelerator in wanted
    )


def takes_pods(node: Json, tolerations: Iterable[Json], counter: DeviceCounter) -> bool:
    """Whether a node is ready, not cordoned, and without a taint that keeps out pods with `tolerations`."""
    ready = get_condition(node, "Ready") or {}
    if ready.get("status") != "True" or get_object(node, "spec").get("unschedulable") is True:
        return False
    tolerated = tuple(tolerations)
    taints = (taint for taint in get_objects(node, "spec", "taints") if taint.get("effect") in _KEEPING_OUT)
    return all(
        counter.is_accelerator(str(taint.get("key"))) or any(_tolerates(entry, taint) for entry in tolerated)
        for taint in taints
    )


def _tolerates(toleration: Mapping[str, object], taint: Mapping[str, object]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    key = toleration.get("key")
    if toleration.get("operator") == "Exists":
        return key in (None, "", taint.get("key"))
    return key == taint.get("key") and (toleration.get("value") or "") == (taint.get("value") or "")


def _sum_requests(
    pods: Iterable[Json], ours: frozenset[str], counter: DeviceCounter
) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
    """Return the devices that pods of others request, and that ours do, by node and resource."""
    requested: dict[tuple[str, str], int] = defaultdict(int)
    held: dict[tuple[str, str], int] = defaultdict(int)
    for pod in pods:
        node = get_object(pod, "spec").get("nodeName")
        if node and is_replica(pod):
            of_whom = held if get_uid(pod) in ours else requested
            for resource, devices in counter.count_pod(pod).items():
                of_whom[str(node), resource] += devices
    return requested, held
