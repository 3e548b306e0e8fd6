"""Random truths, promises, streams, clusters and scalers: no bill is below the bound, and some are exactly at it."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np

from adapter.simulation.truth import NoisyTruth, find_least_works
from optimizer.domain import IterationLaw, IterationTable, LatencyQuantity, ServiceClass, Slo
from optimizer.simulation import EngineLimits
from optimizer.simulation.bounds import LadderOptions, compute_run_ladder
from optimizer.simulation.cluster import (
    Actuation,
    ClusterOptions,
    HpaOptions,
    Plant,
    Requests,
    RouterKind,
    Scenario,
    StartOptions,
    simulate,
)
from tests.builders import simulated_clusters as clusters

RUNS = 60
HORIZON_S = 300.0
OPTIONS = LadderOptions(stretches_s=(60.0, 150.0, 300.0), has_reference=False)
TABLE = IterationTable(
    batches=(1.0, 8.0, 32.0, 128.0),
    contexts_tokens=(256.0, 1024.0, 4096.0),
    decode_s=((0.010, 0.0101, 0.0108), (0.011, 0.0115, 0.014), (0.013, 0.015, 0.022), (0.02, 0.03, 0.06)),
    prompts_tokens=(128.0, 512.0, 2048.0, 8192.0),
    prefill_s=(0.012, 0.022, 0.06, 0.25),
)
TRUTHS = (
    clusters.LAW,
    TABLE,
    IterationLaw(0.02, 5e-4, 2e-7, 1e-4),
    IterationLaw(0.005, 1e-5, 2e-7, 1e-5),
    IterationLaw(0.016, 0.0, 0.0, 0.0),
)
PACES_S = (0.016, 0.025, 0.05, 0.2, 0.0101, 0.0202, 0.00505, 0.01605)
"""Those below 5 % above the fixed time of a law come last."""


def draw_promise(rng: random.Random, name: str) -> ServiceClass:
    slos = [Slo(LatencyQuantity.TTFT, rng.choice([0.3, 1.0, 5.0]))]
    if rng.random() < 0.7:
        slos.append(Slo(LatencyQuantity.ITL, rng.choice(PACES_S)))
    if rng.random() < 0.4:
        slos.append(Slo(LatencyQuantity.TTLT, rng.choice([3.0, 10.0, 40.0])))
    return ServiceClass(name, tuple(slos))


def draw_requests(rng: random.Random, seed: int, llms: int, classes: int) -> Requests:
    """Draw a stream of alike or unlike requests, some in waves, some of them held by a prefix cache, of any LLM."""
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
    asked = Requests.from_columns(times_s, inputs, outputs, cached_tokens=cached)
    return Requests(
        asked.arrival_ns,
        asked.input_tokens,
        asked.output_tokens,
        asked.cached_tokens,
        chance.integers(0, classes, count),
        chance.integers(0, llms, count),
    )


def draw_plant(rng: random.Random, limits: EngineLimits) -> Plant:
    truth, noise_ratio = rng.choice(TRUTHS), rng.choice([0.0, 0.0, 0.3, 0.8])
    return Plant(
        NoisyTruth(truth, noise_ratio) if noise_ratio else truth,
        limits,
        rng.choice([0, 1, 2]),
        cost_per_hour=rng.choice([1.0, 3.0]),
    )


def draw_scenario(rng: random.Random, seed: int) -> Scenario:
    lines = (
        clusters.make_variant("a", startup_s=rng.choice([1.0, 20.0, 60.0])),
        clusters.make_variant("b", accelerator="L40S", startup_s=30.0),
    )[: rng.choice([1, 1, 2])]
    llms, classes = rng.choice([1, 1, 2]), rng.choice([1, 1, 2])
    scenario = clusters.make_scenario(
        Requests.from_columns([], 1, 1),
        HORIZON_S,
        variants=lines,
        quota=rng.choice([None, {"H100": 3}]),
        has_gateway=rng.random() < 0.5,
    )
    models = tuple(
        replace(
            scenario.models[0],
            model_id=f"llm{number}",
            variants=tuple(replace(line, model_id=f"llm{number}") for line in lines),
            service_classes=tuple(draw_promise(rng, f"class{place}") for place in range(classes)),
        )
        for number in range(llms)
    )
    limits = EngineLimits(rng.choice([12_000, 60_000, 400_000]), max_running_requests=rng.choice([8, 64, 256]))
    plants = {line.key(): draw_plant(rng, limits) for model in models for line in model.variants}
    requests = draw_requests(rng, seed, llms, classes)
    return replace(scenario, models=models, plants=plants, requests=requests)


def draw_scaler(rng: random.Random, scenario: Scenario) -> clusters.Scripted:
    """Draw a scaler that asks for the same every time, or for something else; it may be asked once only."""
    steady = rng.choice([1, 1, 2]) if rng.random() < 0.6 else None
    return clusters.Scripted(
        [
            (15.0 * step, {key: rng.choice([0, 1, 2, 4]) if steady is None else steady for key in scenario.variants})
            for step in range(20)
        ],
        period_s=rng.choice([15.0, 15.0, 7.5, 40.0, math.inf]),
    )


def draw_options(rng: random.Random) -> ClusterOptions:
    return ClusterOptions(
        start=StartOptions(failure_ratio=rng.choice([0.0, 0.0, 0.4]), backoff_s=5.0),
        hpa=HpaOptions(sync_s=rng.choice([15.0, 25.0])),
        actuation=rng.choice([None, Actuation.HPA]),
        decision_delay_s=rng.choice([None, 0.0, 9.0]),
        router=rng.choice([RouterKind.LEAST_LOAD, RouterKind.ROUND_ROBIN]),
    )


def test_no_random_run_is_below_its_bound() -> None:
    ratios = []
    for seed in range(RUNS):
        rng = random.Random(seed)
        scenario = draw_scenario(rng, seed)
        scaler = draw_scaler(rng, scenario)
        options = draw_options(rng)
        result = simulate(scenario, scaler, options, seed=seed)
        works = find_least_works(scenario)
        ladder = compute_run_ladder(scenario, result, scaler, options, options=OPTIONS, works=works)
        assert not ladder.violations, (seed, ladder.violations)
        if ladder.total.bound > 0.0:
            ratios.append(result.cost / ladder.total.bound)
    assert len(ratios) > RUNS // 2
    assert min(ratios) < 1.1
