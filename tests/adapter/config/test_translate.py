from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from adapter.config.decode import decode_data
from adapter.config.schema import DecisionConfig
from adapter.config.translate import to_settings
from optimizer.domain import (
    DecisionSettings,
    LatencyQuantity,
    LimitKind,
    ModelKey,
    ProfileOrigin,
    Role,
    ServedModel,
    Settings,
    Slo,
    Variant,
    VariantKey,
    WorkloadRef,
)

Data = dict[str, Any]
SMALL, LARGE = ("default", "llama-8b"), ("large", "llama-70b")


def _translate(data: Data) -> Settings:
    return to_settings(decode_data(data), {})


def test_defaults_of_deciding_are_those_of_the_optimizer() -> None:
    assert dataclasses.asdict(DecisionConfig()) == dataclasses.asdict(DecisionSettings())


def test_a_bare_variant_and_model_get_the_defaults_of_the_optimizer(data: Data) -> None:
    model = _translate(data).models[1]
    variant = model.variants[0]
    plain = Variant("large", "llama-70b", "h100", WorkloadRef("large", "h100"), "H100")
    assert variant == plain
    expected = ServedModel("large", "llama-70b", model.service_classes, (plain,), min_replicas=1)
    assert model == expected


def test_models_are_known_by_namespace_and_name(data: Data) -> None:
    assert [model.key for model in _translate(data).models] == [ModelKey(*SMALL), ModelKey(*LARGE)]


def test_each_promise_becomes_an_slo_with_its_percentile(data: Data) -> None:
    data["service_classes"]["interactive"] = {"ttft": "2s", "ttlt": "30s", "percentile": 90, "ttlt_percentile": 99}
    service_class = _translate(data).models[0].service_classes[0]
    assert service_class.slos == (Slo(LatencyQuantity.TTFT, 2.0, 90.0), Slo(LatencyQuantity.TTLT, 30.0, 99.0))


def test_workloads_have_the_kind_and_version_kubernetes_knows(data: Data) -> None:
    data["models"][0]["variants"][0].update(deployment="a", workload_kind="LeaderWorkerSet")
    variants = _translate(data).models[0].variants
    assert variants[0].workload == WorkloadRef("default", "a", "LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1")
    assert variants[1].workload == WorkloadRef("default", "h100", "Deployment", "apps/v1")


def test_devices_per_replica_follow_from_the_parallelism(data: Data) -> None:
    data["models"][1]["variants"][0]["parallelism"] = {"tensor": 4, "pipeline": 2, "expert": 8}
    assert _translate(data).models[1].variants[0].accelerators_per_replica == 8


def test_a_replica_costs_its_devices_unless_it_has_a_price(data: Data) -> None:
    data["models"][1]["variants"][0]["parallelism"] = {"tensor": 4}
    data["models"][0]["variants"][0]["cost_per_hour"] = 0.5
    settings = _translate(data)
    costs = [settings.get_replica_cost_per_hour(variant) for model in settings.models for variant in model.variants]
    assert costs == [0.5, 2.95, pytest.approx(11.8)]


def test_expected_lengths_carry_their_spread(data: Data) -> None:
    data["models"][0]["expected_workload"] = {"input_tokens": 1000, "output_tokens": 100, "output_spread_ratio": 0.5}
    workload = _translate(data).models[0].expected_workload
    assert workload is not None
    assert workload.input_lengths.mean_square_tokens2 - workload.input_lengths.mean_tokens**2 == 1000.0**2
    assert workload.output_lengths.mean_square_tokens2 - workload.output_lengths.mean_tokens**2 == pytest.approx(
        50.0**2
    )


def test_a_law_is_given_in_seconds(data: Data) -> None:
    profile = _translate(data).models[0].variants[0].performance
    assert profile is not None
    law = profile.law
    assert law is not None
    assert (law.fixed_s, law.per_request_s, law.per_context_token_s, law.per_prompt_token_s) == (
        0.0222,
        3.4e-05,
        2.07e-07,
        6.8e-05,
    )
    assert profile.origin is ProfileOrigin.PROFILE


def test_an_inline_table_is_given_in_seconds(data: Data) -> None:
    table = {
        "batches": [1, 8],
        "contexts_tokens": [128, 2048],
        "decode": [["6ms", "7ms"], ["7ms", "9ms"]],
        "prompts_tokens": [128],
        "prefill": ["8ms"],
    }
    data["models"][0]["variants"][0]["performance"] = {"table": table, "derate_ratio": 1}
    profile = _translate(data).models[0].variants[0].performance
    assert profile is not None
    assert profile.table is not None
    assert (profile.table.decode_s, profile.table.prefill_s) == (((0.006, 0.007), (0.007, 0.009)), (0.008,))
    assert (profile.origin, profile.derate_ratio) == (ProfileOrigin.TABLE, 1.0)


@pytest.mark.parametrize(
    "limit, expected",
    [
        ({"amount": 16}, {(*SMALL, "l40s"): 1, (*SMALL, "h100"): 1, (*LARGE, "h100"): 4}),
        ({"amount": 16, "accelerators": ["H100"]}, {(*SMALL, "h100"): 1, (*LARGE, "h100"): 4}),
        ({"amount": 16, "kind": "quota", "namespaces": ["large"]}, {(*LARGE, "h100"): 4}),
        ({"amount": 9000, "kind": "watts", "accelerators": ["H100"]}, {(*SMALL, "h100"): 700, (*LARGE, "h100"): 2800}),
        ({"amount": 99, "kind": "money"}, {(*SMALL, "l40s"): 1.55, (*SMALL, "h100"): 2.0, (*LARGE, "h100"): 11.8}),
    ],
)
def test_limits_count_what_each_replica_uses(
    limit: Data, expected: dict[tuple[str, str, str], float], data: Data
) -> None:
    data["limits"] = [{"name": "x", **limit}]
    data["models"][0]["variants"][1]["cost_per_hour"] = 2.0
    data["models"][1]["variants"][0]["parallelism"] = {"tensor": 4}
    coefficients = _translate(data).limits[0].coefficients
    assert coefficients == {VariantKey(*key): pytest.approx(value) for key, value in expected.items()}


def test_an_unknown_amount_stays_unknown(data: Data) -> None:
    data["limits"] = [{"name": "x", "kind": "quota", "amount": "unknown", "namespaces": ["large"]}]
    limit = _translate(data).limits[0]
    assert (limit.kind, limit.amount, limit.namespaces) == (LimitKind.QUOTA, None, ("large",))


def test_a_limit_counts_every_role_of_a_variant(data: Data) -> None:
    data["limits"] = [{"name": "x", "amount": 4, "namespaces": ["large"]}]
    data["models"][1]["variants"][0]["roles"] = ["prefill", "decode"]
    roles = [key.role for key in _translate(data).limits[0].coefficients]
    assert roles == [Role.PREFILL, Role.DECODE]
