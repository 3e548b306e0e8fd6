from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from optimizer import State, decode_state, encode_state
from optimizer.demand import LoadShares, PodCount
from optimizer.domain import PodKey, ReasonCode
from optimizer.state import ModelState
from tests.builders.snapshots import MODEL
from tests.builders.story import Story, get_capacity_per_s, make_model, make_settings, make_variant

LARGEST_BYTES = 64_000


def play(variants: int = 2, until_s: float = 300.0) -> State:
    names = [
        make_variant(f"variant-with-a-long-name-{index:02d}", speed=1.0 + 0.1 * index) for index in range(variants)
    ]
    rate_per_s = 2.5 * get_capacity_per_s(names[0])
    story = Story(make_settings(make_model(*names)), lambda t: rate_per_s, {names[0].name: 3}, seed=1)
    story.run(until_s)
    return story.state


def write(state: State) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(encode_state(state), allow_nan=False))
    return document


def test_a_fresh_state_survives() -> None:
    assert decode_state(write(State())) == (State(), ())


def test_a_state_with_everything_in_it_survives() -> None:
    state = play()
    model = replace(
        state.models[MODEL],
        policy_state={"nested": {"list": [1, 2.5, None, "text"], "empty": {}}, "flag": True},
        learners={"small": {"samples": [0.1, 0.2]}},
    )
    state = replace(state, models={MODEL: model})
    assert decode_state(write(state)) == (state, ())


def test_an_llm_with_many_variants_and_pods_stays_small() -> None:
    state = play(variants=8, until_s=2400.0)
    pods = [PodKey("prod", f"a-deployment-with-a-long-name-{index:04d}-abcde", "0" * 36) for index in range(1000)]
    counts = [PodCount(pod, "variant-with-a-long-name-00", 123.4567, 15.0) for pod in pods]
    shares = LoadShares().count(counts, pods, frozenset(), 1_795_000_000.123)
    model = state.models[MODEL]
    model = replace(model, demand=replace(model.demand, shares=shares))
    document = write(replace(state, models={MODEL: model}))
    (entry,) = document["models"]
    assert len(json.dumps(entry)) <= LARGEST_BYTES


@pytest.mark.parametrize(
    "document", [None, 3, "text", [], {}, {"version": 0}, {"version": "1"}, {"version": 99, "models": []}]
)
def test_what_is_no_state_of_this_version_begins_afresh_with_a_reason(document: object) -> None:
    state, reasons = decode_state(document)
    assert state == State()
    assert [reason.code for reason in reasons] == [ReasonCode.STATE_LOST]


def test_a_broken_entry_makes_only_its_llm_begin_afresh() -> None:
    story = play()
    other = replace(MODEL, model_id="other")
    document = write(State({MODEL: story.models[MODEL], other: ModelState()}, story.fleet))
    broken = next(entry for entry in document["models"] if entry["key"]["model_id"] == "llama")
    broken["state"]["demand"]["history"] = "gone"
    state, reasons = decode_state(document)
    assert set(state.models) == {other}
    assert state.fleet == story.fleet
    (reason,) = reasons
    assert reason.code is ReasonCode.STATE_LOST
    assert "prod/llama" in reason.message


@pytest.mark.parametrize("broken", [{"models": {}}, {"models": [3]}, {"models": [{}]}, {"fleet": 7}, {"fleet": None}])
def test_every_kind_of_damage_is_survived(broken: dict[str, Any]) -> None:
    state, reasons = decode_state({**write(State()), **broken})
    assert state == State()
    assert len(reasons) == 1


def test_a_decision_can_be_made_with_whatever_was_read() -> None:
    document = write(play())
    settings = make_settings(make_model(make_variant("small")))
    for entry in list(document["models"][0]["state"]):
        state, _ = decode_state({**document, "models": [{**document["models"][0], "state": {entry: 1}}]})
        story = Story(settings, lambda t: 1.0, {"small": 1})
        story.state = state
        story.run(30.0)
        assert story.passes[-1].planned == {"small": 1}
