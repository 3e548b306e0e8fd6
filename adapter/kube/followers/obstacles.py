"""What can keep our number from being followed, as codes in order of gravity. Data only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TypeAlias

from adapter.cluster import Obstacle


class ObstacleCode(StrEnum):
    """Every obstacle, worst first: what acts against the plan, what reads nothing, what is late, what loses steps."""

    TWO_AUTOSCALERS = "TwoAutoscalers"
    STRATEGY_RUNS_AWAY = "StrategyRunsAway"
    ENDPOINT_READS_ZERO = "EndpointReadsZero"
    TARGET_IS_VALUE = "TargetIsValue"
    TARGET_NOT_ONE = "TargetNotOne"
    SELECTS_ANOTHER = "SelectsAnother"
    SELECTS_SEVERAL = "SelectsSeveral"
    READS_OTHER_METRICS = "ReadsOtherMetrics"
    FURTHER_METRICS = "FurtherMetrics"
    ABSENCE_READS_AS_ZERO = "AbsenceReadsAsZero"
    NO_AUTOSCALER = "NoAutoscaler"
    CANNOT_READ = "CannotRead"
    PAUSED = "Paused"
    PUT_TO_ZERO_BY_HAND = "PutToZeroByHand"
    CANNOT_WAKE = "CannotWake"
    MAX_REPLICAS_BELOW_PLAN = "MaxReplicasBelowPlan"
    MIN_REPLICAS_ABOVE_ZERO = "MinReplicasAboveZero"
    MIN_REPLICAS_ABOVE_PLAN = "MinReplicasAbovePlan"
    NEVER_LEAVES_ZERO = "NeverLeavesZero"
    SCALE_UP_DISABLED = "ScaleUpDisabled"
    SCALE_DOWN_DISABLED = "ScaleDownDisabled"
    ACTIVATION_ABOVE_ONE = "ActivationAboveOne"
    PREDICTIVE = "Predictive"
    METRIC_AVERAGED = "MetricAveraged"
    SLOW_SCALE_UP = "SlowScaleUp"
    SLOW_SCALE_DOWN = "SlowScaleDown"
    SLOW_TO_ZERO = "SlowToZero"
    SCALE_UP_WINDOW = "ScaleUpWindow"
    SCALE_DOWN_WINDOW = "ScaleDownWindow"
    TOLERANCE_DROPPED = "ToleranceDropped"
    TOLERANCE_ABOVE_ZERO = "ToleranceAboveZero"


Fault: TypeAlias = tuple[ObstacleCode, str]
"""A code with its message, before anybody has said what to change."""

BRIDGEABLE = frozenset({ObstacleCode.TOLERANCE_DROPPED, ObstacleCode.TOLERANCE_ABOVE_ZERO})
"""What a patch of ``/scale`` makes good: steps lost in the dead band."""

_RANKS = {code.value: rank for rank, code in enumerate(ObstacleCode)}


def sort_obstacles(obstacles: Iterable[Obstacle]) -> tuple[Obstacle, ...]:
    """Return `obstacles` with the worst first; one of a code that is not known here comes last."""
    return tuple(sorted(obstacles, key=lambda obstacle: _RANKS.get(obstacle.code, len(_RANKS))))


def to_obstacles(faults: Iterable[Fault], render_remedy: Callable[[], str]) -> list[Obstacle]:
    """Return `faults` with the one remedy of them all, which is written only where there are any."""
    found = list(faults)
    remedy = render_remedy() if found else ""
    return [Obstacle(code, message, remedy) for code, message in found]
