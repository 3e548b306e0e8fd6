"""Decisions about LLMs put together from the objects of their variants."""

from __future__ import annotations

from dataclasses import replace

from adapter.kube.decisions.assemble import assemble_models
from adapter.kube.decisions.heartbeat import Heartbeat
from adapter.kube.decisions.record import DecisionRecord
from optimizer.domain import Condition, ConditionType, ModelKey, Reason, ReasonCode, Routing
from tests.builders.decision_objects import OURS
from tests.builders.decisions import make_variant_decision

FRESH = Condition(ConditionType.FRESH, False, Reason(ReasonCode.STALE, "gateway is silent"))
FOLLOWING = Condition(ConditionType.FOLLOWING, True, Reason(ReasonCode.FOLLOWED, ""))


def make(
    name: str, replicas: int, decided_at_s: float, model_id: str = "llama", code: str = "Steady"
) -> DecisionRecord:
    return DecisionRecord(
        OURS,
        make_variant_decision(name, replicas, model_id=model_id),
        decided_at_s,
        Reason(ReasonCode(code), f"{name} says"),
        Routing.WEIGHTED,
        (FRESH, FOLLOWING),
    )


def test_variants_of_one_llm_come_together_and_others_stay_apart() -> None:
    models = assemble_models([make("b", 2, 5.0), make("q", 1, 5.0, "qwen"), make("a", 3, 5.0)], None)
    assert [(model.key, [line.workload.name for line in model.variants]) for model in models] == [
        (ModelKey("prod", "llama"), ["a", "b"]),
        (ModelKey("prod", "qwen"), ["q"]),
    ]
    assert models[0].cost_per_hour == 5 * 1.55
    assert models[0].routing is Routing.WEIGHTED


def test_the_sentence_about_the_llm_is_the_newest() -> None:
    (model,) = assemble_models([make("a", 3, 5.0, code="Shortage"), make("b", 3, 4.0)], None)
    assert model.reason == Reason(ReasonCode.SHORTAGE, "a says")


def test_whether_one_workload_follows_is_not_said_of_the_llm() -> None:
    (model,) = assemble_models([make("a", 3, 5.0)], None)
    assert model.conditions == (FRESH,)


def test_what_no_object_tells_is_absent_never_zero() -> None:
    (model,) = assemble_models([make("a", 3, 5.0)], None)
    assert not model.demand_per_s.is_known
    assert not model.forecast_per_s.is_known
    assert (model.need_per_s, model.coverage_ratio, model.utilization_ratio, model.plan) == (None, None, None, None)


def test_the_heartbeat_makes_an_unchanged_decision_younger() -> None:
    records = [make("a", 3, 5.0), make("b", 3, 4.0)]
    assert [model.decided_at_s for model in assemble_models(records, Heartbeat(100.0, 99.0))] == [99.0]
    stale = Heartbeat(100.0, 99.0, {ModelKey("prod", "llama"): 50.0})
    assert [model.decided_at_s for model in assemble_models(records, stale)] == [50.0]


def test_a_decision_of_which_a_part_was_not_written_is_not_younger_than_its_oldest_part() -> None:
    half = Heartbeat(100.0, 99.0, {ModelKey("prod", "llama"): None})
    assert [model.decided_at_s for model in assemble_models([make("a", 3, 99.0), make("b", 3, 4.0)], half)] == [4.0]


def test_no_objects_are_no_decisions() -> None:
    assert assemble_models([], Heartbeat(1.0, 1.0)) == ()


def test_an_unknown_capacity_stays_unknown() -> None:
    record = make("a", 3, 5.0)
    record = replace(record, decision=replace(record.decision, ready_replicas=0))
    assert assemble_models([record], None)[0].variants == (record.decision,)
