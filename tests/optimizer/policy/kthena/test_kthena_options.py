"""Options of the policy `kthena`: what is refused, with everything that is wrong at once; and capacities by vector."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapter.config.decode import decode_data
from adapter.errors import ConfigurationError
from optimizer.domain import Role, ServedModel, SignalKind, WorkloadRef
from optimizer.policy import InvalidOptions
from optimizer.policy.kthena import KthenaPolicy
from optimizer.policy.kthena.admission import PeerPolicy, PeerRatio, PeerTarget, find_peer_problems
from optimizer.policy.kthena.behavior import Behavior, PanicRule, RateLimit, Select
from optimizer.policy.kthena.blocks import GroupTarget
from optimizer.policy.kthena.capacity import distribute_capacity
from optimizer.policy.kthena.decode import decode_options
from optimizer.policy.kthena.options import CapacitySource, KthenaOptions, TargetKind
from tests.builders.story import make_model, make_variant

VECTORS = Path(__file__).parents[3] / "data" / "vectors" / "kthena.json"
CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text())["cases"]
GOOD: dict[str, Any] = {
    "metrics": [{"name": "m", "target_value": 10}],
    "metric_sources": {"m": {"series": "vllm:num_requests_waiting"}},
}


def find_cases(function: str) -> list[Any]:
    chosen = [case for case in CASES if case["name"].split("/")[0] == function]
    assert chosen
    return [pytest.param(case["input"], case["expected"], id=case["name"]) for case in chosen]


@pytest.mark.parametrize("given, expected", find_cases("distribute_capacity"))
def test_needs_are_spread_by_capacity_as_proposed(given: dict[str, Any], expected: dict[str, Any]) -> None:
    targets = [
        GroupTarget(
            row["target"], row["cost_per_replica"], row["min_replicas"], row["max_replicas"], row["capacity_per_s"]
        )
        for row in given["params"]
    ]
    plans = [distribute_capacity(need, targets, given["cost_expansion_rate_percent"]) for need in given["need_per_s"]]
    assert [{"replicas": plan.replicas, "covered": plan.is_covered} for plan in plans] == expected["plans"]


def to_peer(given: dict[str, Any]) -> list[PeerPolicy]:
    """Return the peer's objects that a fragment stands for."""
    kind = given.get("target", "homogeneous")
    kinds = given.get("targets", [kind])
    members = given.get("params", [{**given, "name": given.get("target_name", "a")}])
    targets = tuple(
        PeerTarget(
            row["name"],
            given.get("target_kind", "ModelServing"),
            row.get("min_replicas", 0),
            row.get("max_replicas", 2),
            row.get("cost", 0),
        )
        for row in members
    )
    rows = [row if isinstance(row, dict) else {"name": row} for row in given.get("metrics", ["m"])]
    policy = PeerPolicy(
        kinds=tuple(kinds),
        targets=targets,
        metrics=tuple((row["name"], row.get("target_metric_per_replica", 10.0)) for row in rows),
        tolerance_percent=given.get("tolerance_percent", 10),
        periods_s=tuple(given.get("scale_down", {}).values()),
        panic_threshold_percent=given.get("panic", {}).get("threshold_percent", 200),
        has_panic_without_period="panic" in given and "period_s" not in given["panic"],
    )
    if "ratio" in given:
        ratio = given["ratio"]
        least = (ratio.get("numerator_min_replicas", 1), ratio.get("denominator_min_replicas", 1))
        policy = replace(
            policy,
            kinds=("disaggregated",),
            ratio=PeerRatio(
                ratio.get("numerator", "prefill"),
                ratio.get("denominator", "decode"),
                ratio.get("min_ratio", 0.25),
                ratio.get("max_ratio", 1.0),
                tuple(ratio.get("numerator_bounds_replicas", (least[0], 8))),
                tuple(ratio.get("denominator_bounds_replicas", (least[1], 16))),
            ),
        )
    return [policy] * len(given.get("policies", ["p"]))


@pytest.mark.parametrize("given, expected", find_cases("validate"))
def test_the_peer_accepts_what_is_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    problems = [problem for policy in to_peer(given) for problem in find_peer_problems(policy)]
    assert (not problems) is expected["peer_accepts"]


def to_served(given: dict[str, Any]) -> ServedModel:
    """Return our LLM that a fragment stands for; what the peer says per target stands at our variants."""
    members = given.get("params", [{**given, "name": "a"}])
    if "targets" in given:
        members = [{"name": "a"}] if given["targets"] else []
    variants = [
        replace(
            make_variant(f"variant-{index}", minimum=row.get("min_replicas", 0), maximum=row.get("max_replicas", 2)),
            cost_per_hour=float(row.get("cost", 1)),
            workload=WorkloadRef("prod", row["name"], given.get("target_kind", "Deployment")),
        )
        for index, row in enumerate(members)
    ]
    if "ratio" in given:
        variants = to_roles(given["ratio"])
    model = make_model(make_variant("stand-in"), policy="kthena")
    return replace(model, variants=tuple(variants), policy_options=to_options(given))


def to_roles(ratio: dict[str, Any]) -> list[Any]:
    sides = (("numerator", Role.PREFILL, 8), ("denominator", Role.DECODE, 16))
    bounds = [
        ratio.get(f"{side}_bounds_replicas", [ratio.get(f"{side}_min_replicas", 1), most]) for side, _, most in sides
    ]
    return [
        replace(make_variant(side, minimum=least, maximum=most), roles=(role,))
        for (side, role, _), (least, most) in zip(sides, bounds, strict=True)
    ]


def to_options(given: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = dict(GOOD)
    if "metrics" in given:
        rows = [row if isinstance(row, dict) else {"name": row} for row in given["metrics"]]
        options["metrics"] = [
            {"name": row["name"], "target_value": row.get("target_metric_per_replica", 10)} for row in rows
        ]
    if "metric_sources" in given:
        options["metric_sources"] = {}
    if "targets" in given and len(given["targets"]) > 1:
        options["target"] = given["targets"]
    if "tolerance_percent" in given:
        options["tolerance_ratio"] = given["tolerance_percent"] / 100
    if "scale_down" in given:
        options["behavior"] = {"scale_down": {"stabilization_window": given["scale_down"]["stabilization_s"]}}
    if "panic" in given:
        words = {"threshold_percent": "panic_threshold_ratio", "hold_s": "panic_mode_hold"}
        panic = {words[key]: value / (100 if "percent" in key else 1) for key, value in given["panic"].items()}
        options["behavior"] = {"scale_up": {"panic_policy": panic}}
    if "ratio" in given:
        ratio = given["ratio"]
        options["ratio_constraint"] = {
            "numerator_role": ratio.get("numerator", "prefill"),
            "denominator_role": ratio.get("denominator", "decode"),
            "min_ratio": ratio.get("min_ratio", 0.25),
            "max_ratio": ratio.get("max_ratio", 1.0),
        }
    return options


@pytest.mark.parametrize("given, expected", find_cases("validate"))
def test_the_product_accepts_what_is_proposed(given: dict[str, Any], expected: dict[str, Any]) -> None:
    if "policies" in given:
        assert claims_are_refused(given) is not expected["product_accepts"]
    elif not to_served(given).variants:
        assert absence_is_refused() is not expected["product_accepts"]
    elif expected["product_accepts"]:
        KthenaPolicy().check_options(to_served(given))
    else:
        with pytest.raises(InvalidOptions):
            KthenaPolicy().check_options(to_served(given))


def absence_is_refused() -> bool:
    """Return whether a configuration of an LLM without variants is refused."""
    with pytest.raises(ConfigurationError) as refusal:
        decode_data(make_data({"name": "x", "policy": "kthena", "policy_options": GOOD, "variants": []}))
    return "models[0].variants is missing" in str(refusal.value)


def make_data(*models: dict[str, Any]) -> dict[str, Any]:
    classes = {"chat": {"ttft": "2s"}}
    return {"accelerators": {"A": {"cost_per_hour": 1.0}}, "service_classes": classes, "models": list(models)}


def claims_are_refused(given: dict[str, Any]) -> bool:
    """Return whether a configuration of two LLMs that name one workload is refused."""
    variant = {"name": "v", "accelerator": "A", "deployment": given["target_name"], "pods": ["http://10.0.0.1:8000"]}
    models = [{"name": name, "policy": "kthena", "policy_options": GOOD, "variants": [variant]} for name in ("x", "y")]
    with pytest.raises(ConfigurationError) as refusal:
        decode_data(make_data(*models))
    return "claims" in str(refusal.value)


def refuse(options: Mapping[str, object], model: ServedModel | None = None) -> list[str]:
    with pytest.raises(InvalidOptions) as refusal:
        decode_options(options, model)
    return [str(problem) for problem in refusal.value.problems]


def test_defaults_are_those_of_the_webhook_for_every_way_to_write_them() -> None:
    plain = decode_options(GOOD)
    assert plain.behavior == Behavior(
        RateLimit(4, 100, Select.OR, 60.0, 0.0), RateLimit(0, 100, Select.OR, 60.0, 300.0), PanicRule(0, 0.0, 200, 0.0)
    )
    assert (plain.tolerance_ratio, plain.cost_expansion_ratio, plain.target) == (0.1, 2.0, None)
    assert plain.capacity_source is CapacitySource.EQUAL
    empty: dict[str, Any] = {"scale_up": {"stable_policy": {}, "panic_policy": {}}, "scale_down": {}}
    assert decode_options({**GOOD, "behavior": empty}) == plain


def test_what_is_scaled_together_follows_from_the_variants() -> None:
    one, two = make_variant("one"), make_variant("two")
    roles = [replace(one, roles=(Role.PREFILL,)), replace(two, roles=(Role.DECODE,))]
    options = KthenaOptions()
    assert options.get_target(make_model(one)) is TargetKind.HOMOGENEOUS
    assert options.get_target(make_model(one, two)) is TargetKind.HETEROGENEOUS
    assert options.get_target(make_model(*roles)) is TargetKind.DISAGGREGATED


def test_everything_that_is_wrong_is_named_at_once_with_near_misses() -> None:
    spoiled = {
        "metrcs": [],
        "metrics": [{"name": "waiting", "target_value": 0}, {"name": "x", "target_value": 1}],
        "metric_sources": {"waiting": {"series": "a", "kind": "gage", "quantile_ratio": 0.5}, "wating": {}},
        "tolerance_ratio": 2,
        "behavior": {"scale_up": {"stabilization_window": "1m"}, "scale_down": {"period": "2h"}},
        "capacity_per_s": "guessed",
    }
    problems = refuse(spoiled)
    for expected in (
        "policy_options.metrcs is not known; did you mean metrics?",
        "policy_options.metrics[0].target_value must be a number > 0, got 0",
        "policy_options.metrics[1].name must be one of metric_sources",
        "policy_options.metric_sources.waiting.kind must be one of gauge, rate, quantile, got 'gage'",
        "policy_options.metric_sources.waiting.quantile_ratio must be left out",
        "policy_options.metric_sources.wating must be named by one of metrics, or left out, got {}",
        "policy_options.metric_sources.wating.series is missing",
        "policy_options.tolerance_ratio must be a number >= 0 and <= 1, got 2",
        "policy_options.behavior.scale_up.stabilization_window is not known",
        "policy_options.behavior.scale_down.period must be a duration",
        "policy_options.capacity_per_s must be one of equal, measured, got 'guessed'",
    ):
        assert any(problem.startswith(expected) for problem in problems), (expected, problems)


def test_a_metric_without_a_source_is_what_is_wrong_and_its_source_is_found() -> None:
    source = {"series": "vllm:num_requests_running"}
    row = {"name": "laod", "target_value": 8}
    model = make_model(make_variant("one"))
    for served in (None, model):
        assert refuse({"metrics": [row], "metric_sources": {"load": source}}, served) == [
            "policy_options.metrics[0].name must be one of metric_sources, did you mean load?, got 'laod'"
        ]
        assert refuse({"metrics": [row], "metric_sources": {"queue": source, "x": source}}, served) == [
            "policy_options.metrics[0].name must be one of metric_sources, of which there are: queue, x, got 'laod'",
            f"policy_options.metric_sources.queue must be named by one of metrics, or left out, got {source}",
            f"policy_options.metric_sources.x must be named by one of metrics, or left out, got {source}",
        ]
        assert refuse({"metrics": [{"target_value": 8}], "metric_sources": {"load": source}}, served) == [
            "policy_options.metrics[0].name is missing: must be a text"
        ]
        assert refuse({"metric_sources": {"load": source}}, served) == [
            "policy_options.metrics must be a list of at least one metric with a source, got []"
        ]


def test_a_source_that_no_metric_names_is_told_as_unused() -> None:
    source = {"series": "vllm:num_requests_running"}
    (problem,) = refuse({**GOOD, "metric_sources": {**GOOD["metric_sources"], "other": source}})
    assert problem == f"policy_options.metric_sources.other must be named by one of metrics, or left out, got {source}"


def test_what_spreads_a_group_is_refused_where_every_variant_stands_alone() -> None:
    spread = {"capacity_per_s": "measured", "cost_expansion_ratio": 1.5}
    assert refuse({**GOOD, "target": "homogeneous", **spread}) == [
        "policy_options.capacity_per_s must be left out with target homogeneous, which spreads nothing, got 'measured'",
        "policy_options.cost_expansion_ratio must be left out with target homogeneous, which spreads nothing, got 1.5",
    ]
    for target in ("heterogeneous", "disaggregated", None):
        assert decode_options({**GOOD, "target": target, **spread}).cost_expansion_ratio == 1.5


def test_what_does_not_fit_the_model_is_named_at_once() -> None:
    one, two = make_variant("one"), make_variant("two")
    model = make_model(replace(one, cost_per_hour=math.nan), replace(two, min_replicas=3, max_replicas=2))
    problems = refuse({**GOOD, "capacity_per_s": {"one": 1.0, "tow": 2.0}, "ratio_constraint": {"max_ratio": 1}}, model)
    for expected in (
        "variants[0].cost_per_hour must be finite",
        "variants[1].max_replicas must be >= min_replicas 3",
        "capacity_per_s must be by variant",
        "two",
    ):
        assert any(expected in problem for problem in problems), (expected, problems)
    assert any("ratio_constraint must be left out" in problem for problem in problems)


def test_a_counter_is_read_as_a_rate_and_never_as_it_stands() -> None:
    counter: dict[str, Any] = {"series": "vllm:request_success_total", "window": "30s"}
    (metric,) = decode_options({**GOOD, "metric_sources": {"m": counter}}).metrics
    assert (metric.signals[0].kind, metric.signals[0].window_s) == (SignalKind.RATE, 30.0)
    spoiled = {**GOOD, "metric_sources": {"m": {**counter, "kind": "gauge"}}}
    assert refuse(spoiled) == [
        "policy_options.metric_sources.m.kind must be rate: by its name in _total vllm:request_success_total only "
        "counts up, and would be above any target for good, got 'gauge'"
    ]


def test_quantiles_of_several_series_are_refused() -> None:
    sources = {"m": {"series": ["a", "b"], "kind": "quantile"}}
    assert any("do not add up" in problem for problem in refuse({**GOOD, "metric_sources": sources}))


def test_options_that_stopped_fitting_the_model_hold_it() -> None:
    model = replace(make_model(make_variant("one")), policy_options={**GOOD, "capacity_per_s": {"gone": 1.0}})
    with pytest.raises(InvalidOptions, match="capacity_per_s"):
        KthenaPolicy().check_options(model)


@pytest.mark.parametrize("rate_percent", [0, 20, 100, 150, 200, 400])
def test_a_distribution_is_the_beginning_of_one_sequence(rate_percent: int) -> None:
    targets = [GroupTarget("a", 3.0, 1, 9, 2.0), GroupTarget("b", 1.0, 0, 7, 0.5), GroupTarget("c", 3.0, 2, 5, 3.0)]
    weights, last = {"a": 2.0, "b": 0.5, "c": 3.0}, {"a": 1, "b": 0, "c": 2}
    for step in range(160):
        plan = distribute_capacity(step / 4, targets, rate_percent)
        grown = {name: plan.replicas[name] - last[name] for name in last}
        assert min(grown.values()) >= 0
        assert plan.is_covered == (sum(weights[name] * n for name, n in plan.replicas.items()) >= step / 4 - 1e-6)
        spare = sum(weights[name] * n for name, n in plan.replicas.items()) - step / 4
        assert spare < 3.0 or plan.replicas == {"a": 1, "b": 0, "c": 2}
        last = plan.replicas
