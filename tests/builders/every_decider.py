"""Every scaler there is, and one short run for all of them: two LLMs, unlike variants, failures, lost pages, noise.

`python -m tests.builders.every_decider` plays all and prints as JSON what came of each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from optimizer.domain import Accelerator, LengthDistribution, Role, ServedModel, Workload
from optimizer.simulation import EngineLimits, NoisyStepTime, StepTime, make_step_time
from optimizer.simulation import deciders as of
from optimizer.simulation.cluster import (
    ClusterOptions,
    HpaOptions,
    Plant,
    Requests,
    RouterKind,
    Scenario,
    ScrapeOptions,
    StartOptions,
    StartupTime,
    simulate,
)
from optimizer.simulation.decider import Decider
from tests.builders.simulated_clusters import CHAT, LAW, make_changing_requests, make_variant

HORIZON_S = 420.0
OPTIONS = ClusterOptions(
    scrape=ScrapeOptions(loss_ratio=0.1, delay_s=1.0),
    start=StartOptions(failure_ratio=0.2, image_pull_s=5.0, node_provision_s=10.0, backoff_s=2.0),
    hpa=HpaOptions(metric_delay_s=2.0),
    grace_s=20.0,
    router=RouterKind.INSTANCE_AWARE,
)
LENGTHS = LengthDistribution(1000.0, 1.1e6), LengthDistribution(200.0, 5e4)


def make_noisy(ordinal: int, generator: np.random.Generator) -> StepTime:
    return NoisyStepTime(make_step_time(LAW, 1.5 if ordinal == 1 else 1.0), 0.1, generator)


def make_scene(*, apart: bool = False) -> Scenario:
    """Return two LLMs, one behind a gateway; with `apart` each has a variant for prefill and one for decode."""
    roles = (Role.PREFILL, Role.DECODE) if apart else (Role.BOTH, Role.BOTH)
    fleets = [
        tuple(
            replace(make_variant(f"{name}{place}", accelerator=accelerator, startup_s=15.0, role=role), model_id=name)
            for place, (accelerator, role) in enumerate(zip(("H100", "L40S"), roles, strict=True))
        )
        for name in ("large", "small")
    ]
    fleets = [tuple(replace(one, max_replicas=6) for one in fleet) for fleet in fleets]
    models = tuple(
        ServedModel("prod", fleet[0].model_id, (CHAT,), fleet, has_gateway=place == 1)
        for place, fleet in enumerate(fleets)
    )
    limits = EngineLimits(kv_capacity_tokens=8_000, max_running_requests=8, max_queued_requests=40)
    plant = Plant(make_noisy, limits, 1, StartupTime(15.0, 40.0))
    plants = {one.key(one.main_role): plant for fleet in fleets for one in fleet}
    plants[fleets[0][1].key(fleets[0][1].main_role)] = replace(plant, routing_rate_per_s=1.0)
    arrivals_s = make_changing_requests([(1.0, 20.0), (7.0, 370.0), (1.0, 30.0)], seed=5).arrival_ns / 1e9
    chance, count = np.random.default_rng(6), len(arrivals_s)
    inputs = chance.integers(100, 2000, count)
    requests = Requests.from_columns(
        arrivals_s,
        inputs,
        chance.integers(10, 400, count),
        cached_tokens=inputs // 3,
        model=chance.integers(0, 2, count),
    )
    accelerators = (Accelerator("H100", 3.0), Accelerator("L40S", 1.1))
    return Scenario(models, accelerators, plants, requests, HORIZON_S, quota={"H100": 7, "L40S": 9})


def _make_ours(scene: Scenario, policy: str, options: Mapping[str, Any]) -> Decider:
    models = tuple(replace(model, policy=policy, policy_options=options) for model in scene.models)
    return of.make_slo(replace(scene.to_settings(), models=models))


def _get_peaks(scene: Scenario) -> dict[Any, Workload]:
    return {model.key: Workload(7.0, *LENGTHS) for model in scene.models}


def _get_rates(scene: Scenario) -> dict[Any, float]:
    return dict.fromkeys(scene.variants, 0.8)


_IN_FLIGHT = {"series": ["vllm:num_requests_running", "vllm:num_requests_waiting"]}
DECIDERS: Mapping[str, Callable[[Scenario], Decider]] = {
    "slo": lambda it: of.make_slo(it.to_settings()),
    "slo, policy kthena": lambda it: _make_ours(
        it,
        "kthena",
        {"metrics": [{"name": "in_flight", "target_value": 3}], "metric_sources": {"in_flight": _IN_FLIGHT}},
    ),
    "slo, policy skyserve": lambda it: _make_ours(it, "skyserve", {"target_qps_per_replica": 0.8}),
    "static": lambda it: of.make_static(dict.fromkeys(it.variants, 2)),
    "static_peak": lambda it: of.make_static_peak(it.to_settings(), _get_peaks(it)),
    "best_homogeneous": lambda it: of.make_best_homogeneous(it.to_settings(), _get_peaks(it)),
    "hpa_queue": lambda it: of.make_hpa_queue(it.models),
    "hpa_kv": lambda it: of.make_hpa_kv(it.models),
    "keda": lambda it: of.make_keda(it.models),
    "knative": lambda it: of.make_knative(it.models, dict.fromkeys(it.variants, 3.0)),
    "kthena": lambda it: of.make_kthena(it.models, it.accelerators, dict.fromkeys(it.variants, 3.0)),
    "skyserve": lambda it: of.make_skyserve(it.models, _get_rates(it), it.accelerators, it.quota),
    "skyserve_rate": lambda it: of.make_skyserve_rate(it.models, _get_rates(it), it.accelerators, it.quota),
    "saturation": lambda it: of.make_saturation(it.models, it.accelerators),
    "saturation_v1": lambda it: of.make_saturation(it.models, it.accelerators, of.SaturationVersion.V1),
    "aibrix": lambda it: of.make_aibrix(it.models, targets=dict.fromkeys(it.variants, 3.0)),
    "aibrix_kpa": lambda it: of.make_aibrix(it.models, of.AibrixStrategy.KPA),
    "aibrix_old": lambda it: of.make_aibrix(it.models, of.AibrixStrategy.APA, of.AibrixVersion.OLD),
    "aibrix_optimizer": lambda it: of.make_aibrix_optimizer(it.models, it.accelerators),
    "ray_serve": lambda it: of.make_ray_serve(it.models, dict.fromkeys(it.variants, 3.0)),
    "dynamo": lambda it: of.make_dynamo(it.models, knows_promises=True),
    "dynamo_rate": lambda it: of.make_dynamo(it.models, of.DynamoMode.RATE),
    "dynamo_pools": lambda it: of.make_dynamo_pools(it.models, of.DynamoMode.LOAD),
    "dynamo_pools_rate": lambda it: of.make_dynamo_pools(it.models),
}


def play(name: str) -> dict[str, Any]:
    """Return what came of the run under the scaler called `name`, as plain values."""
    scene = make_scene(apart="pools" in name)
    result = simulate(scene, DECIDERS[name](scene), OPTIONS, seed=5)
    return {
        "digest": result.to_digest(),
        "decisions": [[one.time_s, one.key.model_id, one.key.variant, one.replicas] for one in result.decisions],
        "endings": [int(count) for count in result.endings.values()],
        "cost": result.cost,
        "changes": sum(len(figures.replicas.requested.value) - 1 for figures in result.variants.values()),
        "failed_starts": sum(figures.failed_starts for figures in result.variants.values()),
        "lost_pages": result.lost_pages,
    }


if __name__ == "__main__":
    print(json.dumps({name: play(name) for name in DECIDERS}))
