"""Which step is ours: none that an autoscaler takes, none against a person, and those that would be lost without us."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapter.cluster import Follower, FollowerKind, Obstacle
from adapter.kube.actuation import ZEROED_BY_HPA, ZEROED_BY_US, Action, ActionKind, record_zeroes
from adapter.kube.actuation.step import Permission, Situation, Step, find_step
from optimizer.domain import WorkloadRef
from optimizer.simulation import (
    Behavior,
    HpaSpec,
    HpaState,
    PolicyType,
    ReplicaCounts,
    ScalingRules,
    StepPolicy,
    step_hpa,
)

LLAMA = WorkloadRef("prod", "llama-70b")
QWEN = WorkloadRef("prod", "qwen-32b")
BAND = Obstacle("ToleranceAboveZero", "steps are ignored")
SCALE = Permission(37, scales=True)
ZERO = Permission(37, patches_zero=True)
BRIDGE = Permission(37, bridges_tolerance=True)


def make_follower(
    kind: FollowerKind = FollowerKind.HPA, least: int = 1, most: int | None = 64, **given: Any
) -> Follower:
    tolerant = {"tolerance_up_ratio": 0.1, "tolerance_down_ratio": 0.1, "obstacles": (BAND,), "is_active": True}
    return Follower(kind, "llama", LLAMA, least, most, **{**tolerant, **given})


def see(
    planned: int, requested: int, *followers: Follower, existing: int | None = None, zeroed_by: str = ""
) -> Situation:
    return Situation(LLAMA, planned, requested, requested if existing is None else existing, followers, zeroed_by)


def take(situation: Situation, permission: Permission) -> tuple[ActionKind, int | None, str | None] | None:
    step = find_step(situation, permission)
    return None if step is None else (step.kind, step.replicas, step.zeroed_by)


# --- Nothing is allowed by default ------------------------------------------------------------------------------------
@pytest.mark.parametrize("planned, requested", [(4, 1), (0, 1), (4, 0), (11, 10)])
def test_without_permission_nothing_is_done(planned: int, requested: int) -> None:
    for followers in ((), (make_follower(),)):
        assert (
            find_step(
                see(planned, requested, *followers, zeroed_by=ZEROED_BY_US if requested == 0 else ""), Permission(37)
            )
            is None
        )


# --- Scaling ourselves ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "planned, requested, zeroed_by, expected",
    [
        (4, 4, "", None),
        (4, 1, "", (ActionKind.SCALED, 4, None)),
        (1, 9, "", (ActionKind.SCALED, 1, None)),
        (0, 3, "", (ActionKind.RECORDED, None, ZEROED_BY_US)),
        (0, 3, ZEROED_BY_US, (ActionKind.PUT_TO_ZERO, 0, None)),
        (0, 0, ZEROED_BY_US, None),
        (5, 0, ZEROED_BY_US, (ActionKind.WOKEN, 5, None)),
        (5, 0, ZEROED_BY_HPA, (ActionKind.WOKEN, 5, None)),
        (5, 0, "", (ActionKind.REFUSED, None, None)),
        (5, 5, ZEROED_BY_US, (ActionKind.RECORDED, None, "")),
    ],
)
def test_a_workload_without_autoscaler_gets_the_published_number(
    planned: int, requested: int, zeroed_by: str, expected: tuple[ActionKind, int | None, str | None] | None
) -> None:
    assert take(see(planned, requested, zeroed_by=zeroed_by), SCALE) == expected


@pytest.mark.parametrize("follower", [make_follower(), make_follower(reads_our_number=False)])
def test_where_somebody_else_sets_the_replicas_we_refuse(follower: Follower) -> None:
    step = find_step(see(4, 1, follower), SCALE)
    assert step is not None
    assert (step.kind, step.replicas) == (ActionKind.REFUSED, None)
    assert "HorizontalPodAutoscaler llama" in step.message


# --- Around zero ------------------------------------------------------------------------------------------------------
STUCK = make_follower(least=0, has_scaled_to_zero=False)


@pytest.mark.parametrize(
    "situation, expected",
    [
        (see(0, 1, make_follower()), (ActionKind.RECORDED, None, ZEROED_BY_US)),
        (see(0, 1, make_follower(), zeroed_by=ZEROED_BY_US), (ActionKind.PUT_TO_ZERO, 0, None)),
        (see(0, 2, make_follower(), zeroed_by=ZEROED_BY_US), None),  # its autoscaler goes to one first
        (see(0, 0, make_follower(), zeroed_by=ZEROED_BY_US), None),
        (see(3, 0, make_follower(), zeroed_by=ZEROED_BY_US), (ActionKind.WOKEN, 1, None)),
        (see(3, 0, make_follower()), (ActionKind.REFUSED, None, None)),
        (see(3, 1, make_follower(), zeroed_by=ZEROED_BY_US), (ActionKind.RECORDED, None, "")),
        (see(0, 2, make_follower(least=2)), None),
        (see(0, 1, make_follower(has_scaled_to_zero=True)), None),  # it would wake it again
        (see(0, 1, make_follower(least=0)), None),
        (see(3, 0, STUCK, zeroed_by=ZEROED_BY_HPA), (ActionKind.WOKEN, 1, None)),
        (see(3, 0, STUCK), (ActionKind.REFUSED, None, None)),
        (see(3, 0, make_follower(least=0, has_scaled_to_zero=True), zeroed_by=ZEROED_BY_HPA), None),
        (see(0, 1, make_follower(FollowerKind.POD_AUTOSCALER)), (ActionKind.RECORDED, None, ZEROED_BY_US)),
        (see(0, 1, make_follower(FollowerKind.KEDA)), None),
        (see(3, 0, make_follower(FollowerKind.KEDA), zeroed_by=ZEROED_BY_US), None),
        (see(3, 0, make_follower(reads_our_number=False), zeroed_by=ZEROED_BY_US), None),
        (see(3, 0, make_follower(), make_follower(), zeroed_by=ZEROED_BY_US), None),
        (see(3, 0, zeroed_by=ZEROED_BY_US), None),
    ],
)
def test_only_steps_between_zero_and_one_that_the_autoscaler_cannot_take_are_ours(
    situation: Situation, expected: tuple[ActionKind, int | None, str | None] | None
) -> None:
    assert take(situation, ZERO) == expected


def test_up_to_1_35_an_autoscaler_with_minimum_zero_wakes_by_itself() -> None:
    assert find_step(see(3, 0, STUCK, zeroed_by=ZEROED_BY_US), replace(ZERO, kubernetes_minor=35)) is None


@pytest.mark.parametrize("permission", [Permission(37), ZERO, BRIDGE])
def test_who_put_it_to_zero_is_recorded_and_forgotten(permission: Permission) -> None:
    slept = make_follower(least=0, has_scaled_to_zero=True)
    assert take(see(0, 0, slept), permission) == (ActionKind.RECORDED, None, ZEROED_BY_HPA)
    assert take(see(0, 0, slept, zeroed_by=ZEROED_BY_HPA), permission) is None
    assert take(see(0, 2, make_follower(least=0), zeroed_by=ZEROED_BY_HPA), permission) == (
        ActionKind.RECORDED,
        None,
        "",
    )
    assert take(see(2, 2, make_follower(least=0), zeroed_by=ZEROED_BY_US), permission) == (
        ActionKind.RECORDED,
        None,
        "",
    )


def test_a_person_who_puts_it_to_zero_is_never_overruled() -> None:
    """Awake, then at zero by hand: whatever we did before, nothing is recorded any more, and nothing wakes it."""
    for permission in (SCALE, ZERO):
        followers = () if permission.scales else (make_follower(),)
        zeroed_by = {LLAMA: ZEROED_BY_US}
        awake = find_step(see(3, 3, *followers, zeroed_by=zeroed_by[LLAMA]), permission)
        assert awake is not None
        zeroed_by = record_zeroes(zeroed_by, [Action(LLAMA, awake.kind, awake.message, zeroed_by=awake.zeroed_by)])
        step = find_step(see(3, 0, *followers, zeroed_by=zeroed_by.get(LLAMA, "")), permission)
        assert step is not None
        assert (step.kind, step.replicas) == (ActionKind.REFUSED, None)
        assert "by hand" in step.message


def test_records_change_only_where_an_action_says_so() -> None:
    before = {LLAMA: ZEROED_BY_US, QWEN: ZEROED_BY_HPA}
    actions = [Action(LLAMA, ActionKind.RECORDED, "", zeroed_by=""), Action(QWEN, ActionKind.SCALED, "")]
    assert record_zeroes(before, actions) == {QWEN: ZEROED_BY_HPA}
    assert record_zeroes({}, [Action(LLAMA, ActionKind.RECORDED, "", zeroed_by=ZEROED_BY_US)]) == {LLAMA: ZEROED_BY_US}


# --- Over the dead band -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "situation, expected",
    [
        (see(11, 10, make_follower()), 11),
        (see(9, 10, make_follower()), 9),
        (see(12, 10, make_follower()), None),  # it sees that one
        (see(8, 10, make_follower()), None),
        (see(10, 10, make_follower()), None),
        (see(12, 13, make_follower()), 12),  # grown by a rolling update
        (see(12, 12, make_follower(), existing=13), None),  # asked for already
        (see(12, 11, make_follower(), existing=12), None),  # it says so itself at its next sync
        (see(11, 10, make_follower(), existing=0), None),
        (see(11, 10, make_follower(most=10)), None),
        (see(10, 11, make_follower(least=11)), None),
        (see(11, 10, make_follower(obstacles=(BAND, Obstacle("ScaleDownWindow", "")))), None),
        (see(11, 10, make_follower(is_active=False)), None),
        (see(11, 10, make_follower(reads_our_number=False)), None),
        (see(11, 10, make_follower(), make_follower()), None),
        (see(11, 10, make_follower(FollowerKind.KEDA)), 11),
        (see(11, 10, make_follower(FollowerKind.POD_AUTOSCALER)), None),
        (see(11, 10, make_follower(obstacles=(), tolerance_up_ratio=0.0)), None),
        (see(11, 10, make_follower(tolerance_up_ratio=0.0)), None),
        (see(1, 0, make_follower(tolerance_up_ratio=2.0)), None),
        (see(0, 1, make_follower(least=0, tolerance_down_ratio=1.0)), None),
    ],
)
def test_a_step_is_bridged_exactly_where_the_band_loses_it(situation: Situation, expected: int | None) -> None:
    step = find_step(situation, BRIDGE)
    assert (step.replicas if step else None) == expected
    assert step is None or step.kind is ActionKind.BRIDGED


FREE = Behavior(ScalingRules((StepPolicy(PolicyType.PODS, 64),)), ScalingRules((StepPolicy(PolicyType.PERCENT, 100),)))


def test_with_the_bridge_a_default_tolerance_follows_every_step_and_stays_there() -> None:
    spec, follower = HpaSpec(1, 64, behavior=FREE), make_follower()
    bridged = 0
    for present in range(1, 65):
        for wanted in range(1, 65):
            replicas, state = present, HpaState()
            for sync in range(6):
                step: Step | None = find_step(see(wanted, replicas, follower), BRIDGE)
                bridged += step is not None
                replicas = step.replicas if step and step.replicas is not None else replicas
                counts = ReplicaCounts(replicas, replicas, replicas)
                answer, state = step_hpa(spec, state, counts, [(1000 * wanted,)], 15.0 * sync)
                replicas = answer.replicas
            assert replicas == wanted, (present, wanted)
    assert bridged == 340  # each step that is lost in 1..64, once


def test_a_rolling_update_is_not_left_larger_than_planned() -> None:
    """While a surge lasts the band answers with what exists; once it is over the planned number holds."""
    spec, follower, wanted = HpaSpec(1, 64, behavior=FREE), make_follower(), 12
    replicas, state = wanted, HpaState()
    for sync in range(12):
        surge = 1 if sync < 6 else 0
        counts = ReplicaCounts(replicas, replicas + surge, replicas)
        answer, state = step_hpa(spec, state, counts, [(1000 * wanted,)], 15.0 * sync)
        replicas = answer.replicas
        assert replicas <= wanted + 1
        step = find_step(see(wanted, replicas, follower, existing=replicas + surge), BRIDGE)
        replicas = step.replicas if step and step.replicas is not None else replicas
    assert replicas == wanted
