"""One HorizontalPodAutoscaler (autoscaling/v2) to the follower it is. Pure.

It scales by ``averageValue`` where that is set, whatever ``target.type`` says; of several metrics the largest proposal
counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapter.cluster import Follower, FollowerKind
from adapter.kube.followers.obstacles import Fault, ObstacleCode, sort_obstacles, to_obstacles
from adapter.kube.followers.recommended import METRIC, make_metric
from adapter.kube.followers.scaling_rules import (
    DEFAULT_TOLERANCE_RATIO,
    Place,
    find_rule_obstacles,
    read_scaling_rules,
)
from adapter.kube.followers.selection import KnownWorkloads, find_selection_faults, read_selection
from adapter.kube.followers.yaml_lines import render_patch
from adapter.kube.json_fields import (
    get_condition,
    get_count,
    get_field,
    get_object,
    get_objects,
    get_quantity,
    get_text,
    is_true,
)
from optimizer.domain import WorkloadRef

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """What autoscalers are read against.

    Attributes
    ----------
    kubernetes_minor
        Of the API server, 37 for 1.37.
    metric
        Name of our metric.
    tolerance_ratio
        Dead band of the cluster's controller where an autoscaler names none [0-1].
    page_units_per_replica
        What the page of one workload counts: 1, or 100 for hundredths.
    """

    kubernetes_minor: int
    metric: str = METRIC
    tolerance_ratio: float = DEFAULT_TOLERANCE_RATIO
    page_units_per_replica: int = 1


@dataclass(frozen=True, slots=True)
class Voice:
    """What an autoscaler says of its own reading: True, False or (None) nothing, in which words."""

    is_active: bool | None
    message: str


def read_autoscaler(autoscaler: Mapping[str, Any], known: KnownWorkloads, options: ReadingOptions) -> Follower | None:
    """Return the follower, None for an object without target or upper bound."""
    namespace, name = get_text(autoscaler, "metadata", "namespace"), get_text(autoscaler, "metadata", "name")
    workload = known.resolve(namespace, get_object(autoscaler, "spec", "scaleTargetRef"))
    lowest, highest = read_bounds(autoscaler)
    if workload is None or highest is None:
        return None
    rules = read_scaling_rules(get_field(autoscaler, "spec", "behavior"), options.tolerance_ratio)
    faults = _find_metric_faults(autoscaler, workload, known, options)
    obstacles = to_obstacles(faults, lambda: _render_metric(name, workload, known, options.metric))
    reads_ours = all(obstacle.code != ObstacleCode.READS_OTHER_METRICS for obstacle in obstacles)
    if reads_ours:
        obstacles += find_rule_obstacles(
            rules,
            (lowest, highest),
            Place(FollowerKind.HPA, namespace, name),
            kubernetes_minor=options.kubernetes_minor,
            dropped=find_dropped_tolerances(autoscaler),
        )
    voice = read_voice(autoscaler)
    return Follower(
        kind=FollowerKind.HPA,
        name=name,
        workload=workload,
        min_replicas=lowest,
        max_replicas=highest,
        obstacles=sort_obstacles(obstacles),
        has_scaled_to_zero=is_true(get_condition(autoscaler, "ScaledToZero")),
        is_active=voice.is_active,
        message=voice.message,
        reads_our_number=reads_ours,
        tolerance_up_ratio=rules.up.tolerance_ratio,
        tolerance_down_ratio=rules.down.tolerance_ratio,
    )


def read_bounds(autoscaler: Mapping[str, Any]) -> tuple[int, int | None]:
    """Return ``minReplicas``, 1 where absent, and ``maxReplicas``."""
    lowest = get_count(autoscaler, "spec", "minReplicas")
    return (1 if lowest is None else lowest), get_count(autoscaler, "spec", "maxReplicas")


def read_voice(autoscaler: Mapping[str, Any]) -> Voice:
    """Return what the conditions say of reading metrics and of scaling.

    At zero replicas an autoscaler reads nothing (reason ``ScalingDisabled``), and so says nothing.
    """
    scaling, able = get_condition(autoscaler, "ScalingActive"), get_condition(autoscaler, "AbleToScale")
    if is_true(able) is False:
        return Voice(False, get_text(able, "message"))
    if get_text(scaling, "reason") == "ScalingDisabled":
        return Voice(None, get_text(scaling, "message"))
    return Voice(is_true(scaling), get_text(scaling, "message"))


def find_dropped_tolerances(autoscaler: Mapping[str, Any]) -> frozenset[str]:
    """Return the directions whose tolerance stands in the manifest last applied, and not in the object."""
    try:
        applied = json.loads(get_text(autoscaler, "metadata", "annotations", _LAST_APPLIED) or "null")
    except ValueError:
        return frozenset()
    return frozenset(
        direction
        for direction in ("scaleUp", "scaleDown")
        if get_field(applied, "spec", "behavior", direction, "tolerance") is not None
        and get_field(autoscaler, "spec", "behavior", direction, "tolerance") is None
    )


def is_our_metric(name: str, metric: str) -> bool:
    """Return whether a metric name is `metric`, or `metric` of one workload (``metric.workload``)."""
    return name == metric or name.startswith(f"{metric}.")


def _find_metric_faults(
    autoscaler: Mapping[str, Any], workload: WorkloadRef, known: KnownWorkloads, options: ReadingOptions
) -> Iterator[Fault]:
    metrics = get_objects(autoscaler, "spec", "metrics")
    ours = [entry for entry in metrics if is_our_metric(get_text(entry, "external", "metric", "name"), options.metric)]
    others = ", ".join(sorted({_name_metric(entry) for entry in metrics if entry not in ours}))
    if not ours:
        message = f"it scales by {others or 'nothing'}, and does not read {options.metric}"
        yield ObstacleCode.READS_OTHER_METRICS, message
        return
    if len(metrics) > 1:
        message = f"the largest proposal of its {len(metrics)} metrics counts{f' ({others})' if others else ''}"
        yield ObstacleCode.FURTHER_METRICS, message
    source, target = get_object(ours[0], "external", "metric"), get_object(ours[0], "external", "target")
    selector = get_object(source, "selector")
    selection = read_selection(workload.namespace, get_text(source, "name"), selector, options.metric)
    yield from find_selection_faults(selection, workload, known)
    average = get_quantity(target, "averageValue")
    if average is None:
        yield ObstacleCode.TARGET_IS_VALUE, "target Value multiplies the number by the ready replicas, and runs away"
    elif average != 1.0:
        message = f"averageValue {target['averageValue']} divides the number; 1 takes it as it is"
        yield ObstacleCode.TARGET_NOT_ONE, message


def _render_metric(name: str, workload: WorkloadRef, known: KnownWorkloads, metric: str) -> str:
    wanted = make_metric(workload, metric, has_namesake=bool(known.get_namesakes(workload)))
    return render_patch(FollowerKind.HPA, workload.namespace, name, {"spec": {"metrics": [wanted]}})


def _name_metric(entry: Mapping[str, Any]) -> str:
    kind = get_text(entry, "type")
    source = get_object(entry, kind[:1].lower() + kind[1:])
    return get_text(source, "metric", "name") or get_text(source, "name") or kind
