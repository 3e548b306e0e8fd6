from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optimizer.policy.saturation import (
    GrowthAsk,
    PricedVariant,
    choose_replicas,
    enforce_zero,
    limit_growth,
)

VECTORS = Path(__file__).parents[3] / "data" / "vectors" / "wva_cost_aware.json"
CASES = json.loads(VECTORS.read_text())["cases"]


def _pick(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in CASES if case["input"]["kind"] == kind]


def test_every_vector_is_of_a_known_kind() -> None:
    assert len(_pick("cost_aware")) + len(_pick("enforcer")) + len(_pick("limiter")) == len(CASES) == 30


@pytest.mark.parametrize("case", _pick("cost_aware"))
def test_the_variants_that_the_peer_chooses_are_chosen(case: dict[str, Any]) -> None:
    given = case["input"]
    variants = [
        PricedVariant(
            entry["variant_name"],
            entry["cost_per_replica_units"],
            entry["current_replicas"],
            entry["per_replica_capacity_tokens"],
        )
        for entry in given["variants"]
    ]
    targets = choose_replicas(variants, given["required_capacity_tokens"], given["spare_capacity_tokens"])
    assert targets == case["expected"]["target_replicas"]


@pytest.mark.parametrize("case", _pick("enforcer"))
def test_zero_is_allowed_or_refused_as_the_peer_does(case: dict[str, Any]) -> None:
    given = case["input"]
    targets, changed = enforce_zero(
        given["target_replicas"],
        given["cost_per_replica_units"],
        may_be_zero=given["scale_to_zero_enabled"],
        retained_requests=given["requests_in_retention_window"],
    )
    assert (targets, changed) == (case["expected"]["target_replicas"], case["expected"]["changed"])


@pytest.mark.parametrize("case", _pick("limiter"))
def test_free_accelerators_are_given_out_as_the_peer_does(case: dict[str, Any]) -> None:
    asks = [
        GrowthAsk(
            entry["variant_name"],
            entry["accelerator"],
            entry["gpus_per_replica"],
            entry["current_replicas"],
            entry["target_replicas"],
            entry["spare_kv_fraction"],
            entry["cost_per_replica_units"],
        )
        for entry in case["input"]["decisions"]
    ]
    grants, free = limit_growth(asks, case["input"]["free_gpus"])
    found = {
        name: {
            "target_replicas": grant.target_replicas,
            "gpus_allocated": grant.accelerators,
            "limited": grant.is_limited,
        }
        for name, grant in grants.items()
    }
    assert found == case["expected"]["decisions"]
    assert free == case["expected"]["free_gpus_after"]


@pytest.mark.parametrize("spare_tokens", [0.0, 9_999.0, 10_000.0, 45_000.0, 1e9])
def test_what_is_given_back_was_spare_and_one_replica_stays(spare_tokens: float) -> None:
    variants = [
        PricedVariant("dear", 15.0, 2, 20_000.0),
        PricedVariant("cheap", 5.0, 3, 10_000.0),
        PricedVariant("dark", 9.0, 1, 0.0),
    ]
    targets = choose_replicas(variants, 0.0, spare_tokens)
    removed_tokens = sum((entry.current_replicas - targets[entry.name]) * entry.capacity_tokens for entry in variants)
    assert removed_tokens <= spare_tokens
    assert sum(targets.values()) >= 1
    assert targets["dark"] == 1


def test_growth_moves_on_at_the_maximum_and_shrinking_stops_at_the_minimum() -> None:
    variants = [
        PricedVariant("cheap", 5.0, 2, 10_000.0, min_replicas=2, max_replicas=3),
        PricedVariant("dear", 15.0, 1, 20_000.0, min_replicas=1),
    ]
    assert choose_replicas(variants, 35_000.0, 0.0) == {"cheap": 3, "dear": 3}
    assert choose_replicas(variants, 0.0, 1e9) == {"cheap": 2, "dear": 1}


@pytest.mark.parametrize("more", range(0, 60_000, 7_000))
def test_more_required_never_means_fewer_replicas(more: int) -> None:
    variants = [PricedVariant("a", 5.0, 1, 10_000.0), PricedVariant("b", 1.0, 1, 1_500.0)]
    less, greater = choose_replicas(variants, 1.0 + more, 0.0), choose_replicas(variants, 7_001.0 + more, 0.0)
    assert all(greater[name] >= less[name] for name in less)
