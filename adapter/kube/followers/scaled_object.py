"""One KEDA ScaledObject to the follower it is. Pure.

Its operator steps between 0 and 1 by itself, from a trigger's activation; between its minimum and its maximum acts a
HorizontalPodAutoscaler that it makes. Where that one is given, its rules and its words count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from adapter.cluster import Follower, FollowerKind, Obstacle
from adapter.kube.followers.horizontal_pod_autoscaler import ReadingOptions, Voice, read_voice
from adapter.kube.followers.obstacles import Fault, ObstacleCode, sort_obstacles, to_obstacles
from adapter.kube.followers.scaling_rules import (
    Place,
    find_rule_obstacles,
    read_scaling_rules,
)
from adapter.kube.followers.selection import KnownWorkloads
from adapter.kube.followers.yaml_lines import Tree, render_patch
from adapter.kube.json_fields import (
    get_condition,
    get_count,
    get_field,
    get_object,
    get_objects,
    get_quantity,
    get_text,
    get_texts,
    is_true,
)
from optimizer.domain import WorkloadRef

_BEHAVIOR = ("spec", "advanced", "horizontalPodAutoscalerConfig", "behavior")
_COOLDOWN_S = 300
_MAX_REPLICAS = 100
_PAUSES = tuple(
    f"autoscaling.keda.sh/{key}" for key in ("paused-replicas", "paused", "paused-scale-in", "paused-scale-out")
)
_THRESHOLDS = {
    "prometheus": ("threshold", "activationThreshold"),
    "metrics-api": ("targetValue", "activationTargetValue"),
}


def read_scaled_object(
    scaled: Mapping[str, Any], made: Mapping[str, Any] | None, known: KnownWorkloads, options: ReadingOptions
) -> Follower | None:
    """Return the follower, None for an object without target.

    Parameters
    ----------
    scaled
        The ScaledObject.
    made
        The HorizontalPodAutoscaler it made, None when it cannot be seen.
    known, options
        As for every follower.
    """
    namespace, name = get_text(scaled, "metadata", "namespace"), get_text(scaled, "metadata", "name")
    workload = known.resolve(namespace, get_object(scaled, "spec", "scaleTargetRef"))
    if workload is None:
        return None
    lowest, idle = get_count(scaled, "spec", "minReplicaCount") or 0, get_count(scaled, "spec", "idleReplicaCount")
    written_max = get_count(scaled, "spec", "maxReplicaCount")
    highest = _MAX_REPLICAS if written_max is None else written_max
    behavior = get_field(made, "spec", "behavior") if made is not None else get_field(scaled, *_BEHAVIOR)
    rules = read_scaling_rules(behavior, options.tolerance_ratio)
    ours = [entry for entry in get_objects(scaled, "spec", "triggers") if _is_ours(entry, workload, options.metric)]
    obstacles = [] if ours else [_tell_others(scaled, options.metric)]
    if ours:
        faults = _find_trigger_faults(scaled, ours[0], workload)
        obstacles += to_obstacles(faults, lambda: _render_trigger(scaled, _mend(ours[0], workload, options.metric)))
        obstacles += _find_operator_obstacles(scaled, reaches_zero=0 in (lowest, idle))
        obstacles += find_rule_obstacles(
            rules,
            (max(lowest, 1), highest),  # it makes an autoscaler with a minimum of 1 at least
            Place(FollowerKind.KEDA, namespace, name, _BEHAVIOR),
            kubernetes_minor=options.kubernetes_minor,
            dropped=_find_dropped(scaled, made),
        )
    voice = _read_voice(scaled, made)
    return Follower(
        kind=FollowerKind.KEDA,
        name=name,
        workload=workload,
        min_replicas=lowest if idle is None else min(idle, lowest),
        max_replicas=highest,
        obstacles=sort_obstacles(obstacles),
        is_active=voice.is_active,
        message=voice.message,
        reads_our_number=bool(ours),
        tolerance_up_ratio=rules.up.tolerance_ratio,
        tolerance_down_ratio=rules.down.tolerance_ratio,
    )


def _is_ours(trigger: Mapping[str, Any], workload: WorkloadRef, metric: str) -> bool:
    """Whether a trigger asks for our metric, our page of the workload, or our JSON."""
    word = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(metric)}(?![A-Za-z0-9_])")
    paths = (f"/metrics/{workload.namespace}/{workload.name}", "/v1/decisions")
    texts = get_texts(trigger, "metadata").values()
    return any(word.search(text) or any(path in text for path in paths) for text in texts)


def _tell_others(scaled: Mapping[str, Any], metric: str) -> Obstacle:
    kinds = ", ".join(sorted({get_text(entry, "type") for entry in get_objects(scaled, "spec", "triggers")}))
    return Obstacle(ObstacleCode.READS_OTHER_METRICS, f"its triggers ({kinds or 'none'}) do not read {metric}", "")


def _find_trigger_faults(
    scaled: Mapping[str, Any], trigger: Mapping[str, Any], workload: WorkloadRef
) -> Iterator[Fault]:
    count, kind = len(get_objects(scaled, "spec", "triggers")), get_text(trigger, "type")
    metadata = get_texts(trigger, "metadata")
    if count > 1 or get_text(scaled, "spec", "advanced", "scalingModifiers", "formula"):
        message = f"the largest proposal of its {count} triggers counts, or a formula over them"
        yield ObstacleCode.FURTHER_METRICS, message
    if not _names(workload, metadata):
        message = f"its {kind} trigger does not ask for {workload.kind} {workload.name} by name"
        yield ObstacleCode.SELECTS_ANOTHER, message
    if get_text(trigger, "metricType") == "Value":
        message = "metricType Value multiplies the number by the ready replicas, and runs away"
        yield ObstacleCode.TARGET_IS_VALUE, message
    if kind not in _THRESHOLDS:
        return
    threshold, activation = _THRESHOLDS[kind]
    if get_quantity(metadata, threshold) != 1.0:
        message = f"{threshold} {metadata.get(threshold, 'is missing')} divides the number; 1 takes it as it is"
        yield ObstacleCode.TARGET_NOT_ONE, message
    if (get_quantity(metadata, activation) or 0.0) >= 1.0:
        message = f"{activation} {metadata[activation]}: it leaves zero only above that number"
        yield ObstacleCode.ACTIVATION_ABOVE_ONE, message
    if kind == "prometheus" and metadata.get("ignoreNullValues", "true").lower() != "false":
        message = "a number that is not there reads as 0 (ignoreNullValues): it drains the workload when we are away"
        yield ObstacleCode.ABSENCE_READS_AS_ZERO, message


def _mend(trigger: Mapping[str, Any], workload: WorkloadRef, metric: str) -> Tree:
    """Return `trigger` as it should be: about this workload, the number taken as it is, and held when it is away."""
    kind, metadata = get_text(trigger, "type"), get_texts(trigger, "metadata")
    mended = {key: value for key, value in metadata.items() if not key.startswith("activation")}
    namespace, name = workload.namespace, workload.name
    if kind in _THRESHOLDS:
        mended[_THRESHOLDS[kind][0]] = "1"
    if kind == "prometheus":
        mended["ignoreNullValues"] = "false"
        if not _names(workload, mended):
            mended["query"] = f'max({metric}{{namespace="{namespace}",deployment="{name}"}})'
    elif not _names(workload, mended) and "url" in mended:
        mended["url"] = re.sub(r"/metrics/[^/?]+/[^/?]+", f"/metrics/{namespace}/{name}", mended["url"])
    kept = {key: value for key, value in trigger.items() if key not in ("metricType", "metadata")}
    return {**kept, "metricType": "AverageValue", "metadata": mended}


def _names(workload: WorkloadRef, metadata: Mapping[str, str]) -> bool:
    """Whether a trigger asks for `workload` by name."""
    name = re.compile(rf"(?<![A-Za-z0-9-]){re.escape(workload.name)}(?![A-Za-z0-9.-])")
    return any(name.search(text) for text in metadata.values())


def _render_trigger(scaled: Mapping[str, Any], trigger: Tree) -> str:
    spec: dict[str, Tree] = {"triggers": [trigger]}
    if get_text(scaled, "spec", "advanced", "scalingModifiers", "formula"):
        spec["advanced"] = {"scalingModifiers": None}
    return _render(scaled, {"spec": spec})


def _find_operator_obstacles(scaled: Mapping[str, Any], *, reaches_zero: bool) -> Iterator[Obstacle]:
    annotations = get_texts(scaled, "metadata", "annotations")
    paused: dict[str, Tree] = {key: None for key in _PAUSES if annotations.get(key, "false").lower() != "false"}
    if paused:
        remedy = _render(scaled, {"metadata": {"annotations": paused}})
        yield Obstacle(ObstacleCode.PAUSED, f"it is paused by annotation ({', '.join(paused)})", remedy)
    cooldown = get_count(scaled, "spec", "cooldownPeriod")
    cooldown_s = _COOLDOWN_S if cooldown is None else cooldown
    if cooldown_s > 0 and reaches_zero:
        message = f"it goes to zero {cooldown_s} s after the last number above zero"
        yield Obstacle(ObstacleCode.SLOW_TO_ZERO, message, _render(scaled, {"spec": {"cooldownPeriod": 0}}))


def _find_dropped(scaled: Mapping[str, Any], made: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the directions whose tolerance the ScaledObject names, and the autoscaler it made has not."""
    if made is None:
        return frozenset()
    return frozenset(
        direction
        for direction in ("scaleUp", "scaleDown")
        if get_field(scaled, *_BEHAVIOR, direction, "tolerance") is not None
        and get_field(made, "spec", "behavior", direction, "tolerance") is None
    )


def _read_voice(scaled: Mapping[str, Any], made: Mapping[str, Any] | None) -> Voice:
    ready = get_condition(scaled, "Ready")
    if made is None or is_true(ready) is False:
        return Voice(is_true(ready), get_text(ready, "message"))
    voice = read_voice(made)
    return Voice(is_true(ready) if voice.is_active is None else voice.is_active, voice.message)


def _render(scaled: Mapping[str, Any], patch: Tree) -> str:
    namespace, name = get_text(scaled, "metadata", "namespace"), get_text(scaled, "metadata", "name")
    return render_patch(FollowerKind.KEDA, namespace, name, patch)
