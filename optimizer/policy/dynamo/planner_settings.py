"""Dynamo planner: what it may be told, with what it ships, and what it refuses. No rule of scaling.

Source: NVIDIA Dynamo, planner configuration at 1b5541004f37.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from optimizer.errors import InvalidInput
from optimizer.policy.dynamo.load_paths import Aim
from optimizer.policy.dynamo.predictors import PredictorKind


@dataclass(frozen=True, slots=True)
class PlannerSettings:
    """The planner's configuration; the defaults are the peer's.

    Attributes
    ----------
    aim
        What is optimized; another than ``sla`` forces the load path on and the throughput path off.
    is_throughput_on, is_load_on
        Which paths scale, with ``sla``.
    target_ttft_s, target_itl_s
        Targets of the mean latencies [s].
    throughput_interval_s, load_interval_s
        Time between two decisions of the paths [s].
    min_replicas
        Least replicas of every pool.
    min_accelerators, max_accelerators
        Band of the budget, -1 for no end.
    max_step_replicas
        Most that the throughput path moves a pool at once.
    sensitivity_ratio
        Share of a target that the survivors of a decrease may use [0-1].
    least_observations, most_samples, cells
        Of the fits of iteration times.
    predictor
        How the next interval is foreseen.
    has_sweep
        Whether the engine was measured before, which the throughput path needs.
    environment, namespace
        Where it runs; the global planner needs a namespace.
    report_interval_hours
        Time between two reports [h], None for none.
    """

    aim: Aim = Aim.THROUGHPUT
    is_throughput_on: bool = True
    is_load_on: bool = False
    target_ttft_s: float = 0.5
    target_itl_s: float = 0.05
    throughput_interval_s: float = 180.0
    load_interval_s: float = 5.0
    min_replicas: int = 1
    min_accelerators: int = -1
    max_accelerators: int = 8
    max_step_replicas: int = 8
    sensitivity_ratio: float = 0.8
    least_observations: int = 5
    most_samples: int = 64
    cells: int = 16
    predictor: PredictorKind = PredictorKind.ARIMA
    has_sweep: bool = True
    environment: str = "kubernetes"
    namespace: str | None = None
    report_interval_hours: float | None = 24.0

    @property
    def scales_by_throughput(self) -> bool:
        """Whether the throughput path runs."""
        return self.aim is Aim.SLA and self.is_throughput_on

    @property
    def scales_by_load(self) -> bool:
        """Whether the load path runs."""
        return self.aim is not Aim.SLA or self.is_load_on


def check_planner(settings: PlannerSettings) -> None:
    """Check what the peer checks.

    Raises
    ------
    InvalidInput
        At the first thing that it refuses.
    """
    if not (settings.scales_by_throughput or settings.scales_by_load):
        raise InvalidInput("is_throughput_on, is_load_on", "true for at least one", False)
    if settings.scales_by_throughput and not settings.has_sweep:
        raise InvalidInput("has_sweep", "true with the throughput path", False)
    both = settings.scales_by_throughput and settings.scales_by_load
    if both and settings.load_interval_s >= settings.throughput_interval_s:
        bound = f"< throughput_interval_s, which is {settings.throughput_interval_s:g} [s]"
        raise InvalidInput("load_interval_s", bound, settings.load_interval_s)
    if math.isqrt(max(settings.cells, 0)) ** 2 != settings.cells or settings.cells < 1:
        raise InvalidInput("cells", "a square >= 1", settings.cells)
    if settings.environment == "global-planner" and not settings.namespace:
        raise InvalidInput("namespace", "given with environment global-planner", settings.namespace)
    hours = settings.report_interval_hours
    if hours is not None and hours <= 0.0:
        raise InvalidInput("report_interval_hours", "> 0 [h]", hours)
