"""A simulated scenario as cases for bounds: requests, promises, truth about the variants, quota. It solves nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from optimizer.domain import (
    IterationLaw,
    IterationTable,
    LatencyQuantity,
    Role,
    ServedModel,
    Variant,
    VariantKey,
)
from optimizer.errors import InvalidInput
from optimizer.simulation.bounds.asked import AskedRequests, FloatArray
from optimizer.simulation.bounds.case import BoundCase, BoundVariant
from optimizer.simulation.bounds.frontier import FrontierOptions, measure_ceiling
from optimizer.simulation.bounds.speed import make_replica_work
from optimizer.simulation.bounds.work import ReplicaWork
from optimizer.simulation.cluster import Actuation, ClusterOptions, Scenario, StartupTime
from optimizer.simulation.cluster.steering import find_first_decision_s, find_first_sync_s, get_actuation
from optimizer.simulation.decider import Decider
from optimizer.simulation.ticks import NS_PER_S
from optimizer.solver.clairvoyant import ReplicaCap


def make_bound_cases(
    scenario: Scenario,
    *,
    period_s: float,
    phase_s: float = 0.0,
    works: Mapping[VariantKey, ReplicaWork] | None = None,
) -> tuple[BoundCase, ...]:
    """Return a case for every LLM of `scenario`; of one with prefill and decode always apart, one for each of the two.

    Where variants of role both stand beside those, one case has them all: every request takes one of the two ways.

    Parameters
    ----------
    scenario
        What is simulated.
    period_s, phase_s
        When replicas change, see `BoundCase`: syncs of the HPA, or decisions of a scaler that patches by itself [s].
    works
        The least work of variants whose truth is neither a law nor a table, such as noisy or unlike replicas.

    Raises
    ------
    InvalidInput
        If the work of such a variant is missing.
    """
    cases = []
    for number, model in enumerate(scenario.models):
        asked = to_asked(scenario, number)
        for name, variants in _list_pools(model):
            cases.append(
                BoundCase(
                    name=name,
                    requests=asked,
                    variants=tuple(_make_variant(scenario, variant, asked, works or {}) for variant in variants),
                    horizon_s=scenario.horizon_s,
                    period_s=period_s,
                    phase_s=phase_s,
                    caps=_make_caps(scenario, variants),
                )
            )
    return tuple(cases)


def measure_works(
    scenario: Scenario, *, options: FrontierOptions | None = None, seed: int = 0
) -> dict[VariantKey, ReplicaWork]:
    """Return the least work of every variant whose truth is a law or a table, with the ceiling measured on its engine.

    Handed to `make_bound_cases` as `works`, it raises the bounds to what replicas really sustain.
    """
    works = {}
    for number, model in enumerate(scenario.models):
        asked = to_asked(scenario, number)
        for variant in model.variants:
            key = variant.key(variant.main_role)
            plant, of_role = scenario.plants[key], asked.restrict(key.role)
            if isinstance(plant.performance, IterationLaw | IterationTable):
                work = make_replica_work(plant.performance, plant.limits, of_role)
                works[key] = measure_ceiling(plant.performance, plant.limits, of_role, work, options=options, seed=seed)
    return works


def get_rhythm(decider: Decider, options: ClusterOptions, seed: int) -> tuple[float, float]:
    """Return period and phase [s] of the moments at which the replicas of `decider` change: its own, or the syncs.

    They are those of the run of `seed`. One that is asked once changes at its only decision if ever: as moments further
    ones may come behind it, as far apart as the syncs, so that it is compared with the others.
    """
    if get_actuation(decider, options) is Actuation.HPA:
        return options.hpa.sync_s, find_first_sync_s(options, seed)
    first_s = find_first_decision_s(decider, options, seed)
    return options.hpa.sync_s if decider.period_s == math.inf else decider.period_s, first_s


def to_asked(scenario: Scenario, model: int) -> AskedRequests:
    """Return the requests of LLM number `model`, each with the promise of its class."""
    requests = scenario.requests
    mine = np.flatnonzero(requests.model == model)
    inputs = requests.input_tokens[mine].astype(np.float64)
    classes = requests.service_class[mine]
    targets = {quantity: _list_targets(scenario.models[model], quantity)[classes] for quantity in LatencyQuantity}
    return AskedRequests(
        arrival_s=requests.arrival_ns[mine] / NS_PER_S,
        input_tokens=inputs,
        prompt_tokens=np.maximum(inputs - requests.cached_tokens[mine], 1.0),
        decode_tokens=requests.output_tokens[mine].astype(np.float64) - 1.0,
        ttft_s=targets[LatencyQuantity.TTFT],
        itl_s=targets[LatencyQuantity.ITL],
        ttlt_s=targets[LatencyQuantity.TTLT],
    )


def _list_targets(model: ServedModel, quantity: LatencyQuantity) -> FloatArray:
    slos = [service_class.get_slo(quantity) for service_class in model.service_classes]
    return np.array([math.inf if slo is None else slo.target_s for slo in slos], dtype=np.float64)


def _list_pools(model: ServedModel) -> list[tuple[str, list[Variant]]]:
    """Return names and variants of the cases of `model`: by role where each request needs every role, else all."""
    roles = [role for role in Role if any(variant.main_role is role for variant in model.variants)]
    if Role.BOTH in roles:
        return [(model.model_id, list(model.variants))]
    return [(f"{model.model_id} {role}", [one for one in model.variants if one.main_role is role]) for role in roles]


def _make_variant(
    scenario: Scenario, variant: Variant, asked: AskedRequests, works: Mapping[VariantKey, ReplicaWork]
) -> BoundVariant:
    key = variant.key(variant.main_role)
    plant = scenario.plants[key]
    work = works.get(key)
    if work is None:
        if not isinstance(plant.performance, IterationLaw | IterationTable):
            raise InvalidInput(f"works[{key.variant}]", "given where speed is neither law nor table", plant.performance)
        work = make_replica_work(plant.performance, plant.limits, asked.restrict(key.role))
    startup = plant.startup or StartupTime(variant.startup_s)
    return BoundVariant(key, scenario.get_cost_per_hour(key), work, startup.compute_quantile_s(0.0))


def _make_caps(scenario: Scenario, variants: Sequence[Variant]) -> tuple[ReplicaCap, ...]:
    """Return the quota of every accelerator that these variants use."""
    caps = []
    for accelerator, devices in sorted(scenario.quota.items()):
        uses = tuple(
            float(variant.accelerators_per_replica) if variant.accelerator == accelerator else 0.0
            for variant in variants
        )
        if any(uses):
            caps.append(ReplicaCap(accelerator, uses, float(devices)))
    return tuple(caps)
