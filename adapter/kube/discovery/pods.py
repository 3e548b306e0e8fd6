"""Pods and groups of pods to replicas: how far each one is, where it listens, whether it found a place. Pure.

A replica is one pod; of a LeaderWorkerSet it is one group, ready when it is whole, and heard through its leader.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from adapter.inventory import PodEntry
from adapter.kube.client import Json
from adapter.kube.discovery.objects import (
    get_annotations,
    get_created_s,
    get_labels,
    get_name,
    get_namespace,
    get_uid,
    is_being_deleted,
    to_seconds,
)
from adapter.kube.json_fields import get_condition, get_object, get_objects
from optimizer.domain import PodKey, PodPhase

SET_LABEL = "leaderworkerset.sigs.k8s.io/name"
GROUP_LABEL = "leaderworkerset.sigs.k8s.io/group-index"
WORKER_LABEL = "leaderworkerset.sigs.k8s.io/worker-index"
SIZE_ANNOTATION = "leaderworkerset.sigs.k8s.io/size"


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica.

    Attributes
    ----------
    entry
        As the inventory has it.
    pods
        The pods it is made of.
    is_placed
        Whether all of them have a node.
    waiting_since_s
        Since when the scheduler has found none for one of them [Unix s], None when it has.
    why
        What the scheduler says of that.
    """

    entry: PodEntry
    pods: tuple[Json, ...]
    is_placed: bool
    waiting_since_s: float | None = None
    why: str = ""


def is_replica(pod: Json) -> bool:
    """Whether a pod serves or is going to: one that was evicted, failed or finished is only a record."""
    return get_object(pod, "status").get("phase") not in ("Failed", "Succeeded")


def read_phase(pod: Json) -> PodPhase:
    """Return how far a pod is; one that is unready after having been ready is starting again."""
    if is_being_deleted(pod):
        return PodPhase.TERMINATING
    ready = get_condition(pod, "Ready") or {}
    return PodPhase.READY if ready.get("status") == "True" else PodPhase.STARTING


def read_ready_s(pod: Json) -> float | None:
    """Return since when it is ready [Unix s], None while it is not."""
    ready = get_condition(pod, "Ready") or {}
    return to_seconds(ready.get("lastTransitionTime")) if ready.get("status") == "True" else None


def read_url(pod: Json, port: int) -> str:
    """Return the base address of a pod's server, "" while it has none."""
    status = get_object(pod, "status")
    addresses = [status.get("podIP"), *(entry.get("ip") for entry in get_objects(status, "podIPs"))]
    address = next((str(entry) for entry in addresses if entry), "")
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}" if address else ""


def read_single_pods(pods: Iterable[Json], port: int) -> tuple[Replica, ...]:
    """Return one replica per pod."""
    return tuple(_read_replica(pod, (pod,), 1, port) for pod in pods if is_replica(pod))


def read_groups(pods: Iterable[Json], group_size: int, port: int) -> tuple[Replica, ...]:
    """Return one replica per group of a LeaderWorkerSet, in the order of their numbers.

    `group_size` counts the leader; during an update of it each pod tells the size of its own group. A group whose
    leader is gone is no ready replica and has no address, but its workers show that it is to come back.
    """
    groups: dict[str, list[Json]] = {}
    for pod in pods:
        if is_replica(pod) and GROUP_LABEL in get_labels(pod):
            groups.setdefault(get_labels(pod)[GROUP_LABEL], []).append(pod)
    replicas = []
    for index in sorted(groups, key=lambda text: (len(text), text)):
        members = sorted(groups[index], key=get_name)
        leader = next((pod for pod in members if get_labels(pod).get(WORKER_LABEL) == "0"), None)
        size = _read_size(leader or members[0], group_size)
        if leader is not None:
            replicas.append(_read_replica(leader, tuple(members), size, port))
        else:
            replicas.append(_read_headless(index, tuple(members)))
    return tuple(replicas)


def _read_replica(leader: Json, members: tuple[Json, ...], size: int, port: int) -> Replica:
    key = PodKey(get_namespace(leader), get_name(leader), get_uid(leader))
    phase = read_phase(leader)
    if phase is PodPhase.READY and not _is_whole(members, size):
        phase = PodPhase.STARTING
    ready_s = _get_last([read_ready_s(pod) for pod in members]) if phase is PodPhase.READY else None
    entry = PodEntry(key, read_url(leader, port), phase, get_created_s(leader), ready_s)
    since_s, why = _read_waiting(members)
    is_placed = len(members) >= size and all(get_object(pod, "spec").get("nodeName") for pod in members)
    return Replica(entry, members, is_placed, since_s, why)


def _read_headless(index: str, members: tuple[Json, ...]) -> Replica:
    first = members[0]
    name = f"{get_labels(first).get(SET_LABEL, get_name(first))}-{index}"
    is_ending = all(is_being_deleted(pod) for pod in members)
    phase = PodPhase.TERMINATING if is_ending else PodPhase.STARTING
    entry = PodEntry(PodKey(get_namespace(first), name), "", phase, get_created_s(first))
    since_s, why = _read_waiting(members)
    return Replica(entry, members, False, since_s, why)


def _is_whole(members: tuple[Json, ...], size: int) -> bool:
    return len(members) >= size and all(read_phase(pod) is PodPhase.READY for pod in members)


def _read_size(pod: Json, group_size: int) -> int:
    text = get_annotations(pod).get(SIZE_ANNOTATION, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else group_size


def _read_waiting(members: tuple[Json, ...]) -> tuple[float | None, str]:
    """Return since when the scheduler has found no place for the first of `members` that waits, and what it says."""
    waiting = []
    for pod in members:
        scheduled = get_condition(pod, "PodScheduled") or {}
        if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
            told_s = to_seconds(scheduled.get("lastTransitionTime"))
            since_s = get_created_s(pod) if told_s is None else told_s
            if since_s is not None and not is_being_deleted(pod):
                waiting.append((since_s, str(scheduled.get("message") or "")))
    return min(waiting) if waiting else (None, "")


def _get_last(times_s: list[float | None]) -> float | None:
    known_s = [time_s for time_s in times_s if time_s is not None]
    return max(known_s) if known_s else None
