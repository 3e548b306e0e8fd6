"""Whether the ``behavior`` of a pod autoscaler lets every step through, at once and exactly. Pure.

Limits of one step from ``c`` replicas, where ``start`` is the count at the beginning of a policy's period::

    up     max (or min) over policies of start + pods and ceil(start (1 + percent / 100))
    down   min (or max) over policies of start - pods and int(start (1 - percent / 100))
    none   without a behavior: up to max(2 c, 4), down without limit, the highest proposal of 300 s counts

Both limits grow with ``start``, and it lies between the bounds: all steps pass exactly when the limit from the lower
bound reaches the upper one, and the other way round. In the dead band the steps of one replica near the upper bound are
lost first, for ``(n - 1) / n`` and ``n / (n - 1)`` are then nearest to one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapter.cluster import Obstacle
from adapter.kube.followers.obstacles import ObstacleCode
from adapter.kube.followers.recommended import (
    GATED_TOLERANCE_MINOR,
    SETTABLE_TOLERANCE_MINOR,
    make_rules,
    render_configuration,
)
from adapter.kube.followers.yaml_lines import Tree, nest, render_patch
from adapter.kube.json_fields import get_count, get_object, get_objects, get_quantity, get_text

DEFAULT_TOLERANCE_RATIO = 0.1
DEFAULT_DOWN_WINDOW_S = 300.0
_UP, _DOWN = "scaleUp", "scaleDown"
_BRIDGE = render_configuration({"kubernetes": {"bridge_tolerance": True}})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ``behavior`` stands: the object, and the keys above it."""

    kind: str
    namespace: str
    name: str
    path: tuple[str, ...] = ("spec", "behavior")

    def render(self, change: Tree, note: str = "") -> str:
        """Return the YAML lines that merge `change` into the behavior."""
        return render_patch(self.kind, self.namespace, self.name, nest(self.path, change), note)


@dataclass(frozen=True, slots=True)
class Policy:
    """At most `value` replicas, or percent of what there was, within a period."""

    is_percent: bool
    value: int

    def compute_limit(self, start: int, sign: int) -> int:
        """Return how far one period leads from `start` replicas, upwards for `sign` 1, downwards for -1 [replicas]."""
        if not self.is_percent:
            return start + sign * self.value
        moved = start * (1 + sign * self.value / 100)
        return math.ceil(moved) if sign > 0 else int(moved)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one direction as they are in force, defaults filled in; `select` is Max, Min or Disabled."""

    policies: tuple[Policy, ...]
    select: str
    window_s: float
    tolerance_ratio: float

    def compute_limit(self, start: int, sign: int) -> int:
        """Return how far one step may lead from `start` replicas [replicas]."""
        if self.select == "Disabled" or not self.policies:
            return start
        farthest = sign > 0 if self.select == "Max" else sign < 0
        limits = [policy.compute_limit(start, sign) for policy in self.policies]
        return max(limits) if farthest else min(limits)


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """The rules of both directions."""

    up: Rules
    down: Rules
    has_behavior: bool

    def compute_upper_limit(self, start: int) -> int:
        """Return the most replicas one step leads to from `start`."""
        return self.up.compute_limit(start, 1) if self.has_behavior else max(2 * start, 4)

    def compute_lower_limit(self, start: int) -> int:
        """Return the fewest replicas one step leads to from `start`."""
        return self.down.compute_limit(start, -1) if self.has_behavior else 0


def read_scaling_rules(behavior: Mapping[str, Any] | None, tolerance_ratio: float) -> ScalingRules:
    """Return what `behavior` means, None for none; `tolerance_ratio` is the cluster's own dead band [0-1]."""
    up_defaults = (Policy(False, 4), Policy(True, 100))
    return ScalingRules(
        up=_read_rules(get_object(behavior, _UP), up_defaults, 0.0, tolerance_ratio),
        down=_read_rules(get_object(behavior, _DOWN), (Policy(True, 100),), DEFAULT_DOWN_WINDOW_S, tolerance_ratio),
        has_behavior=behavior is not None,
    )


def _read_rules(
    rules: Mapping[str, Any], defaults: tuple[Policy, ...], window_s: float, tolerance_ratio: float
) -> Rules:
    policies = tuple(
        Policy(get_text(entry, "type") == "Percent", get_count(entry, "value") or 0)
        for entry in get_objects(rules, "policies")
    )
    window, tolerance = get_count(rules, "stabilizationWindowSeconds"), get_quantity(rules, "tolerance")
    return Rules(
        policies=policies or defaults,
        select=get_text(rules, "selectPolicy") or "Max",
        window_s=window_s if window is None else float(window),
        tolerance_ratio=tolerance_ratio if tolerance is None else tolerance,
    )


def find_rule_obstacles(
    rules: ScalingRules,
    bounds: tuple[int, int],
    place: Place,
    *,
    kubernetes_minor: int,
    dropped: frozenset[str] = frozenset(),
) -> Iterator[Obstacle]:
    """Yield what limits, delays or loses steps between the bounds.

    Parameters
    ----------
    rules
        Those in force.
    bounds
        The fewest replicas the autoscaler acts from, and the most [replicas].
    place
        Where to change the rules.
    kubernetes_minor
        Of the API server: before 1.35 a tolerance needs a feature gate, before 1.33 there is none.
    dropped
        Directions whose tolerance was written, and was lost on the way into the API server.
    """
    lowest, highest = bounds
    if lowest < highest:
        yield from _find_up_obstacles(rules, lowest, highest, place)
        yield from _find_down_obstacles(rules, lowest, highest, place)
        lost = _find_lost_steps(rules, lowest, highest)
        if lost:
            yield _tell_tolerance(lost, place, kubernetes_minor, dropped)


def _find_up_obstacles(rules: ScalingRules, lowest: int, highest: int, place: Place) -> Iterator[Obstacle]:
    limit = rules.compute_upper_limit(lowest)
    if limit < highest:
        code = ObstacleCode.SLOW_SCALE_UP
        message = f"from {lowest} replicas one step leads to {limit}, not to its maximum of {highest}"
        if rules.has_behavior and rules.up.select == "Disabled":
            code, message = ObstacleCode.SCALE_UP_DISABLED, "it never adds a replica"
        elif limit <= lowest == 0:
            code, message = ObstacleCode.NEVER_LEAVES_ZERO, "a percentage of zero is zero: it never leaves zero"
        yield Obstacle(code, message, _render_rules(_UP, highest, place))
    if rules.has_behavior and rules.up.window_s > 0:
        message = f"a higher number counts after {rules.up.window_s:g} s of it"
        yield Obstacle(ObstacleCode.SCALE_UP_WINDOW, message, _render_window(_UP, place))


def _find_down_obstacles(rules: ScalingRules, lowest: int, highest: int, place: Place) -> Iterator[Obstacle]:
    limit = rules.compute_lower_limit(highest)
    if limit > lowest:
        code = ObstacleCode.SLOW_SCALE_DOWN
        message = f"from {highest} replicas one step leads to {limit}, not to its minimum of {lowest}"
        if rules.has_behavior and rules.down.select == "Disabled":
            code, message = ObstacleCode.SCALE_DOWN_DISABLED, "it never removes a replica"
        yield Obstacle(code, message, _render_rules(_DOWN, highest, place))
    if rules.down.window_s > 0:
        message = f"a lower number counts after {rules.down.window_s:g} s of it"
        yield Obstacle(ObstacleCode.SCALE_DOWN_WINDOW, message, _render_window(_DOWN, place))


def _find_lost_steps(rules: ScalingRules, lowest: int, highest: int) -> dict[str, str]:
    """Return the directions in which steps fall into the dead band, each with a step that does."""
    lost = {}
    if highest - 1 >= max(lowest, 1) and highest / (highest - 1) <= 1.0 + rules.up.tolerance_ratio:
        lost[_UP] = f"{highest - 1} to {highest}"
    if (highest - 1) / highest >= 1.0 - rules.down.tolerance_ratio:
        lost[_DOWN] = f"{highest} to {highest - 1}"
    return lost


def _tell_tolerance(lost: Mapping[str, str], place: Place, kubernetes_minor: int, dropped: frozenset[str]) -> Obstacle:
    message = f"steps within its tolerance are ignored, such as {' and '.join(lost.values())}"
    if dropped & lost.keys():
        message += "; the tolerance that was written is gone: this API server drops the field"
        return Obstacle(ObstacleCode.TOLERANCE_DROPPED, message, _BRIDGE)
    if kubernetes_minor < GATED_TOLERANCE_MINOR:
        return Obstacle(ObstacleCode.TOLERANCE_ABOVE_ZERO, message, _BRIDGE)
    gate = "" if kubernetes_minor >= SETTABLE_TOLERANCE_MINOR else "needs the feature gate HPAConfigurableTolerance"
    remedy = place.render({direction: {"tolerance": 0} for direction in lost}, gate)
    return Obstacle(ObstacleCode.TOLERANCE_ABOVE_ZERO, message, remedy)


def _render_rules(direction: str, highest: int, place: Place) -> str:
    return place.render({direction: make_rules(direction, highest)})


def _render_window(direction: str, place: Place) -> str:
    return place.render({direction: {"stabilizationWindowSeconds": 0}})
