"""One AIBrix PodAutoscaler to the follower it is. Pure.

Two forms read our number: from the external metrics API under a name of its own (``external`` without an endpoint), and
in version 0.4 from our page (an ``endpoint`` and a path). With strategy KPA, mean value v, target T, rates u and d::

    need(v) = ceil(v / T), or the present count n while T (1 - down) <= v <= T (1 + up)
    next    = need clipped to [floor(n / d), max(1, ceil(u n))], then to the bounds

so the number is taken as it is when T lies a little above 1 (at T = 1 the number 1 would mean "stay"), except that the
step away from zero is to 1 first. Version 0.4 has no band: T is 1 there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapter.cluster import Follower, FollowerKind, Obstacle
from adapter.config.quantities import parse_duration_s
from adapter.kube.followers.horizontal_pod_autoscaler import ReadingOptions, is_our_metric, read_voice
from adapter.kube.followers.obstacles import Fault, ObstacleCode, sort_obstacles, to_obstacles
from adapter.kube.followers.selection import KnownWorkloads, find_selection_faults, read_selection
from adapter.kube.followers.yaml_lines import Tree, render_patch
from adapter.kube.json_fields import (
    get_count,
    get_object,
    get_objects,
    get_quantity,
    get_text,
    get_texts,
)
from optimizer.domain import WorkloadRef

_HEAD = "autoscaling.aibrix.ai/"
_OLD = "kpa.autoscaling.aibrix.ai/"
_PEERS_OWN_PAGE = "aibrix-gpu-optimizer"
_FREE_RATE = "1000"
_EXACT_TARGET = "1.0001"
"""Exact up to 10,000 replicas."""


@dataclass(frozen=True, slots=True)
class _Reader:
    """One PodAutoscaler with the source that reads our number."""

    document: Mapping[str, Any]
    source: Mapping[str, Any]
    lowest: int
    highest: int

    @property
    def is_old(self) -> bool:
        """Whether it is meant for version 0.4: it reads a page, and has annotations that only that version reads."""
        annotations = get_texts(self.document, "metadata", "annotations")
        return bool(get_text(self.source, "endpoint")) and any(key.startswith(_OLD) for key in annotations)

    def get_annotation(self, key: str, default: str) -> str:
        """Return an annotation."""
        return get_texts(self.document, "metadata", "annotations").get(key, default)

    def get_number(self, key: str, default: str) -> float:
        """Return an annotation as a number, the default's when it cannot be read."""
        number = get_quantity({"": self.get_annotation(key, default)}, "")
        return float(default) if number is None else number

    def get_duration_s(self, key: str, default: str) -> float:
        """Return an annotation as a duration [s], the default's when it cannot be read."""
        try:
            return parse_duration_s(self.get_annotation(key, default))
        except ValueError:
            return parse_duration_s(default)

    def render_annotations(self, annotations: Mapping[str, str]) -> str:
        """Return the YAML lines that set annotations."""
        return self._render({"metadata": {"annotations": annotations}})

    def render_spec(self, spec: Mapping[str, Tree]) -> str:
        """Return the YAML lines that change the spec."""
        return self._render({"spec": spec})

    def _render(self, patch: Tree) -> str:
        namespace = get_text(self.document, "metadata", "namespace")
        return render_patch(FollowerKind.POD_AUTOSCALER, namespace, get_text(self.document, "metadata", "name"), patch)


def read_pod_autoscaler(document: Mapping[str, Any], known: KnownWorkloads, options: ReadingOptions) -> Follower | None:
    """Return the follower, None for an object without target or upper bound."""
    namespace, name = get_text(document, "metadata", "namespace"), get_text(document, "metadata", "name")
    workload = known.resolve(namespace, get_object(document, "spec", "scaleTargetRef"))
    lowest, highest = _read_bounds(document)
    if workload is None or highest is None:
        return None
    sources = get_objects(document, "spec", "metricsSources")
    source = next((entry for entry in sources if _is_ours(entry, options.metric)), None)
    reader = _Reader(document, source or {}, lowest, highest)

    def render_source() -> str:
        return reader.render_spec({"metricsSources": [_mend_source(reader, workload, options)]})

    if source is None:
        message = f"its sources do not read {options.metric}"
        obstacles = [Obstacle(ObstacleCode.READS_OTHER_METRICS, message, render_source())]
    else:
        obstacles = to_obstacles(_find_source_faults(reader, workload, known, options), render_source)
        obstacles += _find_strategy_obstacles(reader)
        obstacles += _find_old_obstacles(reader) if reader.is_old else _find_head_obstacles(reader)
        obstacles += _find_rate_obstacles(reader)
    voice = read_voice(document)
    return Follower(
        kind=FollowerKind.POD_AUTOSCALER,
        name=name,
        workload=workload,
        min_replicas=lowest,
        max_replicas=highest,
        obstacles=sort_obstacles(obstacles),
        is_active=voice.is_active,
        message=voice.message,
        reads_our_number=source is not None,
    )


def _read_bounds(document: Mapping[str, Any]) -> tuple[int, int | None]:
    """Return the bounds; those that a schedule puts in force go first."""
    scheduled = get_object(document, "status", "scheduledBounds")
    lowest, highest = get_count(scheduled, "effectiveMinReplicas"), get_count(scheduled, "effectiveMaxReplicas")
    written = get_count(document, "spec", "minReplicas")
    if lowest is None:
        lowest = 1 if written is None else written
    return lowest, get_count(document, "spec", "maxReplicas") if highest is None else highest


def _is_ours(source: Mapping[str, Any], metric: str) -> bool:
    if get_text(source, "metricSourceType") not in ("external", "domain"):
        return False
    name, endpoint = get_text(source, "targetMetric"), get_text(source, "endpoint")
    if endpoint:
        return name.removeprefix("vllm:") == metric and _PEERS_OWN_PAGE not in endpoint
    return is_our_metric(name, metric)


def _make_source(workload: WorkloadRef, metric: str) -> Tree:
    return {
        "metricSourceType": "external",
        "targetMetric": f"{metric}.{workload.name}",
        "targetValue": _EXACT_TARGET,
    }


def _find_source_faults(
    reader: _Reader, workload: WorkloadRef, known: KnownWorkloads, options: ReadingOptions
) -> Iterator[Fault]:
    count, endpoint = len(get_objects(reader.document, "spec", "metricsSources")), get_text(reader.source, "endpoint")
    if count > 1:
        yield ObstacleCode.FURTHER_METRICS, f"the largest result of its {count} sources counts"
    if endpoint:
        path, wanted = get_text(reader.source, "path").partition("?")[0], _get_path(workload)
        if path != wanted:
            yield ObstacleCode.SELECTS_ANOTHER, f"it reads {path or 'no path'}, not {wanted}"
        if not reader.is_old:
            message = "from version 0.5 on an endpoint reads as 0.0, which drains the workload"
            yield ObstacleCode.ENDPOINT_READS_ZERO, message
    else:
        name = get_text(reader.source, "targetMetric")
        selection = read_selection(workload.namespace, name, None, options.metric)
        faults = list(find_selection_faults(selection, workload, known))
        if not faults and name == options.metric:
            message = f"it cannot select: {name} is all workloads of the namespace"
            faults = [(ObstacleCode.SELECTS_SEVERAL, message)]
        yield from faults
    units, target = options.page_units_per_replica if endpoint else 1, get_quantity(reader.source, "targetValue")
    if target is None or not _is_exact(target / units, reader.highest, can_hold=not reader.is_old):
        written = get_text(reader.source, "targetValue") or "missing"
        yield ObstacleCode.TARGET_NOT_ONE, f"targetValue {written} changes the number"


def _mend_source(reader: _Reader, workload: WorkloadRef, options: ReadingOptions) -> Tree:
    """Return the one source it should have."""
    if not reader.is_old:
        return _make_source(workload, options.metric)
    return {**reader.source, "path": _get_path(workload), "targetValue": str(options.page_units_per_replica)}


def _get_path(workload: WorkloadRef) -> str:
    return f"/metrics/{workload.namespace}/{workload.name}"


def _is_exact(target: float, highest: int, *, can_hold: bool) -> bool:
    """Whether ``ceil(v / target)`` is v for every v up to `highest`, and no v equals the target where that holds."""
    if target < 1.0 or (can_hold and target == 1.0):
        return False
    return math.ceil(highest / target) == highest


def _find_strategy_obstacles(reader: _Reader) -> Iterator[Obstacle]:
    strategy = get_text(reader.document, "spec", "scalingStrategy")
    if strategy != "KPA":
        message = f"strategy {strategy or 'missing'} multiplies or replaces the number; KPA takes it as it is"
        yield Obstacle(ObstacleCode.STRATEGY_RUNS_AWAY, message, reader.render_spec({"scalingStrategy": "KPA"}))


def _find_head_obstacles(reader: _Reader) -> Iterator[Obstacle]:
    """Yield what the annotations and windows of versions from 0.5 on make of the number."""
    up, down = (
        reader.get_number(f"{_HEAD}scale-up-tolerance", "0.1"),
        reader.get_number(f"{_HEAD}scale-down-tolerance", "0.1"),
    )
    target = get_quantity(reader.source, "targetValue") or 1.0
    held = range(math.ceil(target * (1.0 - down)), math.floor(target * (1.0 + up)) + 1)
    if (up > 0 or down > 0) and any(1 <= number <= reader.highest for number in held):
        message = f"it stays where it is while the number is {held[0]}" + (f" to {held[-1]}" if len(held) > 1 else "")
        remedy = reader.render_annotations({f"{_HEAD}scale-up-tolerance": "0", f"{_HEAD}scale-down-tolerance": "0"})
        yield Obstacle(ObstacleCode.TOLERANCE_ABOVE_ZERO, message, remedy)
    yield from _find_delay(reader, f"{_HEAD}scale-up-cooldown-window", "0s", ObstacleCode.SCALE_UP_WINDOW)
    yield from _find_delay(reader, f"{_HEAD}scale-down-cooldown-window", "300s", ObstacleCode.SCALE_DOWN_WINDOW)
    windows = {key: get_count(reader.document, "spec", key) for key in ("observeWindowSeconds", "panicWindowSeconds")}
    if any(window != 1 for window in windows.values()):
        message = "it averages the number over its windows, 180 s and 60 s by default"
        remedy = reader.render_spec(dict.fromkeys(windows, 1))
        yield Obstacle(ObstacleCode.METRIC_AVERAGED, message, remedy)
    if get_text(reader.document, "spec", "predictive", "mode") == "Auto":
        message = "it raises the number by a projection of its own"
        yield Obstacle(ObstacleCode.PREDICTIVE, message, reader.render_spec({"predictive": None}))


def _find_old_obstacles(reader: _Reader) -> Iterator[Obstacle]:
    """Yield what the annotations of version 0.4 make of the number."""
    yield from _find_delay(reader, f"{_OLD}scale-down-delay", "30m", ObstacleCode.SCALE_DOWN_WINDOW)
    windows = {f"{_OLD}stable-window": "60s", f"{_OLD}panic-window": "10s"}
    if any(reader.get_duration_s(key, default) > 1.0 for key, default in windows.items()):
        message = "it averages the number over its windows, 60 s and 10 s by default"
        yield Obstacle(ObstacleCode.METRIC_AVERAGED, message, reader.render_annotations(dict.fromkeys(windows, "1s")))
    if reader.get_number(f"{_OLD}activation-scale", "1") > 1:
        message = "a number below its activation scale is raised to it"
        remedy = reader.render_annotations({f"{_OLD}activation-scale": "1"})
        yield Obstacle(ObstacleCode.ACTIVATION_ABOVE_ONE, message, remedy)


def _find_delay(reader: _Reader, key: str, default: str, code: ObstacleCode) -> Iterator[Obstacle]:
    window_s = reader.get_duration_s(key, default)
    if window_s > 0:
        message = f"{key.rpartition('/')[2]} {window_s:g} s: older numbers count besides the present one"
        yield Obstacle(code, message, reader.render_annotations({key: "0s"}))


def _find_rate_obstacles(reader: _Reader) -> Iterator[Obstacle]:
    lowest, highest = reader.lowest, reader.highest
    if lowest >= highest:
        return
    up_key, down_key = f"{_HEAD}max-scale-up-rate", f"{_HEAD}max-scale-down-rate"
    up, down = reader.get_number(up_key, "2"), reader.get_number(down_key, "2")
    rate = str(max(int(_FREE_RATE), highest + 1))
    start = max(lowest, 1)
    if max(1, math.ceil(up * start)) < highest:
        message = f"max-scale-up-rate {up:g}: from {start} replicas one step leads to {max(1, math.ceil(up * start))}"
        yield Obstacle(ObstacleCode.SLOW_SCALE_UP, message, reader.render_annotations({up_key: rate}))
    if down <= 0 or math.floor(highest / down) > lowest:
        message = f"max-scale-down-rate {down:g}: from {highest} replicas one step leads no lower than {lowest} at once"
        yield Obstacle(ObstacleCode.SLOW_SCALE_DOWN, message, reader.render_annotations({down_key: rate}))
