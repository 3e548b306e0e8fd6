"""What a capacity costs us: CPU time of one estimate for a mix never seen before, and of asking again."""

from __future__ import annotations

import time

from optimizer.domain import (
    IterationLaw,
    LatencyQuantity,
    LengthDistribution,
    PerformanceProfile,
    ServiceClass,
    Slo,
    Variant,
    Workload,
    WorkloadRef,
)
from optimizer.queueing import estimate_capacity

MIXES = 100


def measure() -> dict[str, float]:
    """Return CPU milliseconds of a new estimate and of a repeated one."""
    law = IterationLaw(0.0273, 1.18e-4, 5.5e-8, 1.61e-4)
    profile = PerformanceProfile(law=law, kv_capacity_tokens=418_090.0)
    variant = Variant("bench", "llm", "v", WorkloadRef("bench", "v"), "A100", performance=profile)
    slos = Slo(LatencyQuantity.TTFT, 2.0), Slo(LatencyQuantity.ITL, 0.06)
    classes = (ServiceClass("chat", slos),)
    mixes = [Workload(1.0, _lengths(500.0 + 10.0 * step), _lengths(211.0)) for step in range(MIXES)]
    figures: dict[str, float] = {}
    for name in ("new mix", "same mix again"):
        begin_s = time.process_time()
        for mix in mixes:
            estimate_capacity(variant, mix, classes)
        figures[f"{name} [CPU ms]"] = (time.process_time() - begin_s) * 1e3 / MIXES
    return figures


def _lengths(mean_tokens: float) -> LengthDistribution:
    return LengthDistribution(mean_tokens, 1.8 * mean_tokens * mean_tokens)
