"""Random truths, promises, streams and scalers: no bill is below the bound, and some are exactly at it."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np

from optimizer.domain import IterationLaw, IterationTable, LatencyQuantity, ServiceClass, Slo
from optimizer.simulation import EngineLimits
from optimizer.simulation.bounds import LadderOptions, compute_run_ladder
from optimizer.simulation.cluster import Actuation, ClusterOptions, Plant, Requests, RouterKind, Scenario, simulate
from tests.builders import simulated_clusters as clusters

HORIZON_S = 300.0
OPTIONS = LadderOptions(stretches_s=(60.0, 150.0, 300.0), has_reference=False)
TABLE = IterationTable(
    batches=(1.0, 8.0, 32.0, 128.0),
    contexts_tokens=(256.0, 1024.0, 4096.0),
    decode_s=((0.010, 0.0101, 0.0108), (0.011, 0.0115, 0.014), (0.013, 0.015, 0.022), (0.02, 0.03, 0.06)),
    prompts_tokens=(128.0, 512.0, 2048.0, 8192.0),
    prefill_s=(0.012, 0.022, 0.06, 0.25),
)
TRUTHS = (clusters.LAW, TABLE, IterationLaw(0.02, 5e-4, 2e-7, 1e-4), IterationLaw(0.005, 1e-5, 2e-7, 1e-5))


def draw_promise(rng: random.Random) -> ServiceClass:
    slos = [Slo(LatencyQuantity.TTFT, rng.choice([0.3, 1.0, 5.0]))]
    if rng.random() < 0.7:
        slos.append(Slo(LatencyQuantity.ITL, rng.choice([0.016, 0.025, 0.05, 0.2])))
    if rng.random() < 0.4:
        slos.append(Slo(LatencyQuantity.TTLT, rng.choice([3.0, 10.0, 40.0])))
    return ServiceClass("chat", tuple(slos))


def draw_requests(rng: random.Random, seed: int) -> Requests:
    """Draw a stream of alike or unlike requests, some in waves, some of them held by a prefix cache."""
    chance = np.random.default_rng(seed)
    times_s = np.sort(chance.uniform(0.0, HORIZON_S, int(HORIZON_S * rng.choice([2, 6, 12]))))
    if rng.random() < 0.3:
        times_s = np.floor(times_s / 5.0) * 5.0
    count = len(times_s)
    if rng.random() < 0.4:
        inputs, outputs = np.full(count, rng.choice([50, 500, 2000])), np.full(count, rng.choice([1, 2, 50, 300]))
    else:
        inputs = np.minimum(chance.lognormal(5.5, 1.2, count).astype(np.int64) + 1, 8000)
        outputs = chance.integers(1, rng.choice([5, 100, 400]), count)
    cached = np.minimum(inputs // 2 if rng.random() < 0.3 else 0 * inputs, inputs - 1)
    return Requests.from_columns(times_s, inputs, outputs, cached_tokens=cached)


def draw_scenario(rng: random.Random, seed: int) -> Scenario:
    lines = (
        clusters.make_variant("a", startup_s=rng.choice([1.0, 20.0, 60.0])),
        clusters.make_variant("b", accelerator="L40S", startup_s=30.0),
    )[: rng.choice([1, 1, 2])]
    quota = rng.choice([None, {"H100": 3}])
    scenario = clusters.make_scenario(draw_requests(rng, seed), HORIZON_S, variants=lines, quota=quota)
    limits = EngineLimits(rng.choice([12_000, 60_000, 400_000]), max_running_requests=rng.choice([8, 64, 256]))
    plants = {
        line.key(): Plant(rng.choice(TRUTHS), limits, rng.choice([0, 1, 2]), cost_per_hour=rng.choice([1.0, 3.0]))
        for line in lines
    }
    model = replace(scenario.models[0], service_classes=(draw_promise(rng),))
    return replace(scenario, models=(model,), plants=plants)


def draw_scaler(rng: random.Random, scenario: Scenario) -> clusters.Scripted:
    """Draw a scaler that never changes anything, or asks for something else every time."""
    steady = rng.choice([1, 1, 2]) if rng.random() < 0.6 else None
    return clusters.Scripted(
        [
            (15.0 * step, {key: rng.choice([0, 1, 2, 4]) if steady is None else steady for key in scenario.variants})
            for step in range(20)
        ]
    )


def test_no_random_run_is_below_its_bound() -> None:
    ratios = []
    for seed in range(16):
        rng = random.Random(seed)
        scenario = draw_scenario(rng, seed)
        scaler = draw_scaler(rng, scenario)
        actuation, router = (
            rng.choice([None, Actuation.HPA]),
            rng.choice([RouterKind.LEAST_LOAD, RouterKind.ROUND_ROBIN]),
        )
        options = ClusterOptions(actuation=actuation, router=router)
        result = simulate(scenario, scaler, options, seed=seed)
        ladder = compute_run_ladder(scenario, result, scaler, options, options=OPTIONS)
        assert not ladder.violations, (seed, ladder.violations)
        if ladder.total.bound > 0.0:
            ratios.append(result.cost / ladder.total.bound)
    assert len(ratios) > 8
    assert min(ratios) < 1.1
