"""Going on from a state that is older than what was published."""

from __future__ import annotations

from dataclasses import replace

from optimizer import State, recall_decisions
from optimizer.domain import ModelDecision, ModelKey, Plan, SolveStatus
from optimizer.state import FleetState, ModelState
from tests.builders.decisions import make_model_decision, make_variant_decision

KEY = ModelKey("prod", "m")
PLAN = Plan(SolveStatus.OPTIMAL, (), 1.0, 1.0, 1.0)


def make(decided_at_s: float, plan: Plan | None = None, **replicas: int) -> ModelDecision:
    lines = [make_variant_decision(name, count, model_id="m") for name, count in replicas.items()]
    return replace(make_model_decision(*lines, decided_at_s=decided_at_s), plan=plan)


def remember(decision: ModelDecision | None) -> State:
    return State({KEY: ModelState(policy="slo", decision=decision)}, FleetState(5.0))


def get_numbers(state: State) -> dict[str, int]:
    decision = state.models[KEY].decision
    assert decision is not None
    return {line.workload.name: line.planned_replicas for line in decision.variants}


def test_nothing_published_changes_nothing() -> None:
    state = remember(make(10.0, PLAN, a=3))
    assert recall_decisions(state, ()) == state


def test_an_llm_that_was_forgotten_begins_with_its_numbers() -> None:
    state = recall_decisions(State(), [make(10.0, a=3)])
    assert get_numbers(state) == {"a": 3}
    assert state.models[KEY] == ModelState(decision=make(10.0, a=3))


def test_newer_numbers_replace_older_ones_and_nothing_else_is_lost() -> None:
    state = recall_decisions(remember(make(10.0, PLAN, a=3, b=1)), [make(20.0, a=5, b=1)])
    assert get_numbers(state) == {"a": 5, "b": 1}
    assert (state.models[KEY].policy, state.fleet) == ("slo", FleetState(5.0))
    decision = state.models[KEY].decision
    assert decision is not None
    assert (decision.plan, decision.decided_at_s) == (None, 20.0)


def test_the_same_numbers_keep_the_plan_and_only_the_time_moves() -> None:
    state = recall_decisions(remember(make(10.0, PLAN, a=3)), [make(20.0, a=3)])
    assert state == remember(make(20.0, PLAN, a=3))


def test_numbers_that_were_decided_but_never_seen_are_not_turned_back() -> None:
    state = remember(make(20.0, PLAN, a=5))
    assert recall_decisions(state, [make(10.0, a=3)]) == state


def test_a_variant_that_was_not_told_keeps_its_number() -> None:
    state = recall_decisions(remember(make(10.0, PLAN, a=3, b=2)), [make(20.0, a=4)])
    assert get_numbers(state) == {"a": 4, "b": 2}


def test_a_variant_that_was_not_remembered_gets_its_number() -> None:
    state = recall_decisions(remember(make(10.0, PLAN, a=3)), [make(20.0, a=3, b=2)])
    assert get_numbers(state) == {"a": 3, "b": 2}


def test_a_memory_without_a_decision_gets_one() -> None:
    state = recall_decisions(remember(None), [make(20.0, a=3)])
    assert get_numbers(state) == {"a": 3}
    assert state.models[KEY].policy == "slo"
