"""A static fleet: what it costs by hand, and that every request ends exactly once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from optimizer.domain import (
    Accelerator,
    IterationLaw,
    LatencyQuantity,
    ModelKey,
    ServedModel,
    ServiceClass,
    SignalSpec,
    Slo,
    Variant,
    VariantKey,
    WorkloadRef,
)
from optimizer.simulation import EngineLimits
from optimizer.simulation.cluster import Ending, Plant, Requests, Scenario, simulate
from optimizer.simulation.decider import ScraperView

LAW = IterationLaw(0.010, 0.0002, 1e-7, 2e-5)


@dataclass
class Constant:
    replicas: Mapping[VariantKey, int]
    period_s: float = math.inf
    signals: Mapping[ModelKey, tuple[SignalSpec, ...]] = field(default_factory=dict)

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        return self.replicas


def test_it_costs_price_times_replicas_times_hours_and_serves_all() -> None:
    variant = Variant("prod", "llama", "a", WorkloadRef("prod", "llama-a"), "H100", startup_s=100.0)
    slos = (Slo(LatencyQuantity.TTFT, 2.0), Slo(LatencyQuantity.ITL, 0.1))
    model = ServedModel("prod", "llama", (ServiceClass("chat", slos),), (variant,))
    arrivals_s = np.cumsum(np.random.default_rng(1).exponential(0.5, 2000))
    requests = Requests.from_columns(arrivals_s, 1000, 200)
    plant = Plant(LAW, EngineLimits(kv_capacity_tokens=400_000), initial_replicas=3)
    scenario = Scenario((model,), (Accelerator("H100", 3.0),), {variant.key(): plant}, requests, 1800.0)
    result = simulate(scenario, Constant({variant.key(): 3}))
    assert result.cost == 3 * 3.0 * 0.5
    assert result.endings[Ending.FINISHED] == 2000
    assert result.attainment_ratio == 1.0
