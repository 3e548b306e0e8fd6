"""What Dynamo's planner is told in a simulated cluster: paths with what they ship, promises. It scales nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from optimizer.domain import LatencyQuantity, ModelKey, ServedModel, SignalSpec
from optimizer.policy.dynamo import Aim, PlannerSettings, check_planner


class DynamoMode(StrEnum):
    """Which path scales."""

    RATE = "rate"
    LOAD = "load"

    def get_interval_s(self, settings: PlannerSettings) -> float:
        """Return the time between two decisions [s]."""
        return settings.throughput_interval_s if self is DynamoMode.RATE else settings.load_interval_s


@dataclass(frozen=True, slots=True)
class DynamoShipped:
    """What the peer comes with: the settings of both paths."""

    rate: PlannerSettings = field(default_factory=lambda: PlannerSettings(aim=Aim.SLA))
    load: PlannerSettings = field(default_factory=PlannerSettings)

    def get_settings(self, mode: DynamoMode) -> PlannerSettings:
        """Return the settings of one path."""
        return self.rate if mode is DynamoMode.RATE else self.load


@dataclass(frozen=True, slots=True)
class DynamoBrief:
    """Which path scales, and the settings of every LLM; intervals are those of `usual`."""

    mode: DynamoMode
    usual: PlannerSettings
    by_model: dict[ModelKey, PlannerSettings]

    @property
    def interval_s(self) -> float:
        """Time between two decisions [s]."""
        return self.mode.get_interval_s(self.usual)


class Planner:
    """What planners have in common: what they were told, and when they decided last."""

    def __init__(self, brief: DynamoBrief) -> None:
        self.brief = brief
        self._decided_s: float | None = None

    @property
    def period_s(self) -> float:
        """Time between two decisions [s]."""
        return self.brief.interval_s

    @property
    def signals(self) -> Mapping[ModelKey, tuple[SignalSpec, ...]]:
        """None: the usual figures do."""
        return {}

    def measure_interval_s(self, now_s: float) -> float:
        """Return the time since it was asked last, a period at first [s]; it is asked at `now_s` [s]."""
        interval_s = self.period_s if self._decided_s is None else now_s - self._decided_s
        self._decided_s = now_s
        return interval_s


def make_brief(
    models: Iterable[ServedModel], mode: DynamoMode, usual: PlannerSettings, *, knows_promises: bool
) -> DynamoBrief:
    """Return what the planner is told.

    With `knows_promises` its targets are the least that any class of an LLM promises of TTFT and of ITL, of whatever
    percentile: the peer compares means with them. A load path then goes by estimates of latency, for thresholds know
    no target. What an LLM does not promise stays as it is shipped.

    Raises
    ------
    InvalidInput
        When the peer would refuse the settings.
    """
    settings = {model.key: _tell(usual, mode, model) if knows_promises else usual for model in models}
    for one in (usual, *settings.values()):
        check_planner(one)
    return DynamoBrief(mode, usual, settings)


def _tell(usual: PlannerSettings, mode: DynamoMode, model: ServedModel) -> PlannerSettings:
    is_load = mode is DynamoMode.LOAD
    return replace(
        usual,
        aim=Aim.SLA,
        is_load_on=is_load,
        is_throughput_on=not is_load,
        target_ttft_s=_find_target_s(model, LatencyQuantity.TTFT, usual.target_ttft_s),
        target_itl_s=_find_target_s(model, LatencyQuantity.ITL, usual.target_itl_s),
    )


def _find_target_s(model: ServedModel, quantity: LatencyQuantity, otherwise_s: float) -> float:
    slos = (slo for service_class in model.service_classes for slo in service_class.slos)
    return min((slo.target_s for slo in slos if slo.quantity is quantity), default=otherwise_s)
