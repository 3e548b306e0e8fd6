"""The actuator changes workloads of a cluster in memory: what is published and fresh, once, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapter.cluster import ClusterView, Obstacle
from adapter.inventory import Inventory, WorkloadEntry
from adapter.kube.actuation import (
    ZEROED_BY_US,
    ActionKind,
)
from adapter.kube.resource import DEPLOYMENTS
from adapter.store import Publication
from optimizer.domain import (
    Override,
    OverrideMode,
    Reason,
    ReasonCode,
    WorkloadRef,
)
from tests.builders.actuation_stage import LLAMA, OPTIONS, QWEN, Stage, decide, make_follower
from tests.builders.decisions import DECIDED_AT_S, make_model_decision

SCALE = replace(OPTIONS, scaled_workloads=frozenset({LLAMA, QWEN}))


# --- Replicas ---------------------------------------------------------------------------------------------------------
async def test_the_published_number_is_asked_for_once(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    (action,) = await stage.act(decide(4), options=SCALE)
    assert (action.workload, action.kind, action.from_replicas, action.to_replicas) == (LLAMA, ActionKind.SCALED, 1, 4)
    assert stage.count(LLAMA) == 4
    assert await stage.act(decide(4), options=SCALE) == ()
    assert stage.writes == 1


@pytest.mark.parametrize(
    "workload",
    [
        WorkloadRef("prod", "llama", "StatefulSet"),
        WorkloadRef("prod", "llama", "Rollout", "argoproj.io/v1alpha1"),
    ],
)
async def test_any_kind_with_a_scale_is_scaled(stage: Stage, workload: WorkloadRef) -> None:
    stage.make(workload, 1)
    (action,) = await stage.act(decide(3, workload), options=replace(OPTIONS, scaled_workloads=frozenset({workload})))
    assert action.kind is ActionKind.SCALED
    assert stage.requested[workload] == 3


async def test_nothing_is_done_by_default(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    assert await stage.act(decide(4), options=OPTIONS) == ()
    stage.followers[LLAMA] = make_follower()
    assert await stage.act(decide(0), options=OPTIONS) == ()
    assert stage.api.calls == []


async def test_nothing_is_done_in_shadow(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    shadow = Override(OverrideMode.SHADOW, by="anna")
    assert await stage.act(decide(4, override=shadow), options=SCALE) == ()
    (action,) = await stage.act(decide(4, override=Override(OverrideMode.PIN, 4)), options=SCALE)
    assert action.to_replicas == 4


async def test_nothing_is_done_about_an_old_decision(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    stage.clock.time_s = DECIDED_AT_S + 600.1
    assert await stage.act(decide(4), options=SCALE) == ()
    stage.clock.time_s = DECIDED_AT_S + 600.0
    assert len(await stage.act(decide(4), options=SCALE)) == 1


async def test_nothing_is_done_without_a_decision_or_without_a_workload(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    assert await stage.act(options=SCALE) == ()
    assert await stage.act(decide(4, QWEN), options=SCALE) == ()
    stage.requested[QWEN] = 2  # known, and gone meanwhile
    stage.make(QWEN, 2)
    stage.api.remove(DEPLOYMENTS, "prod", QWEN.name)
    publication = Publication((make_model_decision(decide(4, QWEN)),))
    view = ClusterView(Inventory((WorkloadEntry(QWEN, 2, ()), WorkloadEntry(LLAMA, None, ()))))
    (action,) = await stage.actuator.act(publication, view, SCALE)
    assert action.kind is ActionKind.FAILED


async def test_nothing_is_done_while_the_watches_are_behind(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    behind = Reason(ReasonCode.STALE, "the watch of Deployments is behind")
    assert await stage.act(decide(4), options=SCALE, reason=behind) == ()
    assert stage.api.calls == []


async def test_two_numbers_for_one_workload_are_none(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    assert await stage.act(decide(4), decide(2), options=SCALE) == ()


async def test_where_an_autoscaler_is_we_refuse_and_say_so(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    stage.followers[LLAMA] = make_follower()
    (action,) = await stage.act(decide(4), options=SCALE)
    assert action.kind is ActionKind.REFUSED
    assert "HorizontalPodAutoscaler hpa" in action.message
    assert stage.api.calls == []


# --- What is seen at the last moment ----------------------------------------------------------------------------------
async def test_the_workload_itself_is_looked_at_before_it_is_changed(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    stage.api.change(DEPLOYMENTS, "prod", LLAMA.name, {"spec": {"replicas": 4}})  # the watch does not know it yet
    stage.api.calls.clear()
    assert await stage.act(decide(4), options=SCALE) == ()
    assert stage.api.count("patch") == 0


async def test_a_person_who_was_faster_keeps_it_at_zero(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    stage.api.change(DEPLOYMENTS, "prod", LLAMA.name, {"spec": {"replicas": 0}})
    assert await stage.act(decide(4), options=SCALE) == ()
    (action,) = await stage.act(decide(4), options=SCALE)
    assert action.kind is ActionKind.REFUSED
    assert stage.count(LLAMA) == 0


async def test_a_change_at_the_same_moment_is_looked_at_before_asking_again(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    stage.api.fail(409, verb="patch", message="the object has been modified", times=2)
    (action,) = await stage.act(decide(4), options=SCALE)
    assert (action.kind, stage.count(LLAMA)) == (ActionKind.SCALED, 4)
    assert stage.api.count("get") == 3


async def test_a_workload_that_changes_all_the_time_waits_for_the_next_pass(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    stage.api.fail(409, verb="patch", message="the object has been modified")
    (action,) = await stage.act(decide(4), options=SCALE)
    assert (action.kind, stage.count(LLAMA)) == (ActionKind.POSTPONED, 1)
    stage.api.heal()
    assert [action.kind for action in await stage.act(decide(4), options=SCALE)] == [ActionKind.SCALED]


async def test_the_patch_names_the_version_that_was_seen(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    await stage.act(decide(4), options=SCALE)
    (patch,) = [call for call in stage.api.calls if call.verb == "patch"]
    assert isinstance(patch.body, dict)
    assert patch.body["metadata"]["resourceVersion"]


# --- Failures ---------------------------------------------------------------------------------------------------------
async def test_one_workloads_failure_is_its_own(stage: Stage) -> None:
    alien = WorkloadRef("prod", "alien", "Alien", "example.org/v1")
    stage.make(LLAMA, 1)
    stage.requested[alien] = 1
    options = replace(OPTIONS, scaled_workloads=frozenset({alien, LLAMA}))
    publication = Publication((make_model_decision(decide(4, alien), decide(4, LLAMA)),))
    view = ClusterView(Inventory((WorkloadEntry(alien, 1, ()), WorkloadEntry(LLAMA, 1, ()))))
    actions = await stage.actuator.act(publication, view, options)
    assert [(action.workload, action.kind) for action in actions] == [
        (alien, ActionKind.FAILED),
        (LLAMA, ActionKind.SCALED),
    ]


async def test_a_missing_right_is_told(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    stage.api.deny("patch", "deployments")
    (action,) = await stage.act(decide(4), options=SCALE)
    assert action.kind is ActionKind.FAILED
    assert "403" in action.message


async def test_when_nobody_answers_the_rest_waits_for_the_next_pass(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    stage.make(QWEN, 1)
    stage.api.fail(503)
    actions = await stage.act(decide(4, LLAMA), decide(4, QWEN), options=SCALE)
    assert [(action.workload, action.kind) for action in actions] == [(LLAMA, ActionKind.FAILED)]
    stage.api.heal()
    assert len(await stage.act(decide(4, LLAMA), decide(4, QWEN), options=SCALE)) == 2


# --- Zero -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("is_alone", [True, False], ids=["by ourselves", "beside an autoscaler"])
async def test_to_zero_and_back_with_a_record_written_first(stage: Stage, is_alone: bool) -> None:
    stage.make(LLAMA, 1)
    stage.followers = {} if is_alone else {LLAMA: make_follower()}
    options = SCALE if is_alone else replace(OPTIONS, patches_zero=True)
    (recorded,) = await stage.act(decide(0), options=options)
    assert (recorded.kind, recorded.zeroed_by, stage.count(LLAMA)) == (ActionKind.RECORDED, ZEROED_BY_US, 1)
    (slept,) = await stage.act(decide(0), options=options)
    assert (slept.kind, slept.to_replicas, stage.count(LLAMA)) == (ActionKind.PUT_TO_ZERO, 0, 0)
    assert await stage.act(decide(0), options=options) == ()
    (woken,) = await stage.act(decide(3), options=options)
    assert (woken.kind, stage.count(LLAMA)) == (ActionKind.WOKEN, 3 if is_alone else 1)
    actions = await stage.act(decide(3), options=options)
    assert [action.kind for action in actions] == [ActionKind.RECORDED]
    assert stage.zeroed_by == {}


async def test_a_record_that_could_not_be_kept_leaves_it_awake(stage: Stage) -> None:
    stage.make(LLAMA, 1)
    for _ in range(3):
        stage.zeroed_by = {}
        (action,) = await stage.act(decide(0), options=SCALE)
        assert action.kind is ActionKind.RECORDED
    assert stage.count(LLAMA) == 1


# --- The dead band ----------------------------------------------------------------------------------------------------
async def test_a_lost_step_is_bridged_by_what_exists(stage: Stage) -> None:
    band = Obstacle("ToleranceAboveZero", "")
    follower = make_follower(obstacles=(band,), tolerance_up_ratio=0.1, tolerance_down_ratio=0.1)
    options = replace(OPTIONS, bridges_tolerance=True)
    stage.make(LLAMA, 10)
    stage.followers[LLAMA] = follower
    (action,) = await stage.act(decide(11), options=options)
    assert (action.kind, action.from_replicas, action.to_replicas) == (ActionKind.BRIDGED, 10, 11)
    stage.make(LLAMA, 10, existing=4)  # its pods are being made: the autoscaler sees 4, and steps itself
    assert await stage.act(decide(11), options=options) == ()
    stage.make(LLAMA, 10)
    assert await stage.act(decide(12), options=options) == ()
    assert stage.count(LLAMA) == 10
