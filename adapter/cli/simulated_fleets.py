"""The built-in fleets of `variant-autoscaler simulate`: LLMs of the embedded fleet, whole or in part, prefill apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from adapter.demo.catalog import CatalogOptions, DemoModel, build_accelerators, build_model
from adapter.demo.profiles import read_prices
from adapter.simulation.asking import to_lengths
from adapter.simulation.fleet import EngineTruth, Fleet
from adapter.simulation.policies import estimate_capacities_per_s
from adapter.simulation.traces import Trace
from optimizer.domain import Role, ServedModel, Settings, Variant, VariantKey, Workload
from optimizer.simulation import EngineLimits

STARTUP_S = 120.0
LEAST_CAP = 24
HEADROOM_RATIO = 4.0


@dataclass(frozen=True, slots=True)
class _Part:
    """An LLM of the catalog; `variants` of it, None for all; and whether the one is split in prefill and decode."""

    nickname: str
    variants: tuple[str, ...] | None = None
    is_apart: bool = False


_PARTS: Mapping[str, tuple[_Part, ...]] = {
    "llama-70b": (_Part("llama-70b"),),
    "llama-8b": (_Part("llama-8b"),),
    "both": (_Part("llama-70b"), _Part("llama-8b")),
    "llama-70b-h100": (_Part("llama-70b", ("h100-tp2-fp8",)),),
    "llama-70b-a100": (_Part("llama-70b", ("a100-tp4",)),),
    "llama-8b-l40s": (_Part("llama-8b", ("l40s-fp8",)),),
    "llama-8b-a100": (_Part("llama-8b", ("a100",)),),
    "llama-70b-apart": (_Part("llama-70b", ("h100-tp2-fp8",), is_apart=True),),
}


def build_fleet(name: str, startup_s: float = STARTUP_S, trace: Trace | None = None) -> Fleet:
    """Return the built-in fleet called `name`; its engines run on measured tables.

    Parameters
    ----------
    name
        Which one.
    startup_s
        Creation to ready of every replica [s].
    trace
        What it is to serve: no variant has an upper bound below `HEADROOM_RATIO` times the replicas that would carry
        the highest minute alone, so that it is policies that are compared, not bounds; None means `LEAST_CAP`.
    """
    options = CatalogOptions(startup_s=startup_s)
    models = tuple(_narrow(build_model(part.nickname, options), part) for part in _PARTS[name])
    whole = sum(model.trace_share_ratio for model in models)
    shares = tuple(model.trace_share_ratio / whole for model in models)
    served = tuple(
        _bound(model.served, LEAST_CAP if trace is None else find_cap(model.served, trace, share))
        for model, share in zip(models, shares, strict=True)
    )
    engines: dict[VariantKey, EngineTruth] = {}
    for model in models:
        engines |= _to_truths(model)
    return Fleet(name, Settings(served, build_accelerators(models, read_prices())), engines, shares)


def find_cap(served: ServedModel, trace: Trace, share_ratio: float) -> int:
    """Return the upper bound of every variant of an LLM that is asked `share_ratio` [0-1] of `trace`."""
    counts = [0] * (math.floor(trace.duration_s / 60.0) + 1)
    for time_s in trace.arrival_s.tolist():
        counts[int(time_s // 60.0)] += 1
    highest_per_s = max(counts) / min(60.0, trace.duration_s)
    workload = Workload(highest_per_s, to_lengths(trace.input_tokens), to_lengths(trace.output_tokens))
    found = estimate_capacities_per_s((served,), {served.key: workload}).values()
    capacities = [one for one in found if one > 0.0] or [math.inf]
    return max(LEAST_CAP, math.ceil(HEADROOM_RATIO * share_ratio * highest_per_s / min(capacities)))


def _bound(served: ServedModel, most: int) -> ServedModel:
    """Return `served` with that upper bound of every variant, and told nothing of its requests beforehand."""
    variants = tuple(replace(variant, max_replicas=most) for variant in served.variants)
    return replace(served, variants=variants, max_replicas=most * len(variants), expected_workload=None)


def _narrow(model: DemoModel, part: _Part) -> DemoModel:
    """Return `model` with the variants of `part` only."""
    kept = [one for one in model.served.variants if part.variants is None or one.name in part.variants]
    variants = tuple(half for one in kept for half in _split(one)) if part.is_apart else tuple(kept)
    engines = {
        half.key(half.main_role): model.engines[one.key()]
        for one in kept
        for half in (_split(one) if part.is_apart else (one,))
    }
    return replace(model, served=replace(model.served, variants=variants), engines=engines)


def _split(variant: Variant) -> Sequence[Variant]:
    """Return one variant for prefill and one for decode on the devices of `variant`."""
    return tuple(
        replace(
            variant,
            name=f"{variant.name}-{role}",
            workload=replace(variant.workload, name=f"{variant.workload.name}-{role}"),
            roles=(role,),
        )
        for role in (Role.PREFILL, Role.DECODE)
    )


def _to_truths(model: DemoModel) -> dict[VariantKey, EngineTruth]:
    return {
        key: EngineTruth(
            engine.performance,
            EngineLimits(
                engine.kv_capacity_tokens,
                engine.block_tokens,
                engine.max_running_requests,
                engine.max_batched_tokens,
            ),
        )
        for key, engine in model.engines.items()
    }
