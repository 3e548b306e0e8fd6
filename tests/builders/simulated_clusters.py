"""Scenarios of a simulated cluster and scalers that follow a script: whole and valid, small enough to count by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from optimizer.domain import (
    Accelerator,
    IterationLaw,
    LatencyQuantity,
    ModelKey,
    PerformanceProfile,
    Role,
    ServedModel,
    ServiceClass,
    SignalSpec,
    Slo,
    Variant,
    VariantKey,
    WorkloadRef,
)
from optimizer.simulation import EngineLimits
from optimizer.simulation.cluster import Plant, Requests, Scenario
from optimizer.simulation.decider import ScraperView

LAW = IterationLaw(0.010, 0.0002, 1e-7, 2e-5)
LIMITS = EngineLimits(kv_capacity_tokens=400_000)
SLOS = (Slo(LatencyQuantity.TTFT, 2.0), Slo(LatencyQuantity.ITL, 0.05))
CHAT = ServiceClass("chat", SLOS)
PRICE_PER_HOUR = 3.0


def make_variant(
    name: str = "a", *, accelerator: str = "H100", startup_s: float = 100.0, role: Role = Role.BOTH
) -> Variant:
    profile = PerformanceProfile(law=LAW, kv_capacity_tokens=LIMITS.kv_capacity_tokens, derate_ratio=1.0)
    workload = WorkloadRef("prod", f"llama-{name}")
    return Variant(
        "prod", "llama", name, workload, accelerator, startup_s=startup_s, roles=(role,), performance=profile
    )


def make_requests(
    rate_per_s: float, horizon_s: float, *, input_tokens: int = 1000, output_tokens: int = 200, seed: int = 1
) -> Requests:
    """Return a Poisson stream of alike requests."""
    return make_changing_requests([(rate_per_s, horizon_s)], input_tokens, output_tokens, seed)


def make_changing_requests(
    stretches: Sequence[tuple[float, float]], input_tokens: int = 1000, output_tokens: int = 200, seed: int = 1
) -> Requests:
    """Return a Poisson stream whose rate [1/s] changes from one stretch [s] to the next."""
    chance, begin_s, arrivals_s = np.random.default_rng(seed), 0.0, []
    for rate_per_s, duration_s in stretches:
        count = round(rate_per_s * duration_s)
        arrivals_s += sorted((begin_s + duration_s * chance.random(count)).tolist())
        begin_s += duration_s
    return Requests.from_columns(arrivals_s, input_tokens, output_tokens)


def make_scenario(
    requests: Requests,
    horizon_s: float,
    *,
    initial: int = 1,
    variants: tuple[Variant, ...] = (),
    plant: Plant | None = None,
    quota: Mapping[str, int] | None = None,
    has_gateway: bool = False,
) -> Scenario:
    """Return one LLM of these variants, each beginning with `initial` replicas."""
    listed = variants or (make_variant(),)
    model = ServedModel("prod", "llama", (CHAT,), listed, has_gateway=has_gateway)
    truth = plant or Plant(LAW, LIMITS)
    plants = {one.key(one.main_role): replace(truth, initial_replicas=initial) for one in listed}
    accelerators = tuple(Accelerator(name, PRICE_PER_HOUR) for name in sorted({one.accelerator for one in listed}))
    return Scenario((model,), accelerators, plants, requests, horizon_s, quota=quota or {})


KEY = make_variant().key()


@dataclass
class Scripted:
    """Asks for what its script says: the newest entry (time [s], replicas) that is not in the future."""

    script: Sequence[tuple[float, Mapping[VariantKey, int]]]
    period_s: float = 15.0
    signals: Mapping[ModelKey, tuple[SignalSpec, ...]] = field(default_factory=dict)
    views: list[ScraperView] = field(default_factory=list)
    keeps_views: bool = False

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        if self.keeps_views:
            self.views.append(view)
        past = [replicas for time_s, replicas in self.script if time_s <= view.now_s]
        return past[-1] if past else {}


def make_static(replicas: Mapping[VariantKey, int] | int) -> Scripted:
    counts = {KEY: replicas} if isinstance(replicas, int) else replicas
    return Scripted([(0.0, counts)], period_s=math.inf)
