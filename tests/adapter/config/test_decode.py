from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adapter.config.decode import ROOT, decode_data, decode_text
from adapter.errors import ConfigurationError
from optimizer.domain import ClassSourceKind, Role, Routing

Find = Callable[[object], list[str]]
Data = dict[str, Any]


def test_a_small_file_gets_a_default_for_everything_else() -> None:
    configuration = decode_text(
        """
        accelerators: {L40S: {cost_per_hour: 1.55}}
        service_classes: {interactive: {itl: 50ms}}
        models: [{name: m, variants: [{name: l40s, accelerator: L40S, pods: ["http://127.0.0.1:8000"]}]}]
        """
    )
    model = configuration.models[0]
    assert (model.namespace, model.routing, model.min_replicas, model.policy) == ("default", Routing.AUTO, 1, "slo")
    assert (configuration.listen.pages.port, configuration.publishing.max_decision_age_s) == (8080, 600.0)
    assert model.variants[0].roles == (Role.BOTH,)


def test_a_good_configuration_has_no_problems(data: Data, find_problems: Find) -> None:
    assert find_problems(data) == []


def test_all_problems_are_told_in_one_run_in_the_order_of_the_file() -> None:
    text = """\
accelerators:
  L40S: {cost_per_hour: 1.55, wats: 300}
  H100: {cost_per_hour: -1}
decision: {period: 30, stale_after: 10s, utilization_ceiling_ratio: 90%}
service_classes:
  interactive: {ttft: 2s, itl: 50ms}
models:
  - name: llama-8b
    service_classes: [interactiv]
    routing: wieghted
    variants:
      - name: h100
        accelerater: H100
        min_replicas: 5
        max_replicas: 2
        pods: ["http://127.0.0.1:8000"]
      - {name: l40, accelerator: L40, min_replicas: many}
"""
    with pytest.raises(ConfigurationError) as refusal:
        decode_text(text)
    assert refusal.value.problems == (
        "accelerators.L40S.wats is not known; did you mean watts? (line 2)",
        "accelerators.H100.cost_per_hour must be >= 0, got -1 (line 3)",
        "decision.period must be a duration with its unit, such as 250ms, 30s or 5m, got 30 (line 4)",
        "decision.utilization_ceiling_ratio must be a ratio, written 0.9 rather than in percent, got 90% (line 4)",
        "models[0].service_classes[0] names interactiv, which is not known; did you mean interactive? (line 9)",
        "models[0].routing must be auto, uniform, weighted or bucketed, got wieghted; did you mean weighted? (line 10)",
        "models[0].variants[0].accelerator is missing: Accelerator type, as in `accelerators`. (line 12)",
        "models[0].variants[0].accelerater is not known; did you mean accelerator? (line 13)",
        "models[0].variants[0].max_replicas must be >= min_replicas 5, got 2 (line 15)",
        "models[0].variants[1].min_replicas must be a whole number, got many (line 17)",
        "models[0].variants[1].accelerator names L40, which is not known; did you mean L40S? (line 17)",
    )


@pytest.mark.parametrize("value", ["text", 5, [], True])
def test_the_whole_must_be_a_mapping(value: object, find_problems: Find) -> None:
    assert find_problems(value)[0].startswith("the file must be a mapping, got")


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_says_what_it_needs(text: str) -> None:
    with pytest.raises(
        ConfigurationError, match="the file is empty: it needs accelerators, service_classes and models"
    ):
        decode_text(text)


def test_missing_sections_are_told_with_their_meaning(find_problems: Find) -> None:
    assert find_problems({}) == [
        "accelerators is missing: Accelerator types by name, such as H100.",
        "service_classes is missing: Promises by name, such as interactive.",
        "models is missing: the LLMs that are served; only discovery.kind kubernetes finds them",
    ]


def test_a_key_without_a_value_means_its_default(data: Data) -> None:
    data["decision"] = None
    data["models"][0]["max_replicas"] = None
    configuration = decode_data(data)
    assert configuration.decision.period_s == 15.0
    assert configuration.models[0].max_replicas is None


@pytest.mark.parametrize(
    "key, meant",
    [("modles", "models"), ("Models", "models"), ("serviceClasses", "service_classes"), ("limit", "limits")],
)
def test_an_unknown_key_is_refused_with_the_nearest_known(
    key: str, meant: str, data: Data, find_problems: Find
) -> None:
    data[key] = 1
    assert find_problems(data) == [f"{key} is not known; did you mean {meant}?"]


def test_an_unknown_key_that_resembles_nothing_gets_the_list(data: Data, find_problems: Find) -> None:
    data["accelerators"]["L40S"]["zzz"] = 1
    assert find_problems(data) == ["accelerators.L40S.zzz is not known; known are cost_per_hour, memory, watts"]


def test_a_broken_field_silences_only_the_rules_about_itself(data: Data, find_problems: Find) -> None:
    variant = data["models"][0]["variants"][0]
    variant.update(min_replicas=3, max_replicas=1, startup="soon")
    assert find_problems(data) == [
        "models[0].variants[0].startup must be a duration with its unit, such as 250ms, 30s or 5m, got soon",
        "models[0].variants[0].max_replicas must be >= min_replicas 3, got 1",
    ]


def test_a_variant_that_is_no_mapping_does_not_hide_other_problems(data: Data, find_problems: Find) -> None:
    data["models"][0]["variants"][0] = "l40s"
    data["models"][1]["namspace"] = "x"
    assert find_problems(data) == [
        "models[0].variants[0] must be a mapping, got l40s",
        "models[1].namspace is not known; did you mean namespace?",
    ]


def test_a_broken_item_hides_neither_its_neighbors_nor_its_own_other_fields(data: Data, find_problems: Find) -> None:
    data["limits"] = [{"name": "x", "accelerators": ["A1"], "amount": -4}, {"name": "x", "kind": "money", "amount": 3}]
    model = data["models"][0]
    model["min_replicas"] = 0
    model.pop("gateway", None)
    model["variants"][0].update(startup="-80s", min_replicas=0)
    problems = "\n".join(find_problems(data))
    for told in (
        "limits[0].amount must be >= 0, got -4",
        "limits[0].accelerators[0] names A1, which is not known",
        "limits[1].name claims limit x, as limits[0].name does already",
        "models[0].variants[0].startup must be >= 0s, got -80s",
        "models[0].min_replicas must be >= 1 without a gateway",
    ):
        assert told in problems


def test_numbers_and_text_may_be_native_or_quoted(data: Data) -> None:
    data["models"][0]["variants"][0].update(engine_version=0.32, startup="90s", min_replicas="1", cost_per_hour=2)
    variant = decode_data(data).models[0].variants[0]
    assert (variant.engine_version, variant.startup_s, variant.min_replicas, variant.cost_per_hour) == (
        "0.32",
        90.0,
        1,
        2.0,
    )


def test_policy_options_are_read_as_json_would_be(data: Data) -> None:
    data["models"][0]["policy_options"] = {
        "target": "0.8",
        "window": "30s",
        "strict": "true",
        "steps": ["1", "2.5", "x"],
    }
    assert decode_data(data, policies=None).models[0].policy_options == {
        "target": 0.8,
        "window": "30s",
        "strict": True,
        "steps": [1, 2.5, "x"],
    }


def test_sources_of_classes_are_read(data: Data) -> None:
    data["service_classes"]["interactive"]["source"] = {"kind": "gateway_label", "value": "chat"}
    source = decode_data(data).service_classes["interactive"].source
    assert (source.kind, source.value) == (ClassSourceKind.GATEWAY_LABEL, "chat")


def test_rendering_a_configuration_and_decoding_it_gives_it_back(data: Data) -> None:
    data["limits"] = [{"name": "stock", "accelerators": ["H100"], "amount": "unknown"}]
    data["decision"] = {"period": "5s", "utilization_ceiling_ratio": 0.8}
    data["models"][0].update(min_replicas=2, policy_options={"a": [1, {"b": "c"}]})
    configuration = decode_data(data, policies=None)
    assert decode_data(ROOT.render(configuration), policies=None) == configuration
