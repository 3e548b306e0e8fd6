"""What is kept of objects in memory: a cluster has many pods, and each of them says much that nobody reads. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from adapter.kube.client import Json
from adapter.kube.discovery.field_owner import LAST_APPLIED, keep_owner_fields
from adapter.kube.discovery.objects import get_annotations
from adapter.kube.discovery.pods import SIZE_ANNOTATION
from adapter.kube.json_fields import get_object, get_objects

_IDENTITY = (
    "name namespace uid resourceVersion generation creationTimestamp deletionTimestamp labels ownerReferences".split()
)
_CONDITION = ("type", "status", "reason", "message", "lastTransitionTime")
_POD_CONDITIONS = ("Ready", "PodScheduled")


def trim_workload(workload: Json) -> Json:
    """Return a workload without its managed fields and last applied manifest, but with who declares its replicas."""
    managed, applied = keep_owner_fields(workload)
    annotations = {key: text for key, text in get_annotations(workload).items() if key != LAST_APPLIED}
    if applied is not None:
        annotations[LAST_APPLIED] = applied
    metadata = {
        **_pick(get_object(workload, "metadata"), _IDENTITY),
        "annotations": annotations,
        "managedFields": managed,
    }
    return {**workload, "metadata": metadata}


def trim_pod(pod: Json) -> Json:
    """Return who a pod is and belongs to, where it runs, what devices it asks for, and how far it is."""
    annotations = get_annotations(pod)
    metadata = _pick(get_object(pod, "metadata"), _IDENTITY)
    if SIZE_ANNOTATION in annotations:
        metadata["annotations"] = {SIZE_ANNOTATION: annotations[SIZE_ANNOTATION]}
    spec = get_object(pod, "spec")
    kept: Json = _pick(spec, ("nodeName", "priorityClassName", "activeDeadlineSeconds"))
    for group in ("containers", "initContainers"):
        if group in spec:
            kept[group] = [_pick(entry, ("name", "resources", "restartPolicy")) for entry in get_objects(spec, group)]
    status = _pick(get_object(pod, "status"), ("phase", "reason", "podIP", "podIPs"))
    conditions = get_objects(pod, "status", "conditions")
    status["conditions"] = [_pick(entry, _CONDITION) for entry in conditions if entry.get("type") in _POD_CONDITIONS]
    return {**_pick(pod, ("apiVersion", "kind")), "metadata": metadata, "spec": kept, "status": status}


def trim_replica_set(replica_set: Json) -> Json:
    """Return who a ReplicaSet is and belongs to."""
    metadata = _pick(
        get_object(replica_set, "metadata"), ("name", "namespace", "uid", "resourceVersion", "ownerReferences")
    )
    return {**_pick(replica_set, ("apiVersion", "kind")), "metadata": metadata}


def trim_node(node: Json) -> Json:
    """Return what a node is, what it can give, and whether it takes pods."""
    status = _pick(get_object(node, "status"), ("allocatable",))
    conditions = get_objects(node, "status", "conditions")
    status["conditions"] = [_pick(entry, ("type", "status")) for entry in conditions if entry.get("type") == "Ready"]
    metadata, spec = (
        _pick(get_object(node, "metadata"), _IDENTITY),
        _pick(get_object(node, "spec"), ("unschedulable", "taints")),
    )
    return {**_pick(node, ("apiVersion", "kind")), "metadata": metadata, "spec": spec, "status": status}


def trim_other(document: Json) -> Json:
    """Return an object without its managed fields and last applied manifest."""
    annotations = {key: text for key, text in get_annotations(document).items() if key != LAST_APPLIED}
    metadata = {**_pick(get_object(document, "metadata"), _IDENTITY), "annotations": annotations}
    return {**document, "metadata": metadata}


def trim_autoscaler(autoscaler: Json) -> Json:
    """Return the same of an HPA, with the manifest where that names a tolerance: old clusters drop the field."""
    trimmed, applied = trim_other(autoscaler), get_annotations(autoscaler).get(LAST_APPLIED, "")
    if '"tolerance"' in applied:
        trimmed["metadata"]["annotations"][LAST_APPLIED] = applied
    return trimmed


def _pick(document: Json, keys: Iterable[str]) -> Json:
    return {key: document[key] for key in keys if key in document}
