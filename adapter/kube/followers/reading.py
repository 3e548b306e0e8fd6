"""All autoscalers of a cluster to the followers of each workload. Pure: plain objects in, facts out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from adapter.cluster import Follower, FollowerKind, Obstacle
from adapter.kube.followers.horizontal_pod_autoscaler import ReadingOptions, read_autoscaler
from adapter.kube.followers.json_fields import get_object, get_objects, get_text
from adapter.kube.followers.obstacles import ObstacleCode, sort_obstacles
from adapter.kube.followers.pod_autoscaler import read_pod_autoscaler
from adapter.kube.followers.recommended import METRIC
from adapter.kube.followers.scaled_object import read_scaled_object
from adapter.kube.followers.scaling_rules import DEFAULT_TOLERANCE_RATIO
from adapter.kube.followers.selection import KnownWorkloads
from optimizer.domain import WorkloadRef

_MAKERS = (FollowerKind.KEDA.value, FollowerKind.POD_AUTOSCALER.value)
_Id = tuple[str, str, str]


def read_followers(
    hpas: Iterable[Mapping[str, Any]],
    scaled_objects: Iterable[Mapping[str, Any]] = (),
    pod_autoscalers: Iterable[Mapping[str, Any]] = (),
    *,
    kubernetes_minor: int,
    metric: str = METRIC,
    tolerance_ratio: float = DEFAULT_TOLERANCE_RATIO,
    page_units_per_replica: int = 1,
    series_labels: Mapping[WorkloadRef, Mapping[str, str]] | None = None,
) -> Mapping[WorkloadRef, tuple[Follower, ...]]:
    """Return who sets the replicas of each workload, those that read our number first, then the narrowest bounds first.

    Autoscalers that do not read our number are among them, marked so: two of them on one workload spoil each other.

    Parameters
    ----------
    hpas, scaled_objects, pod_autoscalers
        Objects as the API sends them (HorizontalPodAutoscaler in autoscaling/v2); what has no target is left out.
    kubernetes_minor
        Of the API server, 37 for 1.37.
    metric
        Name of our metric.
    tolerance_ratio
        Dead band of the cluster's controller where an autoscaler names none [0-1].
    page_units_per_replica
        What the page of one workload counts: 1, or 100 for hundredths.
    series_labels
        Every workload that has a series, with the labels of it that are known (``variant``, ``model_name``, ...): the
        more is told, the surer it is known what a selector selects. Workloads are returned as they are written here.
    """
    options = ReadingOptions(kubernetes_minor, metric, tolerance_ratio, page_units_per_replica)
    hpas, scaled_objects, pod_autoscalers = tuple(hpas), tuple(scaled_objects), tuple(pod_autoscalers)
    makers = {
        _identify(kind, document)
        for kind, documents in zip(_MAKERS, (scaled_objects, pod_autoscalers), strict=True)
        for document in documents
    }
    made = {owner: document for document in hpas if (owner := _find_maker(document)) in makers}
    told = KnownWorkloads(series_labels or {})
    everything = (*hpas, *scaled_objects, *pod_autoscalers)
    known = told.including(filter(None, (_find_target(document, told) for document in everything)))
    found = [
        *(read_autoscaler(document, known, options) for document in hpas if _find_maker(document) not in makers),
        *(
            read_scaled_object(document, made.get(_identify(FollowerKind.KEDA, document)), known, options)
            for document in scaled_objects
        ),
        *(read_pod_autoscaler(document, known, options) for document in pod_autoscalers),
    ]
    by_workload: dict[WorkloadRef, list[Follower]] = defaultdict(list)
    for follower in found:
        if follower is not None:
            by_workload[follower.workload].append(follower)
    return {workload: _join(followers) for workload, followers in by_workload.items()}


def _find_target(document: Mapping[str, Any], told: KnownWorkloads) -> WorkloadRef | None:
    return told.resolve(get_text(document, "metadata", "namespace"), get_object(document, "spec", "scaleTargetRef"))


def _identify(kind: str, document: Mapping[str, Any]) -> _Id:
    return str(kind), get_text(document, "metadata", "namespace"), get_text(document, "metadata", "name")


def _find_maker(hpa: Mapping[str, Any]) -> _Id | None:
    """Return the autoscaler of another kind that made this one, None when a person did."""
    for owner in get_objects(hpa, "metadata", "ownerReferences"):
        if get_text(owner, "kind") in _MAKERS:
            return get_text(owner, "kind"), get_text(hpa, "metadata", "namespace"), get_text(owner, "name")
    return None


def _join(followers: list[Follower]) -> tuple[Follower, ...]:
    """Return the followers of one workload in order; several are in each other's way."""
    ordered = sorted(followers, key=_get_rank)
    if len(ordered) == 1:
        return tuple(ordered)
    joined = []
    for follower in ordered:
        others = [other for other in ordered if other is not follower]
        names = ", ".join(f"{other.kind} {other.name}" for other in others)
        remedy = "".join(
            f"# kubectl -n {other.workload.namespace} delete {other.kind.lower()} {other.name}\n" for other in others
        )
        obstacle = Obstacle(ObstacleCode.TWO_AUTOSCALERS, f"{names} set the same replicas; keep one of them", remedy)
        joined.append(replace(follower, obstacles=sort_obstacles((obstacle, *follower.obstacles))))
    return tuple(joined)


def _get_rank(follower: Follower) -> tuple[bool, float, str, str]:
    width = float("inf") if follower.max_replicas is None else follower.max_replicas - follower.min_replicas
    return not follower.reads_our_number, width, follower.kind, follower.name
