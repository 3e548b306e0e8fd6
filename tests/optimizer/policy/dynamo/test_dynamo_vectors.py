from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optimizer.errors import InvalidInput
from optimizer.policy.dynamo import (
    AcceleratorBudget,
    AggregatedLaw,
    Aim,
    BatchLimits,
    DecodeLaw,
    DecodeLoad,
    KalmanNoise,
    LoadAnswer,
    LoadSettings,
    MeanLengths,
    Pair,
    PlannerSettings,
    PoolSizes,
    PredictorKind,
    PrefillLaw,
    PrefillLoad,
    ProfiledDemand,
    cap_step,
    check_planner,
    clamp_pair,
    compute_concurrency,
    compute_corrections,
    count_replicas,
    find_aggregated_capacity,
    find_decode_capacity,
    find_prefill_capacity,
    fit_pair,
    guard_pair,
    guard_single,
    plan_pools,
    predict,
    round_to_budget,
    scan_decode_row,
    step_decode_easily,
    step_decode_load,
    step_prefill_easily,
    step_prefill_load,
)

VECTORS = Path(__file__).parents[3] / "data" / "vectors" / "dynamo.json"
CASES = json.loads(VECTORS.read_text())["cases"]
Given = dict[str, Any]


def interpolated_replicas(given: Given) -> Given:
    demand = ProfiledDemand(
        given["predicted_requests"], given["interval_s"], given["input_tokens"], given["output_tokens"]
    )
    tokens_per_s = (given["prefill_tokens_per_s_per_accelerator"], given["decode_tokens_per_s_per_accelerator"])
    prefill, decode = plan_pools(demand, tokens_per_s, given["prefill_correction_ratio"], make_sizes(given))
    return {"prefill_replicas": prefill, "decode_replicas": decode}


def make_sizes(given: Given) -> PoolSizes:
    return PoolSizes(
        given["accelerators_per_prefill_replica"],
        given["accelerators_per_decode_replica"],
        given["min_replicas"],
        given["accelerator_budget"],
    )


def budget_rounded(given: Given) -> Given:
    sizes = make_sizes(given)
    prefill, decode = round_to_budget(given["prefill_replicas"], given["decode_replicas"], sizes)
    total = prefill * sizes.prefill_accelerators + decode * sizes.decode_accelerators
    return {"prefill_replicas": prefill, "decode_replicas": decode, "accelerators": total}


def decode_grid_scan(given: Given) -> Given:
    index = scan_decode_row(given["itl_s"], given["target_itl_s"])
    tokens_per_s = given["decode_tokens_per_s_per_accelerator"][index]
    return {"index": index, "decode_tokens_per_s_per_accelerator": tokens_per_s}


def correction(given: Given) -> Given:
    found = compute_corrections(
        (given["observed_ttft_s"], given["observed_itl_s"]),
        (given["interpolated_ttft_s"], given["interpolated_itl_s"]),
        given["target_itl_s"],
    )
    return {
        "prefill_correction_ratio": found.prefill_ratio,
        "decode_correction_ratio": found.decode_ratio,
        "corrected_target_itl_s": found.target_itl_s,
    }


def concurrency(given: Given) -> Given:
    requests = compute_concurrency(
        given["requests"], given["request_duration_s"], given["interval_s"], given["decode_replicas"]
    )
    context_tokens = MeanLengths(given["input_tokens"], given["output_tokens"]).context_tokens
    return {
        "concurrent_requests": requests,
        "context_tokens": context_tokens,
        "kv_cache_ratio": requests * context_tokens / given["max_kv_tokens"],
    }


def make_budget(given: Given) -> AcceleratorBudget:
    return AcceleratorBudget(
        given["accelerators_per_prefill_replica"],
        given["accelerators_per_decode_replica"],
        given["min_accelerators"],
        given["max_accelerators"],
        given["prefill_min_replicas"],
        given["decode_min_replicas"],
    )


def make_pair(given: Given, prefix: str = "") -> Pair:
    return Pair(given[f"{prefix}prefill_replicas"], given[f"{prefix}decode_replicas"])


def budget_clamp_pair(given: Given) -> Given:
    pair = clamp_pair(make_pair(given), make_budget(given))
    return {"prefill_replicas": pair.prefill, "decode_replicas": pair.decode}


def budget_fit_pair(given: Given) -> Given:
    pair = fit_pair(make_pair(given, "current_"), make_pair(given, "proposed_"), make_budget(given))
    return {"prefill_replicas": pair.prefill, "decode_replicas": pair.decode}


def budget_guard_pair(given: Given) -> Given:
    pair, reason = guard_pair(make_pair(given, "current_"), make_pair(given, "proposed_"), make_budget(given))
    return {"prefill_replicas": pair.prefill, "decode_replicas": pair.decode, "reason": reason}


def budget_guard_single(given: Given) -> Given:
    replicas, reason = guard_single(
        given["current_replicas"],
        given["proposed_replicas"],
        given["accelerators_per_replica"],
        (given["min_accelerators"], given["max_accelerators"]),
        given["min_replicas"],
    )
    return {"replicas": replicas, "reason": reason}


def step_cap(given: Given) -> Given:
    pairs = zip(given["current_replicas"], given["computed_replicas"], strict=True)
    return {"capped_replicas": [cap_step(current, computed, given["max_step_replicas"]) for current, computed in pairs]}


def throughput_replicas(given: Given) -> Given:
    return {"replicas": count_replicas(given["demand_per_s"], given["capacity_per_s"], given["min_replicas"])}


def prefill_capacity(given: Given) -> Given:
    law = PrefillLaw(given["slope_s_per_token"], given["intercept_s"])
    found = find_prefill_capacity(law, given["input_tokens"], given["max_batched_tokens"])
    return {"capacity_per_s": found.capacity_per_s, "ttft_s": found.ttft_s}


def make_decode_law(given: Given) -> DecodeLaw:
    return DecodeLaw(given["slope_s_per_request"], given["slope_s_per_kv_token"], given["intercept_s"])


def decode_capacity(given: Given) -> Given:
    limits = BatchLimits(0, given["max_kv_tokens"], given["max_batch_requests"])
    found = find_decode_capacity(
        make_decode_law(given), given["context_tokens"], given["output_tokens"], limits, given["target_itl_s"]
    )
    return {"batch_requests": found.batch_requests, "capacity_per_s": found.capacity_per_s, "itl_s": found.itl_s}


def aggregated_capacity(given: Given) -> Given:
    found = find_aggregated_capacity(
        AggregatedLaw(given["slope_s_per_prefill_token"], given["slope_s_per_kv_token"], given["intercept_s"]),
        MeanLengths(given["input_tokens"], given["output_tokens"], given["kv_hit_ratio"]),
        BatchLimits(given["max_batched_tokens"], given["max_kv_tokens"], given["max_batch_requests"]),
        target_ttft_s=given["target_ttft_s"],
        target_itl_s=given["target_itl_s"],
        mean_input_tokens=given["average_input_tokens"],
    )
    return {
        "balance_limit_requests": found.limit_requests,
        "batch_requests": found.batch_requests,
        "capacity_per_s": found.capacity_per_s,
        "ttft_s": found.ttft_s,
        "itl_s": found.itl_s,
    }


def tell(answer: LoadAnswer, estimate: str) -> Given:
    return {"replicas": answer.replicas, "reason": answer.reason, estimate: list(answer.estimates_s)}


def load_prefill(given: Given) -> Given:
    load = PrefillLoad(
        tuple(given["queued_prefill_tokens"]),
        given["average_input_tokens"],
        given["max_batched_tokens"],
        given["kv_hit_ratio"],
    )
    settings = LoadSettings(given["target_ttft_s"], given["sensitivity_percent"] / 100, given["min_replicas"])
    law = PrefillLaw(given["slope_s_per_token"], given["intercept_s"])
    return tell(step_prefill_load(law, load, settings), "estimated_ttft_s")


def make_decode_load(given: Given) -> DecodeLoad:
    return DecodeLoad(
        tuple(given["scheduled_kv_tokens"]),
        tuple(given["queued_kv_tokens"]),
        given.get("average_context_tokens", 0.0),
        given.get("average_batch_requests", 0.0),
        given["max_kv_tokens"],
    )


def load_decode(given: Given) -> Given:
    settings = LoadSettings(given["target_itl_s"], given["sensitivity_percent"] / 100, given["min_replicas"])
    return tell(step_decode_load(make_decode_law(given), make_decode_load(given), settings), "estimated_itl_s")


def easy_prefill(given: Given) -> Given:
    aim = Aim(given["target"])
    queued = given["queued_prefill_tokens"]
    return {"replicas": step_prefill_easily(queued, given["context_length_tokens"], aim, given["min_replicas"])}


def easy_decode(given: Given) -> Given:
    load = make_decode_load(given)
    aim = Aim(given["target"])
    return {"replicas": step_decode_easily(load, given["max_kv_tokens"], aim, given["min_replicas"])}


def easy_aggregated(given: Given) -> Given:
    queued = zip(given["queued_kv_tokens"], given["queued_prefill_tokens"], strict=True)
    return easy_decode({**given, "queued_kv_tokens": [sum(pair) for pair in queued]})


def predict_kalman(given: Given) -> Given:
    noise = KalmanNoise(given["q_level"], given["q_trend"], given["r"])
    return {"next": list_predictions(PredictorKind.KALMAN, given["observed"], noise)}


def predict_constant(given: Given) -> Given:
    return {"next": list_predictions(PredictorKind.CONSTANT, given["observed"], None)}


def list_predictions(kind: PredictorKind, observed: list[float | None], noise: KalmanNoise | None) -> list[float]:
    return [predict(kind, observed[: index + 1], noise) for index in range(len(observed))]


NAMES = {
    "enable_throughput_scaling": "is_throughput_on",
    "enable_load_scaling": "is_load_on",
    "load_adjustment_interval_s": "load_interval_s",
    "throughput_adjustment_interval_s": "throughput_interval_s",
    "fpm_sample_bucket_size": "cells",
    "ttft_s": "target_ttft_s",
}


def validate(given: Given) -> Given:
    settings: Given = {NAMES.get(name, name): value for name, value in given.items()}
    settings["aim"] = Aim(settings.pop("optimization_target", "throughput"))
    settings["has_sweep"] = settings.pop("pre_deployment_sweeping_mode", "rapid") != "none"
    try:
        check_planner(PlannerSettings(**settings))
    except InvalidInput:
        return {"peer_accepts": False}
    return {"peer_accepts": True}


FUNCTIONS: dict[str, Callable[[Given], Given]] = {
    function.__name__: function
    for function in (
        interpolated_replicas,
        budget_rounded,
        decode_grid_scan,
        correction,
        concurrency,
        budget_clamp_pair,
        budget_fit_pair,
        budget_guard_pair,
        budget_guard_single,
        step_cap,
        throughput_replicas,
        prefill_capacity,
        decode_capacity,
        aggregated_capacity,
        load_prefill,
        load_decode,
        easy_prefill,
        easy_decode,
        easy_aggregated,
        predict_kalman,
        predict_constant,
        validate,
    )
}


def test_every_function_of_the_vectors_is_known() -> None:
    assert len(CASES) == 112
    assert {case["name"].split("/")[0] for case in CASES} == set(FUNCTIONS)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_the_planner_answers_what_the_peer_answers(case: Given) -> None:
    found = FUNCTIONS[case["name"].split("/")[0]](case["input"])
    assert found.keys() == case["expected"].keys()
    for name, expected in case["expected"].items():
        is_number = isinstance(expected, (int, float, list)) and not isinstance(expected, bool)
        assert found[name] == (pytest.approx(expected, rel=1e-7, abs=1e-9) if is_number else expected), name
