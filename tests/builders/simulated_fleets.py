"""Fleets and traces for the command that simulates: small enough to count by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from adapter.simulation.fleet import EngineTruth, Fleet
from adapter.simulation.running import Outcome
from adapter.simulation.traces import Trace
from optimizer.domain import Accelerator, ServedModel, Settings, Variant
from tests.builders.simulated_clusters import CHAT, LAW, LIMITS, PRICE_PER_HOUR, make_variant


def make_fleet(*variants: Variant) -> Fleet:
    """Return one LLM of `variants`, or of one on H100 at 3 an hour that starts in 100 s, as fast as it is told."""
    listed = variants or (make_variant(),)
    names = sorted({variant.accelerator for variant in listed})
    settings = Settings(
        (ServedModel("prod", "llama", (CHAT,), listed, has_gateway=True),),
        tuple(Accelerator(name, PRICE_PER_HOUR) for name in names),
    )
    return Fleet("small", settings, {variant.key(variant.main_role): EngineTruth(LAW, LIMITS) for variant in listed})


def make_trace(
    arrival_s: list[float], duration_s: float, *, input_tokens: int = 1000, output_tokens: int = 101
) -> Trace:
    """Return a trace of alike requests."""
    ones = np.ones(len(arrival_s), dtype=np.int64)
    return Trace("tiny", np.array(arrival_s), ones * input_tokens, ones * output_tokens, duration_s)


def falsify(outcome: Outcome) -> Outcome:
    """Return `outcome` with a bill that nobody can reach."""
    variants = {one: replace(figures, billed_ns=1) for one, figures in outcome.result.variants.items()}
    result, ladder = replace(outcome.result, variants=variants), outcome.ladder
    if ladder is not None:
        ladder = replace(ladder, cost=0.0, models=tuple(replace(one, cost=0.0) for one in ladder.models))
    return replace(outcome, result=result, ladder=ladder)
