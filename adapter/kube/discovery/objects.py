"""Plain API objects read field by field: metadata, conditions, owners, pod templates. Pure; it interprets no label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from adapter.errors import BadDocument
from adapter.kube.client import Json
from adapter.kube.json_fields import get_object, get_objects
from adapter.kube.wire_times import parse_time_s
from optimizer.domain import WorkloadRef


@dataclass(frozen=True, slots=True)
class Controller:
    """The one owner of an object that manages it."""

    uid: str
    kind: str
    name: str


def get_labels(document: Json) -> Mapping[str, str]:
    """Return the labels."""
    return get_object(document, "metadata", "labels")


def get_annotations(document: Json) -> Mapping[str, str]:
    """Return the annotations."""
    return get_object(document, "metadata", "annotations")


def get_name(document: Json) -> str:
    """Return the name."""
    return str(get_object(document, "metadata").get("name", ""))


def get_namespace(document: Json) -> str:
    """Return the namespace, "" for what lives in none."""
    return str(get_object(document, "metadata").get("namespace", ""))


def get_uid(document: Json) -> str:
    """Return the identity that no other object ever had."""
    return str(get_object(document, "metadata").get("uid", ""))


def get_created_s(document: Json) -> float | None:
    """Return when it was made [Unix s]."""
    return to_seconds(get_object(document, "metadata").get("creationTimestamp"))


def is_being_deleted(document: Json) -> bool:
    """Whether somebody deleted it and it only finishes."""
    return bool(get_object(document, "metadata").get("deletionTimestamp"))


def get_controller(document: Json) -> Controller | None:
    """Return the owner that manages it."""
    for owner in get_objects(document, "metadata", "ownerReferences"):
        if owner.get("controller") is True:
            return Controller(str(owner.get("uid", "")), str(owner.get("kind", "")), str(owner.get("name", "")))
    return None


def to_seconds(text: object) -> float | None:
    """Return the Unix time of a timestamp [s], None where there is none or it cannot be read."""
    try:
        return parse_time_s(text)
    except BadDocument:
        return None


def to_workload_ref(document: Json) -> WorkloadRef:
    """Return the reference to a workload; lists leave out what their items are, caches put it back."""
    kind, version = str(document.get("kind", "Deployment")), str(document.get("apiVersion", "apps/v1"))
    return WorkloadRef(get_namespace(document), get_name(document), kind, version)


Identity = tuple[str, str, str, str]
"""Namespace, name, kind and API group of an object: what it is, whichever version of the API names it."""


def to_identity(workload: WorkloadRef) -> Identity:
    """Return what `workload` refers to, whichever version of the API it is written with."""
    return workload.namespace, workload.name, workload.kind, workload.api_version.rpartition("/")[0]


def get_requested_replicas(workload: Json) -> int | None:
    """Return ``spec.replicas``; absent means 1, and what is no count is unknown."""
    replicas = get_object(workload, "spec").get("replicas", 1)
    is_count = isinstance(replicas, int) and not isinstance(replicas, bool) and replicas >= 0
    return replicas if is_count else None


def list_templates(workload: Json) -> tuple[tuple[Json, int], ...]:
    """Return the pod templates of one replica, each with how many pods of it there are; the leader's comes first.

    A LeaderWorkerSet has one leader and ``size - 1`` workers; every other kind has ``spec.template``, if any.
    """
    group = get_object(workload, "spec", "leaderWorkerTemplate")
    if not group:
        template = get_object(workload, "spec", "template")
        return ((template, 1),) if template else ()
    worker = get_object(group, "workerTemplate")
    leader = get_object(group, "leaderTemplate") or worker
    others = get_group_size(workload) - 1
    return ((leader, 1), (worker, others)) if others > 0 else ((leader, 1),)


def get_group_size(workload: Json) -> int:
    """Return how many pods make one replica: the size of a LeaderWorkerSet's group, else 1."""
    size = get_object(workload, "spec", "leaderWorkerTemplate").get("size", 1)
    return size if isinstance(size, int) and size > 0 else 1


def iterate_containers(pod: Json) -> Iterator[Json]:
    """Yield the containers of a pod or template that run beside each other: sidecars first."""
    for container in get_objects(pod, "spec", "initContainers"):
        if container.get("restartPolicy") == "Always":
            yield container
    yield from get_objects(pod, "spec", "containers")
