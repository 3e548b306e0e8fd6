"""Options of the policy `skyserve`: what is refused, with everything that is wrong at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from optimizer.domain import ServedModel, Variant
from optimizer.policy import InvalidOptions, OptionsChecker
from optimizer.policy.skyserve import SkyServePolicy
from optimizer.policy.skyserve.admission import find_peer_problems
from optimizer.policy.skyserve.options import RateKind, SkyServeOptions, decode_options
from tests.builders.story import make_model, make_variant

VECTORS = Path(__file__).parents[3] / "data" / "vectors" / "skyserve.json"
CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text())["cases"]


def find_cases(function: str) -> list[Any]:
    chosen = [case for case in CASES if case["name"].split("/")[0] == function]
    assert chosen
    return [pytest.param(case["input"], case["expected"], id=case["name"]) for case in chosen]


@pytest.mark.parametrize("given, expected", find_cases("validate"))
def test_the_peer_accepts_what_is_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert (not find_peer_problems(given)) is expected["peer_accepts"]


def to_served(given: dict[str, Any]) -> ServedModel:
    """Return our LLM that a fragment stands for, everything else valid."""
    rate = given.get("target_rate_per_s", 2.5)
    names = given.get("accelerators") or (list(rate) if isinstance(rate, dict) else ["A100"])
    variants = [replace(make_variant(f"v{place}"), accelerator=name) for place, name in enumerate(names)]
    least = given.get("min_replicas", 1)
    most = given.get("max_replicas", None if "min_replicas" in given else 10)
    options: dict[str, Any] = {
        key: value
        for key, value in given.items()
        if key not in ("min_replicas", "max_replicas", "target_rate_per_s", "accelerators")
    }
    if "target_rate_per_s" in given or not ("min_replicas" in given and "max_replicas" in given):
        options["target_qps_per_replica"] = rate
    return replace(make_model(*variants, policy="skyserve", minimum=least), max_replicas=most, policy_options=options)


@pytest.mark.parametrize("given, expected", find_cases("validate"))
def test_the_product_accepts_what_is_proposed(given: dict[str, Any], expected: dict[str, Any]) -> None:
    if expected["product_accepts"]:
        SkyServePolicy().check_options(to_served(given))
    else:
        with pytest.raises(InvalidOptions):
            SkyServePolicy().check_options(to_served(given))


def refuse(options: Mapping[str, object], *variants: Variant, most: int | None = 10) -> list[str]:
    model = replace(make_model(*variants, policy="skyserve"), max_replicas=most, policy_options=options)
    with pytest.raises(InvalidOptions) as refusal:
        SkyServePolicy().check_options(model)
    return [str(problem) for problem in refusal.value.problems]


def test_everything_that_is_wrong_is_named_at_once_with_near_misses() -> None:
    h100 = replace(make_variant("h"), accelerator="H100", accelerators_per_replica=4)
    l40s = replace(make_variant("l"), accelerator="L40S")
    problems = refuse(
        {
            "target_qps_per_replica": {"H100:8": 2.5, "L4OS": 1, "A100:0": 1, "V100": 0},
            "upscale_dely": "1m",
            "load_balancing_policy": "least_load",
        },
        h100,
        l40s,
        most=None,
    )
    for expected in (
        "policy_options.target_qps_per_replica.V100 must be a number > 0 [1/s], got 0",
        'policy_options.target_qps_per_replica["A100:0"] must be named by an accelerator, such as A100, or A100:1',
        "rate for H100:4 or H100, of which variant h is made (the count of H100:8 is not that of its replicas)",
        "rate for L40S:1 or L40S, of which variant l is made (did you mean it by L4OS?)",
        "policy_options.upscale_dely is not known; did you mean upscale_delay?",
        "policy_options.load_balancing_policy must be instance_aware_least_load with a table",
        "max_replicas must be given, here or for every variant, with policy skyserve",
    ):
        assert any(expected in problem for problem in problems), (expected, problems)


@pytest.mark.parametrize("key", ["A100:0", "A100:x", "A100:", ":1", "A100:01", "A100:-1", "A100:1:1", "A 100", ""])
def test_a_key_that_is_no_accelerator_is_refused_where_it_stands(key: str) -> None:
    told = refuse({"target_qps_per_replica": {"a": 1, key: 1}}, replace(make_variant("v"), accelerator="a"))
    assert any("must be named by an accelerator" in problem for problem in told), told


def test_two_keys_that_mean_the_same_are_refused_and_other_counts_are_not() -> None:
    one = replace(make_variant("one", maximum=3), accelerator="A100")
    two = replace(make_variant("two", maximum=3), accelerator="A100", accelerators_per_replica=2)
    assert refuse({"target_qps_per_replica": {"A100": 1, "A100:1": 2}}, one) == [
        "policy_options.target_qps_per_replica.A100 must be left out beside A100:1, which means the same, got 'A100'"
    ]
    model = make_model(one, two)
    assert decode_options({"target_qps_per_replica": {"A100": 1, "A100:2": 3}}, model).rates_per_s == {
        "one": 1,
        "two": 3,
    }


def test_accelerators_are_told_apart_by_case_as_the_peer_does() -> None:
    lower = replace(make_variant("v", maximum=3), accelerator="a100")
    (problem,) = refuse({"target_qps_per_replica": {"A100": 1}}, lower)
    assert "rate for a100:1 or a100" in problem
    assert "did you mean it by A100?" in problem


def test_options_of_a_model_without_variants_are_judged_alone() -> None:
    bare = replace(make_model(make_variant("v")), variants=())
    assert decode_options({"target_qps_per_replica": {"A100": 1}}, bare).rates_per_s == {}
    with pytest.raises(InvalidOptions, match="upscale_delay"):
        decode_options({"target_qps_per_replica": {"A100": 1}, "upscale_delay": "soon"}, bare)


def test_defaults_are_those_of_the_peer() -> None:
    model = replace(make_model(make_variant("a", maximum=3)))
    decoded = decode_options({"target_qps_per_replica": 2}, model)
    assert decoded == SkyServeOptions(RateKind.NUMBER, 2.0)
    assert (decoded.upscale_delay_s, decoded.downscale_delay_s, decoded.overprovision_replicas) == (300.0, 1200.0, 0)


def test_it_is_a_checker_of_options() -> None:
    assert isinstance(SkyServePolicy(), OptionsChecker)
