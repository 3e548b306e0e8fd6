from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from optimizer import (
    BUILT_IN_POLICIES,
    FixedReplicas,
    InvalidInput,
    ModelView,
    PolicyState,
    State,
    decide,
    decode_state,
    encode_state,
)
from optimizer.domain import (
    ConditionType,
    FleetSnapshot,
    Hold,
    Limit,
    LimitKind,
    ModelDecision,
    ModelSnapshot,
    Observation,
    Reason,
    ReasonCode,
    Routing,
    Settings,
    SolveStatus,
    VariantState,
)
from tests.builders.snapshots import make_gateway, make_key, make_model_snapshot, make_state, make_window
from tests.builders.story import Story, get_capacity_per_s, make_model, make_settings, make_variant

SMALL = make_variant("small", cost_per_hour=1.0)
BIG = make_variant("big", cost_per_hour=3.0, speed=2.0)
CAPACITY_PER_S = get_capacity_per_s(SMALL)


def plan(decision: ModelDecision) -> dict[str, int]:
    return {entry.key.variant: entry.planned_replicas for entry in decision.variants}


def look_up(levels: list[float], time_s: float) -> float:
    return levels[int(time_s // 60.0) % len(levels)]


def decide_once(snapshot: ModelSnapshot, settings: Settings, state: State | None = None, **extra: Any) -> ModelDecision:
    outcome = decide(state or State(), FleetSnapshot(15.0, (snapshot,)), 15.0, settings, **extra)
    (decision,) = outcome.decisions
    return decision


def test_the_first_decision_begins_with_the_replicas_that_are_asked_for() -> None:
    snapshot = make_model_snapshot((make_state("small", ("a", "b"), requested=4),))
    decision = decide_once(snapshot, make_settings(make_model(SMALL)))
    assert plan(decision) == {"small": 4}
    assert decision.decided_at_s == 15.0
    assert decision.reason.code is not ReasonCode.STEADY


def test_where_nobody_tells_what_is_asked_for_it_begins_with_what_exists() -> None:
    state = replace(make_state("small", ("a", "b", "c")), requested_replicas=None)
    assert plan(decide_once(make_model_snapshot((state,)), make_settings(make_model(SMALL)))) == {"small": 3}


def test_a_variant_of_which_nothing_is_known_is_not_decided_about() -> None:
    lost = VariantState(make_key("big"), None, (), Reason(ReasonCode.NO_DATA, "not in the inventory"))
    snapshot = make_model_snapshot((make_state("small", ("a",)), lost), (make_window("a", 15.0),))
    assert plan(decide_once(snapshot, make_settings(make_model(SMALL, BIG)))) == {"small": 1}


def test_an_llm_of_which_nothing_is_known_has_no_decision() -> None:
    outcome = decide(State(), FleetSnapshot(15.0, ()), 15.0, make_settings(make_model(SMALL)))
    assert outcome.decisions == ()


def test_an_llm_that_disappears_from_the_snapshot_is_held() -> None:
    settings = make_settings(make_model(SMALL))
    story = Story(settings, lambda t: 2.0 * CAPACITY_PER_S, {"small": 3})
    story.run(300.0)
    outcome = decide(story.state, FleetSnapshot(315.0, ()), 315.0, settings)
    assert plan(outcome.decisions[0]) == {"small": 3}
    assert outcome.decisions[0].decided_at_s == 300.0


def test_llms_that_are_no_longer_configured_are_forgotten_and_new_ones_begin_afresh() -> None:
    story = Story(make_settings(make_model(SMALL)), lambda t: CAPACITY_PER_S, {"small": 2})
    story.run(60.0)
    other = make_model(make_variant("solo", model_id="other"))
    outcome = decide(story.state, FleetSnapshot(75.0, ()), 75.0, make_settings(other))
    assert set(outcome.state.models) == set()


def test_a_new_variant_joins_with_what_it_has() -> None:
    story = Story(make_settings(make_model(SMALL)), lambda t: CAPACITY_PER_S, {"small": 2})
    story.run(300.0)
    shown = story.passes[-1].snapshot.models[0]
    both = replace(shown, variants=(*shown.variants, make_state("big", ())))
    outcome = decide(story.state, FleetSnapshot(315.0, (both,)), 315.0, make_settings(make_model(SMALL, BIG)))
    assert plan(outcome.decisions[0]) == {"small": 2, "big": 0}


def test_the_same_input_gives_the_same_output() -> None:
    story = Story(make_settings(make_model(SMALL, BIG)), lambda t: 3.0 * CAPACITY_PER_S, {"small": 2}, seed=1)
    story.run(300.0)
    again = Story(make_settings(make_model(SMALL, BIG)), lambda t: 3.0 * CAPACITY_PER_S, {"small": 2}, seed=1)
    again.run(300.0)
    assert [entry.decision for entry in story.passes] == [entry.decision for entry in again.passes]
    assert story.state == again.state


def test_the_state_survives_its_document_at_every_pass() -> None:
    story = Story(make_settings(make_model(SMALL, BIG)), lambda t: (2.0 + t / 100.0) * CAPACITY_PER_S, {"small": 3})
    through = Story(make_settings(make_model(SMALL, BIG)), lambda t: (2.0 + t / 100.0) * CAPACITY_PER_S, {"small": 3})
    story.run(600.0)
    for end_s in range(15, 615, 15):
        through.run(float(end_s))
        document = json.loads(json.dumps(encode_state(through.state), allow_nan=False))
        decoded, reasons = decode_state(document)
        assert (decoded, reasons) == (through.state, ())
        through.state = decoded
    assert [entry.decision for entry in through.passes] == [entry.decision for entry in story.passes]


@pytest.mark.parametrize("lost_at_s", [150.0, 465.0, 705.0])
def test_a_restart_that_loses_everything_changes_nothing_while_traffic_is_steady(lost_at_s: float) -> None:
    story = Story(make_settings(make_model(SMALL, BIG)), lambda t: 3.4 * CAPACITY_PER_S, {"small": 5})
    story.run(lost_at_s)
    before = story.passes[-1].planned
    story.run(lost_at_s + 10.0)  # whoever acts has caught up
    story.state = State()
    story.run(lost_at_s + 110.0)
    assert all(entry.planned == before for entry in story.passes if entry.now_s > lost_at_s)


def test_more_arrivals_never_mean_fewer_replicas() -> None:
    settings = make_settings(make_model(SMALL))
    stream = np.random.default_rng(3)
    for trial in range(12):
        levels = stream.uniform(1.0, 6.0, 12) * CAPACITY_PER_S
        story = Story(settings, partial(look_up, levels.tolist()), {"small": 3}, seed=trial)
        story.run(15.0 * float(stream.integers(8, 48)))
        shown, now_s = story.passes[-1].snapshot.models[0], story.now_s + 15.0
        planned = []
        for factor in (0.0, 0.3, 0.8, 1.0, 1.2, 2.0, 5.0):
            windows = tuple(
                replace(window, start_s=now_s - 15.0, end_s=now_s, arrivals=(window.arrivals or 0.0) * factor)
                for window in shown.windows
            )
            snapshot = FleetSnapshot(now_s, (replace(shown, windows=windows),))
            planned.append(plan(decide(story.state, snapshot, now_s, settings).decisions[0])["small"])
        assert planned == sorted(planned)


def test_bounds_and_limits_hold_whatever_is_asked() -> None:
    small, big = replace(SMALL, min_replicas=1, max_replicas=3), replace(BIG, max_replicas=4)
    limit = Limit("gpus", LimitKind.ACCELERATORS, {make_key("small"): 1.0, make_key("big"): 4.0}, 9.0)
    settings = make_settings(make_model(small, big), limits=(limit,))
    levels = np.random.default_rng(4).uniform(0.0, 20.0, 40) * CAPACITY_PER_S
    story = Story(settings, lambda t: float(levels[int(t // 90)]), {"small": 1}, seed=4)
    story.run(3600.0)
    for entry in story.passes:
        assert 1 <= entry.planned["small"] <= 3
        assert entry.planned["small"] + 4 * entry.planned["big"] <= 9
    short = [entry.decision for entry in story.passes if entry.decision and entry.decision.plan]
    assert any(entry.plan is not None and entry.plan.status is SolveStatus.SHORTAGE for entry in short)


@dataclass(frozen=True)
class Raising:
    failure: Exception

    def propose(
        self, view: ModelView, state: PolicyState, now_s: float, settings: Settings
    ) -> tuple[FixedReplicas, PolicyState]:
        raise self.failure


@dataclass(frozen=True)
class Counting:
    """Wants as many replicas of its first variant as it has been asked."""

    def propose(
        self, view: ModelView, state: PolicyState, now_s: float, settings: Settings
    ) -> tuple[FixedReplicas, PolicyState]:
        asked = int(state.get("asked", 0)) + 1
        return FixedReplicas({view.variants[0].key: asked}), {"asked": asked}


@pytest.mark.parametrize("failure", [InvalidInput("x", "> 0", 0), ZeroDivisionError("x / 0"), OverflowError("big")])
def test_one_policy_that_fails_holds_its_llm_and_touches_no_other(failure: Exception) -> None:
    other = make_model(make_variant("solo", model_id="other"), policy="broken")
    settings = make_settings(make_model(SMALL), other)
    key = other.variants[0].key()
    states = (
        make_model_snapshot((make_state("small", ("a",)),), (make_window("a", 90.0),)),
        ModelSnapshot(other.key, (replace(make_state("solo", ("b",)), key=key),), (make_window("b", 90.0),)),
    )
    policies = {**BUILT_IN_POLICIES, "broken": Raising(failure)}
    outcome = decide(State(), FleetSnapshot(15.0, states), 15.0, settings, policies)
    mine, theirs = outcome.decisions
    assert plan(mine)["small"] > 1
    assert plan(theirs) == {"solo": 1}
    assert theirs.reason.code is ReasonCode.POLICY_FAILED
    assert theirs.variants[0].hold is not None


def test_other_mistakes_of_a_policy_are_not_swallowed() -> None:
    snapshot = make_model_snapshot((make_state("small", ("a",)),), (make_window("a", 90.0),))
    with pytest.raises(KeyError):
        decide_once(
            snapshot, make_settings(make_model(SMALL, policy="broken")), policies={"broken": Raising(KeyError("x"))}
        )


def test_an_unknown_policy_holds() -> None:
    snapshot = make_model_snapshot((make_state("small", ("a",)),), (make_window("a", 90.0),))
    decision = decide_once(snapshot, make_settings(make_model(SMALL, policy="nobody")))
    assert (plan(decision), decision.reason.code) == ({"small": 1}, ReasonCode.POLICY_FAILED)


def test_a_policy_of_counts_is_followed_within_bounds_and_remembers() -> None:
    settings = make_settings(make_model(replace(SMALL, max_replicas=4), policy="counting"))
    policies: Mapping[str, Counting] = {"counting": Counting()}
    state, planned = State(), []
    for index in range(6):
        now_s = 15.0 * index + 15.0
        snapshot = make_model_snapshot((make_state("small", ("a",)),), (make_window("a", 90.0, now_s - 15.0, now_s),))
        outcome = decide(state, FleetSnapshot(now_s, (snapshot,)), now_s, settings, policies)
        state = outcome.state
        planned.append(plan(outcome.decisions[0])["small"])
    assert planned == [1, 2, 3, 4, 4, 4]


@dataclass(frozen=True)
class Answering:
    """Says one thing, and remembers that it did."""

    proposal: FixedReplicas

    def propose(
        self, view: ModelView, state: PolicyState, now_s: float, settings: Settings
    ) -> tuple[FixedReplicas, PolicyState]:
        return self.proposal, {"said": True}


def test_a_policy_of_counts_that_holds_keeps_what_is_published_gives_its_reason_and_remembers() -> None:
    snapshot = make_model_snapshot((make_state("small", ("a", "b")),), (make_window("a", 90.0), make_window("b", 90.0)))
    reason = Reason(ReasonCode.METRIC_MISSING, "no pod tells how many wait")
    settings = make_settings(make_model(SMALL, policy="answering"))
    policies = {"answering": Answering(FixedReplicas({SMALL.key(): 7}, hold=reason))}
    outcome = decide(State(), FleetSnapshot(15.0, (snapshot,)), 15.0, settings, policies)
    decision = outcome.decisions[0]
    assert (plan(decision), decision.reason.code) == ({"small": 2}, ReasonCode.METRIC_MISSING)
    assert decision.variants[0].hold == Hold(reason)
    assert outcome.state.models[decision.key].policy_state == {"said": True}


def test_what_a_policy_of_counts_reckons_with_is_published() -> None:
    snapshot = make_model_snapshot((make_state("small", ("a",)),), (make_window("a", 90.0),))
    settings = make_settings(make_model(SMALL, policy="answering"))
    policies = {"answering": Answering(FixedReplicas({SMALL.key(): 1}, capacity_per_s={SMALL.key(): 2.5}))}
    decision = decide(State(), FleetSnapshot(15.0, (snapshot,)), 15.0, settings, policies).decisions[0]
    assert decision.variants[0].capacity_per_s == Observation(2.5)


def test_what_a_policy_of_counts_notes_stands_in_the_reason() -> None:
    snapshot = make_model_snapshot((make_state("small", ("a",)),), (make_window("a", 90.0),))
    note = Reason(ReasonCode.SHORTAGE, "the bounds leave 3 of 5 replicas")
    settings = make_settings(make_model(SMALL, policy="answering"))
    policies = {"answering": Answering(FixedReplicas({SMALL.key(): 3}, note=note))}
    decision = decide(State(), FleetSnapshot(15.0, (snapshot,)), 15.0, settings, policies).decisions[0]
    assert plan(decision) == {"small": 3}
    assert decision.reason.code is ReasonCode.SCALE_UP
    assert decision.reason.message == "1 -> 3 replicas: policy answering asks for 3 replicas; " + note.message


def test_a_variant_without_a_profile_is_held_with_that_reason() -> None:
    snapshot = make_model_snapshot((make_state("small", ("a", "b")),), (make_window("a", 90.0), make_window("b", 90.0)))
    decision = decide_once(snapshot, make_settings(make_model(replace(SMALL, performance=None))))
    assert plan(decision) == {"small": 2}
    assert decision.reason.code is ReasonCode.NO_PROFILE
    assert decision.variants[0].capacity_per_s.reason is not None


def test_every_decision_carries_its_figures() -> None:
    story = Story(make_settings(make_model(SMALL, BIG)), lambda t: 3.0 * CAPACITY_PER_S, {"small": 5})
    story.run(300.0)
    decision = story.passes[-1].decision
    assert decision is not None
    assert decision.demand_per_s.value == pytest.approx(3.0 * CAPACITY_PER_S)
    assert decision.forecast_per_s.value is not None
    assert decision.forecast_per_s.value >= 3.0 * CAPACITY_PER_S
    assert decision.need_per_s is not None
    assert decision.coverage_ratio == 1.0
    assert decision.utilization_ratio == pytest.approx(3.0 * CAPACITY_PER_S / story.passes[-1].ready_per_s)
    assert decision.cost_per_hour == sum(
        entry.planned_replicas * entry.replica_cost_per_hour for entry in decision.variants
    )
    assert decision.plan is not None
    assert decision.plan.runner_up is not None
    types = {condition.type for condition in decision.conditions}
    assert types == set(ConditionType) - {ConditionType.FOLLOWING}  # which a cluster tells


def test_a_plan_whose_routing_does_not_hold_says_so() -> None:
    """The plan assumes that load follows capacity, yet every replica gets the same."""
    uniform = make_model(SMALL, BIG, routing=Routing.UNIFORM)
    story = Story(make_settings(uniform), lambda t: 3.0 * CAPACITY_PER_S, {"small": 2, "big": 1})
    story.settings = make_settings(make_model(SMALL, BIG, routing=Routing.WEIGHTED))
    story.run(150.0)
    decision = story.passes[-1].decision
    assert decision is not None
    routing = next(entry for entry in decision.conditions if entry.type is ConditionType.ROUTING_AS_ASSUMED)
    assert routing.status is False


@pytest.mark.parametrize("real", [Routing.UNIFORM, Routing.WEIGHTED])
def test_auto_assumes_uniform_until_the_loads_of_the_pods_show_more(real: Routing) -> None:
    story = Story(
        make_settings(make_model(SMALL, BIG, routing=real)), lambda t: 3.0 * CAPACITY_PER_S, {"small": 2, "big": 1}
    )
    story.settings = make_settings(make_model(SMALL, BIG, routing=Routing.AUTO))
    story.run(15.0)
    assert story.passes[0].decision is not None
    assert story.passes[0].decision.routing is Routing.UNIFORM
    story.run(150.0)
    assert story.passes[-1].decision is not None
    assert story.passes[-1].decision.routing is real


def test_under_uniform_routing_no_slower_variant_is_begun_that_would_slow_the_others_down() -> None:
    """Big replicas run; small ones would be cheaper, but the first of them would get a big one's share."""
    cheap = replace(SMALL, cost_per_hour=0.2)
    story = Story(
        make_settings(make_model(cheap, BIG, routing=Routing.UNIFORM)), lambda t: 6.0 * CAPACITY_PER_S, {"big": 3}
    )
    story.run(600.0)
    assert story.get_attainment_ratio() == 1.0
    assert all(entry.planned["small"] == 0 for entry in story.passes)
    weighted = Story(make_settings(make_model(cheap, BIG)), lambda t: 6.0 * CAPACITY_PER_S, {"big": 3})
    weighted.run(600.0)
    assert weighted.passes[-1].planned == {"small": 7, "big": 0}
    assert weighted.get_attainment_ratio() == 1.0


@pytest.mark.parametrize("last_page_s, replicas", [(None, 1), (15.0, 3)])
def test_counts_shrink_no_variant_of_which_a_ready_pod_is_silent(last_page_s: float | None, replicas: int) -> None:
    """The demand is known by a gateway; only pages of one pod stay away since `last_page_s`."""
    settings, state = make_settings(make_model(SMALL, policy="answering")), State()
    policies = {"answering": Answering(FixedReplicas({SMALL.key(): 1}))}
    for now_s in range(15, 400, 15):
        seen = make_state("small", ("a", "b", "c"))
        pods = tuple(replace(pod, seen_s=float(now_s)) for pod in seen.pods)
        if last_page_s is not None:
            pods = (*pods[:2], replace(pods[2], seen_s=last_page_s))
        windows = tuple(make_window(name, 5.0, now_s - 15.0, float(now_s)) for name in "abc")
        snapshot = make_model_snapshot((replace(seen, pods=pods),), windows, make_gateway(15.0, now_s - 15.0, now_s))
        outcome = decide(state, FleetSnapshot(float(now_s), (snapshot,)), float(now_s), settings, policies)
        state = outcome.state
    assert plan(outcome.decisions[0]) == {"small": replicas}
