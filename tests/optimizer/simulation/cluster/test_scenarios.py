"""Truths that differ from what is told, several LLMs in one cluster, and a fleet that sleeps and wakes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizer.domain import (
    Accelerator,
    Counter,
    LatencyQuantity,
    ModelKey,
    ServedModel,
    ServiceClass,
    Slo,
)
from optimizer.simulation import EngineLimits, NoisyStepTime, StepTime, make_step_time
from optimizer.simulation.cluster import (
    ClusterOptions,
    Ending,
    Plant,
    Requests,
    RouterKind,
    Scenario,
    ScrapeOptions,
    compute_quantile_s,
    simulate,
)
from optimizer.simulation.deciders import make_slo
from tests.builders.simulated_clusters import (
    CHAT,
    KEY,
    LAW,
    LIMITS,
    make_requests,
    make_scenario,
    make_static,
    make_variant,
)


def make_second_slow(ordinal: int, generator: np.random.Generator) -> StepTime:
    return NoisyStepTime(make_step_time(LAW, 2.0 if ordinal == 1 else 1.0), 0.1, generator)


def test_one_replica_may_be_slower_than_the_others() -> None:
    plant = Plant(make_second_slow, LIMITS)
    scenario = make_scenario(make_requests(0.5, 1200.0), 1200.0, initial=2, plant=plant)
    result = simulate(scenario, make_static(2), ClusterOptions(router=RouterKind.ROUND_ROBIN))
    ordered = sorted(result.columns.itl_s)
    fast, slow = float(np.mean(ordered[: len(ordered) // 2])), float(np.mean(ordered[len(ordered) // 2 :]))
    assert slow / fast == pytest.approx(2.0, rel=0.1)
    assert (
        result.to_digest()
        == simulate(scenario, make_static(2), ClusterOptions(router=RouterKind.ROUND_ROBIN)).to_digest()
    )
    assert (
        result.to_digest()
        != simulate(scenario, make_static(2), ClusterOptions(router=RouterKind.ROUND_ROBIN), 1).to_digest()
    )


def test_ours_keeps_its_promise_though_replicas_are_slower_than_it_was_told() -> None:
    slower = replace(LAW, fixed_s=1.3 * LAW.fixed_s, per_prompt_token_s=1.3 * LAW.per_prompt_token_s)
    scenario = make_scenario(make_requests(10.0, 600.0), 600.0, initial=3, plant=Plant(slower, LIMITS))
    assert simulate(scenario, make_slo(scenario.to_settings())).attainment_ratio >= 0.99


def test_cached_prompts_are_computed_in_less_time() -> None:
    cold = Requests.from_columns([10.0], 2000, 10)
    warm = Requests.from_columns([10.0], 2000, 10, cached_tokens=1500)
    times_s = [simulate(make_scenario(one, 60.0), make_static(1)).columns.ttft_s[0] for one in (cold, warm)]
    assert times_s[0] - times_s[1] == pytest.approx(1500 * LAW.per_prompt_token_s, abs=1e-7)


def test_prompts_are_computed_in_chunks_that_others_share() -> None:
    plant = Plant(LAW, EngineLimits(kv_capacity_tokens=100_000, max_running_requests=100, max_batched_tokens=1000))
    alone = simulate(make_scenario(Requests.from_columns([10.0], 5000, 1), 60.0, plant=plant), make_static(1))
    assert alone.columns.ttft_s[0] == pytest.approx(5 * LAW.fixed_s + 5000 * LAW.per_prompt_token_s, abs=1e-7)


def test_places_in_the_batch_are_as_many_as_the_engine_has() -> None:
    requests = Requests.from_columns([10.0] * 3, 100, 50)
    one, two = (
        simulate(
            make_scenario(requests, 60.0, plant=Plant(LAW, EngineLimits(100_000, max_running_requests=places))),
            make_static(1),
        ).columns
        for places in (1, 2)
    )
    assert list(one.ttlt_s) == pytest.approx([place * one.ttlt_s[0] for place in (1, 2, 3)], rel=1e-9)
    assert two.ttft_s[1] < one.ttft_s[1] < two.ttft_s[2] < one.ttft_s[2]


def test_replicas_short_of_blocks_preempt_and_their_pages_tell() -> None:
    requests = Requests.from_columns([10.0] * 8, 300, 300)
    scenario = make_scenario(requests, 120.0, plant=Plant(LAW, EngineLimits(kv_capacity_tokens=3000)))
    decider = make_static(1)
    decider.period_s, decider.keeps_views = 1.0, True
    often = ClusterOptions(scrape=ScrapeOptions(interval_s=1.0))
    assert simulate(scenario, decider, often).endings[Ending.FINISHED] == 8
    (readings,) = decider.views[-1].readings.values()
    assert readings[0].counters[Counter.PREEMPTIONS] > 0
    assert max(view.snapshot.models[0].variants[0].pods[0].kv_cache_ratio or 0.0 for view in decider.views) > 0.8


def test_llms_and_classes_are_told_apart_and_share_devices() -> None:
    fast = ServiceClass("fast", (Slo(LatencyQuantity.TTFT, 0.032),))
    first, second = make_variant(), replace(make_variant("b"), model_id="other")
    models = (
        ServedModel("prod", "llama", (CHAT, fast), (first,)),
        ServedModel("prod", "other", (CHAT,), (second,)),
    )
    requests = Requests.from_columns(
        np.arange(300) * 1.0, [1000, 1500, 1000] * 100, 20, service_class=[0, 1, 0] * 100, model=[0, 0, 1] * 100
    )
    plant = Plant(LAW, LIMITS, initial_replicas=1)
    scenario = Scenario(
        models,
        (Accelerator("H100", 2.0),),
        {first.key(): plant, second.key(): replace(plant, cost_per_hour=5.0)},
        requests,
        360.0,
        quota={"H100": 3},
    )
    result = simulate(scenario, make_static({first.key(): 2, second.key(): 2}))
    found = {(one.model.model_id, one.service_class): one for one in result.classes}
    assert {key: one.requests for key, one in found.items()} == {
        ("llama", "chat"): 100,
        ("llama", "fast"): 100,
        ("other", "chat"): 100,
    }
    assert found["llama", "chat"].attainment_ratio == 1.0
    assert found["llama", "fast"].attainment_ratio == 0.0  # 1500 tokens take 40 ms
    assert result.attainment_ratio == pytest.approx(2 / 3)
    # One device is left for the two that are asked for at 1 s: it goes to the LLM that comes first.
    assert result.variants[first.key()].cost == pytest.approx(2.0 * (360 + 359) / 3600)
    assert result.variants[second.key()].cost == pytest.approx(5.0 * 360 / 3600)


def test_ours_goes_to_sleep_and_wakes_for_the_first_request() -> None:
    arrivals_s = [*np.arange(0.0, 120.0, 2.0), 1500.0, *np.arange(1600.0, 1700.0, 2.0)]
    requests = Requests.from_columns(arrivals_s, 1000, 50)
    scenario = make_scenario(requests, 1800.0, initial=1, has_gateway=True)
    result = simulate(scenario, make_slo(scenario.to_settings()))
    steps = [value for _, value in result.list_replica_steps(KEY)]
    assert 0 in steps
    assert result.endings[Ending.FINISHED] == len(requests)
    # Asked at 1500 s: seen within 15 s, followed within 15 s, and 100 s to start.
    assert 100.0 < compute_quantile_s(result, LatencyQuantity.TTFT, 1.0) < 135.0


def test_a_scaler_is_told_prices_and_names_but_not_the_truth() -> None:
    scenario = make_scenario(make_requests(1.0, 10.0), 10.0, plant=Plant(LAW, LIMITS, cost_per_hour=9.0))
    settings = scenario.to_settings()
    assert settings.get_replica_cost_per_hour(scenario.variants[KEY]) == 3.0
    assert scenario.get_cost_per_hour(KEY) == 9.0
    assert settings.models[0].key == ModelKey("prod", "llama")
