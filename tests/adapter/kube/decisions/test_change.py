"""What counts as news: facts at once, words when there is time, figures never."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapter.cluster import Obstacle
from adapter.kube.decisions.change import Change, compare_status
from adapter.kube.decisions.encode import encode_status
from adapter.kube.decisions.record import DecisionRecord
from optimizer.domain import (
    Condition,
    ConditionType,
    Hold,
    Observation,
    Override,
    OverrideMode,
    Reason,
    ReasonCode,
    Routing,
)
from tests.builders.decision_objects import OURS
from tests.builders.decisions import DECIDED_AT_S, make_variant_decision

NEED = Reason(ReasonCode.STEADY, "3 replicas: demand 6.02/s, need 7.5/s")
FRESH = Condition(ConditionType.FRESH, True, Reason(ReasonCode.STEADY, "12 pages"))
RECORD = DecisionRecord(
    OURS,
    make_variant_decision("llama", 3),
    DECIDED_AT_S,
    NEED,
    conditions=(FRESH,),
    obstacles=(Obstacle("A", "b 1", "c 2"),),
)


def judge(record: DecisionRecord) -> Change:
    before = encode_status(RECORD, (), {}, DECIDED_AT_S)
    return compare_status(before, encode_status(record, (), before, DECIDED_AT_S + 15.0))


def test_nothing_is_new_in_the_same_decision_made_again() -> None:
    assert judge(RECORD) is Change.NONE
    assert judge(replace(RECORD, decided_at_s=DECIDED_AT_S + 15.0)) is Change.NONE


@pytest.mark.parametrize(
    "message", ["4 replicas: demand 6/s, need 17.25/s", "3 replicas: demand 1e-05/s, need -2/s", NEED.message]
)
def test_a_message_that_differs_in_figures_is_not_new(message: str) -> None:
    assert judge(replace(RECORD, model_reason=Reason(NEED.code, message))) is Change.NONE


def test_other_figures_in_every_text_at_once_are_not_new() -> None:
    decision = replace(
        RECORD.decision, reason=Reason(RECORD.decision.reason.code, "need 9.5/s"), capacity_per_s=Observation(3.0)
    )
    conditions = (replace(FRESH, reason=Reason(ReasonCode.STEADY, "13 pages")),)
    record = replace(RECORD, decision=decision, conditions=conditions, obstacles=(Obstacle("A", "b 3", "c 4"),))
    assert judge(record) is Change.NONE


@pytest.mark.parametrize(
    "fields",
    [
        {"model_reason": Reason(NEED.code, "another sentence")},
        {"conditions": (replace(FRESH, reason=Reason(ReasonCode.STEADY, "every page")),)},
        {"obstacles": (Obstacle("A", "other words", "c 2"),)},
    ],
)
def test_other_words_for_the_same_fact_can_wait(fields: dict[str, Any]) -> None:
    assert judge(replace(RECORD, **fields)) is Change.WORDS


@pytest.mark.parametrize(
    "fields",
    [
        {"planned_replicas": 4},
        {"proposed_replicas": None},
        {"requested_replicas": 3},
        {"observed_replicas": 3},
        {"ready_replicas": 2},
        {"replica_cost_per_hour": 1.56},
        {"reason": Reason(ReasonCode.STEADY, "need 7.5/s")},
        {"hold": Hold(Reason(ReasonCode.CALM_WINDOW, ""))},
        {"override": Override(OverrideMode.PAUSE)},
        {"capacity_per_s": Observation.absent(ReasonCode.NO_DATA, "")},
        {"capacity_origin": None},
    ],
)
def test_a_fact_of_the_variant_is_new(fields: dict[str, Any]) -> None:
    assert judge(replace(RECORD, decision=replace(RECORD.decision, **fields))) is Change.FACTS


@pytest.mark.parametrize(
    "fields",
    [
        {"model_reason": Reason(ReasonCode.SHORTAGE, NEED.message)},
        {"routing": Routing.WEIGHTED},
        {"zeroed_by": "us"},
        {"obstacles": ()},
        {"obstacles": (Obstacle("B", "b 1", "c 2"),)},
        {"conditions": ()},
        {"conditions": (replace(FRESH, status=None),)},
        {"conditions": (replace(FRESH, reason=Reason(ReasonCode.STALE, "12 pages")),)},
    ],
)
def test_a_fact_beside_it_is_new(fields: dict[str, Any]) -> None:
    assert judge(replace(RECORD, **fields)) is Change.FACTS


def test_everything_is_new_where_nothing_stood() -> None:
    assert compare_status({}, encode_status(RECORD, (), {}, DECIDED_AT_S)) is Change.FACTS
