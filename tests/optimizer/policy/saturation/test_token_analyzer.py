from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optimizer.policy.saturation import (
    CapacityRecord,
    EngineArguments,
    GatewayQueue,
    LearnedFrom,
    TokenReading,
    TokenSettings,
    TokenState,
    TokenVariant,
    derive_compute_capacity_tokens,
    get_token_budget,
    remember_engine,
    step_tokens,
)

VECTORS = Path(__file__).parents[3] / "data" / "vectors" / "wva_saturation_v2.json"
CASES = json.loads(VECTORS.read_text())["cases"]


def _pick(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in CASES if case["input"]["kind"] == kind]


def make_engine(given: dict[str, Any] | None) -> EngineArguments | None:
    if given is None:
        return None
    return EngineArguments(
        given["max_batched_tokens"],
        given["max_num_seqs_requests"],
        given.get("gpu_memory_utilization_fraction", 0.9),
        given.get("block_size_tokens", 16),
        given.get("kv_cache_dtype", "auto"),
        given.get("tensor_parallel_size", 1),
        given.get("num_gpu_blocks_override", 0),
    )


def make_state(given: dict[str, Any]) -> TokenState:
    records = {
        entry["variant_name"]: CapacityRecord(
            entry["accelerator"],
            entry["gpus_per_replica"],
            entry["effective_capacity_tokens"],
            entry["kv_total_tokens"],
            make_engine(entry["engine"]),
            LearnedFrom(entry["learned_from"]),
        )
        for entry in given["capacity_store"]
    }
    return TokenState(records, {key: tuple(values) for key, values in given["k2_history_tokens"].items()})


def make_variant(given: dict[str, Any]) -> TokenVariant:
    readings = tuple(
        TokenReading(
            entry["kv_tokens_in_use"],
            entry["kv_total_tokens"],
            entry["queue_length_requests"],
            entry["avg_input_tokens"],
            entry["avg_output_tokens"],
            entry["prefix_cache_hit_fraction"],
        )
        for entry in given["replicas"]
    )
    return TokenVariant(
        given["variant_name"],
        given["accelerator"],
        given["gpus_per_replica"],
        given["current_replicas"],
        given["pending_replicas"],
        readings,
    )


def make_settings(thresholds: dict[str, float]) -> TokenSettings:
    return TokenSettings(
        thresholds["kv_cache_threshold_fraction"],
        thresholds["queue_length_threshold_requests"],
        thresholds["scale_up_threshold_fraction"],
        thresholds["scale_down_boundary_fraction"],
    )


def test_every_vector_is_of_a_known_kind() -> None:
    assert len(_pick("cycles")) + len(_pick("derive_k2")) + len(_pick("token_budget")) == len(CASES) == 38


@pytest.mark.parametrize("case", _pick("cycles"))
def test_cycles_find_and_learn_what_the_peer_finds_and_learns(case: dict[str, Any]) -> None:
    state = make_state(case["input"])
    for cycle, expected in zip(case["input"]["cycles"], case["expected"]["cycles"], strict=True):
        waiting = cycle["scheduler_queue"]
        queue = None if waiting is None else GatewayQueue(waiting["size_requests"], waiting["size_bytes"])
        variants = [make_variant(entry) for entry in cycle["variants"]]
        analysis, state = step_tokens(
            state, case["input"]["model"], variants, make_settings(cycle["thresholds"]), queue
        )
        found = {
            "per_replica_capacity_tokens": dict(analysis.capacity_tokens),
            "total_demand_tokens": analysis.demand_tokens,
            "ready_supply_tokens": analysis.ready_supply_tokens,
            "anticipated_supply_tokens": analysis.anticipated_supply_tokens,
            "utilization_fraction": analysis.utilization_ratio,
            "required_capacity_tokens": analysis.required_tokens,
            "spare_capacity_tokens": analysis.spare_tokens,
        }
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert found[key] == pytest.approx(value, rel=1e-6, abs=5.1e-7), key  # six decimals are told
    learned = {key: list(values) for key, values in state.saturated_tokens.items()}
    assert learned == case["expected"]["k2_history_tokens_after"]


@pytest.mark.parametrize("case", _pick("derive_k2"))
def test_capacity_follows_from_the_arguments_of_the_engine(case: dict[str, Any]) -> None:
    given = case["input"]
    engine = EngineArguments(given["max_batched_tokens"], given["max_num_seqs_requests"])
    tokens = derive_compute_capacity_tokens(engine, given["avg_input_tokens"], given["avg_output_tokens"])
    assert tokens == case["expected"]["k2_tokens"]


@pytest.mark.parametrize("case", _pick("token_budget"))
def test_the_token_budget_is_what_was_set_or_the_default_of_the_engine(case: dict[str, Any]) -> None:
    given = case["input"]
    budget = get_token_budget(
        given.get("max_num_batched_tokens"),
        is_v1=given["engine_v1"],
        has_chunked_prefill=given.get("chunked_prefill", False),
        max_model_tokens=given.get("max_model_len_tokens", 0),
    )
    assert budget == case["expected"]["max_batched_tokens"]


def test_arguments_of_the_engine_do_not_undo_what_was_learned_live() -> None:
    live = CapacityRecord("A", 1, 9000.0, 12000.0, None, LearnedFrom.LIVE)
    told = CapacityRecord("A", 1, 2048.0, 0.0, EngineArguments(2048), LearnedFrom.DEPLOYMENT)
    record = remember_engine(TokenState({"v": live}), "v", told).records["v"]
    assert (record.capacity_tokens, record.learned_from, record.engine) == (9000.0, LearnedFrom.LIVE, told.engine)
    assert remember_engine(TokenState(), "v", told).records["v"] is told
