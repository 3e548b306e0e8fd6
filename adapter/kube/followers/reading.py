"""All autoscalers of a cluster to the followers of each workload. Pure: plain objects in, facts out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from adapter.cluster import Follower, FollowerKind, Obstacle
from adapter.kube.followers.horizontal_pod_autoscaler import ReadingOptions, read_autoscaler
from adapter.kube.followers.obstacles import ObstacleCode, sort_obstacles
from adapter.kube.followers.pod_autoscaler import read_pod_autoscaler
from adapter.kube.followers.recommended import METRIC
from adapter.kube.followers.scaled_object import read_scaled_object
from adapter.kube.followers.scaling_rules import DEFAULT_TOLERANCE_RATIO
from adapter.kube.followers.selection import KnownWorkloads
from adapter.kube.json_fields import get_object, get_objects, get_text
from optimizer.domain import WorkloadRef

_MAKERS = (FollowerKind.KEDA.value, FollowerKind.POD_AUTOSCALER.value)
_Id: TypeAlias = tuple[str, str, str]
_Words: TypeAlias = tuple[tuple[Any, ...], tuple[Any, ...] | None]


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
    return FollowerReader().read(hpas, scaled_objects, pod_autoscalers, options=options, series_labels=series_labels)


class FollowerReader:
    """Reads the autoscalers of a cluster again and again; what has not changed since the last time is not read anew."""

    def __init__(self) -> None:
        self._options: ReadingOptions | None = None
        self._known = KnownWorkloads()
        self._read: dict[_Id, tuple[_Words, Follower | None]] = {}

    def read(
        self,
        hpas: Iterable[Mapping[str, Any]],
        scaled_objects: Iterable[Mapping[str, Any]] = (),
        pod_autoscalers: Iterable[Mapping[str, Any]] = (),
        *,
        options: ReadingOptions,
        series_labels: Mapping[WorkloadRef, Mapping[str, str]] | None = None,
    ) -> Mapping[WorkloadRef, tuple[Follower, ...]]:
        """Return what `read_followers` returns of the same arguments."""
        by_kind = {
            FollowerKind.HPA: tuple(hpas),
            FollowerKind.KEDA: tuple(scaled_objects),
            FollowerKind.POD_AUTOSCALER: tuple(pod_autoscalers),
        }
        told = KnownWorkloads(series_labels or {})
        everything = [(kind, document) for kind, documents in by_kind.items() for document in documents]
        known = told.including(filter(None, (_find_target(document, told) for _, document in everything)))
        if (options, known) != (self._options, self._known):
            self._options, self._known, self._read = options, known, {}
        makers = {_identify(kind, document) for kind, document in everything if kind is not FollowerKind.HPA}
        made = {owner: hpa for hpa in by_kind[FollowerKind.HPA] if (owner := _find_maker(hpa)) in makers}
        read = {
            _identify(kind, document): self._read_one(kind, document, made.get(_identify(kind, document)), options)
            for kind, document in everything
            if kind is not FollowerKind.HPA or _find_maker(document) not in makers
        }
        self._read = read
        by_workload: dict[WorkloadRef, list[Follower]] = defaultdict(list)
        for _, follower in read.values():
            if follower is not None:
                by_workload[follower.workload].append(follower)
        return {workload: _join(followers) for workload, followers in by_workload.items()}

    def _read_one(
        self,
        kind: FollowerKind,
        document: Mapping[str, Any],
        made: Mapping[str, Any] | None,
        options: ReadingOptions,
    ) -> tuple[_Words, Follower | None]:
        """Return the follower that one object is, beside the words of it that this rests on."""
        words = (_get_words(document), None if made is None else _get_words(made))
        kept = self._read.get(_identify(kind, document))
        if kept is not None and kept[0] == words:
            return kept
        if kind is FollowerKind.HPA:
            return words, read_autoscaler(document, self._known, options)
        if kind is FollowerKind.KEDA:
            return words, read_scaled_object(document, made, self._known, options)
        return words, read_pod_autoscaler(document, self._known, options)


def _get_words(document: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the parts of an object that a follower is read from: not the values it saw, which change all the time."""
    status = get_object(document, "status")
    annotations = get_object(document, "metadata", "annotations")
    return annotations, document.get("spec"), status.get("conditions"), status.get("scheduledBounds")


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
        verb = "sets" if len(others) == 1 else "set"
        message = f"{names} {verb} the same replicas, too; keep one of them"
        obstacle = Obstacle(ObstacleCode.TWO_AUTOSCALERS, message, remedy)
        joined.append(replace(follower, obstacles=sort_obstacles((obstacle, *follower.obstacles))))
    return tuple(joined)


def _get_rank(follower: Follower) -> tuple[bool, float, str, str]:
    width = float("inf") if follower.max_replicas is None else follower.max_replicas - follower.min_replicas
    return not follower.reads_our_number, width, follower.kind, follower.name
