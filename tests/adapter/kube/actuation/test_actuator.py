"""The actuator changes workloads of a cluster in memory: what is published and fresh, once, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from adapter.cluster import ClusterView, Follower, FollowerKind, Obstacle
from adapter.inventory import Inventory, WorkloadEntry
from adapter.kube.actuation import (
    ZEROED_BY_US,
    Action,
    ActionKind,
    ActuationOptions,
    Actuator,
    record_zeroes,
)
from adapter.kube.actuation.deletion_cost import ANNOTATION
from adapter.kube.client import KubeClient
from adapter.kube.mapper import ResourceMapper
from adapter.kube.resource import DEPLOYMENTS, PODS, STATEFUL_SETS, Resource
from adapter.store import Publication
from optimizer.domain import (
    ModelKey,
    ModelTraffic,
    Override,
    OverrideMode,
    PodKey,
    PodPhase,
    PodState,
    Reason,
    ReasonCode,
    VariantDecision,
    VariantTraffic,
    WorkloadRef,
)
from tests.builders.decisions import DECIDED_AT_S, ManualClock, make_model_decision, make_variant_decision
from tests.builders.fake_kube_api import FakeKubeApi

LLAMA = WorkloadRef("prod", "llama-70b")
QWEN = WorkloadRef("prod", "qwen-32b")
OPTIONS = ActuationOptions(37, 600.0)
SCALE = replace(OPTIONS, scaled_workloads=frozenset({LLAMA, QWEN}))


@dataclass
class Stage:
    """One cluster, and what we know of it and have published."""

    api: FakeKubeApi
    actuator: Actuator
    clock: ManualClock
    requested: dict[WorkloadRef, int] = field(default_factory=dict)
    followers: dict[WorkloadRef, tuple[Follower, ...]] = field(default_factory=dict)
    zeroed_by: Mapping[WorkloadRef, str] = field(default_factory=dict)
    traffic: tuple[ModelTraffic, ...] = ()

    def make(self, workload: WorkloadRef, replicas: int, existing: int | None = None) -> None:
        """Let `workload` be there, and be known."""
        resource = {"Deployment": DEPLOYMENTS, "StatefulSet": STATEFUL_SETS}.get(workload.kind) or self._install(
            workload
        )
        status = {"replicas": replicas if existing is None else existing}
        about = {"name": workload.name, "namespace": workload.namespace}
        self.api.put(resource, {"metadata": about, "spec": {"replicas": replicas}, "status": status})
        self.requested[workload] = replicas

    def _install(self, workload: WorkloadRef) -> Resource:
        group, _, version = workload.api_version.partition("/")
        resource = Resource(group, version, f"{workload.kind.lower()}s", workload.kind)
        self.api.install(resource, has_scale=True)
        return resource

    def count(self, workload: WorkloadRef, resource: Resource = DEPLOYMENTS) -> int:
        replicas: int = self.api.get(resource, workload.namespace, workload.name)["spec"]["replicas"]
        return replicas

    async def act(self, *variants: VariantDecision, options: ActuationOptions, **view: Any) -> tuple[Action, ...]:
        """Act once, and remember what is to be recorded."""
        models = (make_model_decision(*variants, decided_at_s=DECIDED_AT_S),) if variants else ()
        entries = tuple(WorkloadEntry(workload, count, ()) for workload, count in self.requested.items())
        seen = ClusterView(Inventory(entries, **view), followers=self.followers)
        publication = Publication(models, traffic=self.traffic)
        actions = await self.actuator.act(publication, seen, options, self.zeroed_by)
        self.zeroed_by = record_zeroes(self.zeroed_by, actions)
        self.requested = {workload: self._read(workload) for workload in self.requested}
        return actions

    def _read(self, workload: WorkloadRef) -> int:
        resource = next(kind for kind in self.api.kinds.resources if kind.kind == workload.kind)
        return self.count(workload, resource)

    @property
    def writes(self) -> int:
        return self.api.count_writes().total()


@pytest.fixture
def stage(kube_api: FakeKubeApi, kube_client: KubeClient) -> Stage:
    clock = ManualClock()
    return Stage(kube_api, Actuator(kube_client, ResourceMapper(kube_client), clock), clock)


def decide(replicas: int, workload: WorkloadRef = LLAMA, **given: Any) -> VariantDecision:
    return replace(make_variant_decision(workload.name, replicas, kind=workload.kind), workload=workload, **given)


def make_follower(workload: WorkloadRef = LLAMA, **given: Any) -> tuple[Follower, ...]:
    return (Follower(FollowerKind.HPA, "hpa", workload, 1, 64, **{"is_active": True, **given}),)


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


# --- Pods -------------------------------------------------------------------------------------------------------------
COSTS = replace(OPTIONS, sets_deletion_cost=True)


def see_pods(stage: Stage, decision: VariantDecision, **running: float) -> None:
    pods = tuple(
        PodState(PodKey("prod", name, f"uid-{name}"), PodPhase.READY, running_requests=requests)
        for name, requests in running.items()
    )
    key = ModelKey("prod", decision.key.model_id)
    told = stage.traffic[0].variants if stage.traffic else ()
    told = tuple(entry for entry in told if entry.key != decision.key)
    stage.traffic = (ModelTraffic(key, None, None, (*told, VariantTraffic(decision.key, None, pods))),)


def make_pods(stage: Stage, *names: str) -> None:
    for name in names:
        stage.api.put(PODS, {"metadata": {"name": name, "namespace": "prod", "annotations": {"kept": "yes"}}})


def get_costs(stage: Stage) -> dict[str, str | None]:
    return {pod["metadata"]["name"]: pod["metadata"]["annotations"].get(ANNOTATION) for pod in stage.api.list(PODS)}


async def test_pods_tell_how_busy_they_are_and_only_when_that_changes(stage: Stage) -> None:
    stage.make(LLAMA, 3)
    make_pods(stage, "a", "b", "c")
    decision = decide(3)
    see_pods(stage, decision, a=9.0, b=0.0, c=2.0)
    (action,) = await stage.act(decision, options=COSTS)
    assert (action.kind, action.workload) == (ActionKind.COSTS_SET, LLAMA)
    assert get_costs(stage) == {"a": "4", "b": "0", "c": "2"}
    assert stage.api.get(PODS, "prod", "a")["metadata"]["annotations"]["kept"] == "yes"
    see_pods(stage, decision, a=12.0, b=0.0, c=3.0)
    assert await stage.act(decision, options=COSTS) == ()
    see_pods(stage, decision, a=0.0, b=20.0, c=3.0)
    await stage.act(decision, options=COSTS)
    assert get_costs(stage) == {"a": "0", "b": "5", "c": "2"}
    assert stage.writes == 5


async def test_few_pods_are_written_in_one_pass_shrinking_workloads_and_idle_pods_first(stage: Stage) -> None:
    stage.make(LLAMA, 2)
    stage.make(QWEN, 2)
    make_pods(stage, "a", "b", "c", "d")
    growing, shrinking = decide(9, LLAMA), decide(1, QWEN)
    see_pods(stage, growing, a=0.0, b=1.0)
    see_pods(stage, shrinking, c=50.0, d=2.0)
    options = replace(COSTS, max_pod_patches=3)
    await stage.act(growing, shrinking, options=options)
    assert get_costs(stage) == {"a": "0", "b": None, "c": "6", "d": "2"}
    await stage.act(growing, shrinking, options=options)
    assert get_costs(stage) == {"a": "0", "b": "1", "c": "6", "d": "2"}


async def test_pods_that_are_gone_do_no_harm(stage: Stage) -> None:
    stage.make(LLAMA, 2)
    make_pods(stage, "b")
    decision = decide(2)
    see_pods(stage, decision, a=0.0, b=3.0)
    (action,) = await stage.act(decision, options=COSTS)
    assert action.message == "pods that tell anew how busy they are: 1"


async def test_pods_that_are_removed_by_number_are_left_alone(stage: Stage) -> None:
    workload = WorkloadRef("prod", "llama", "StatefulSet")
    stage.make(workload, 2)
    make_pods(stage, "a", "b")
    decision = decide(2, workload)
    see_pods(stage, decision, a=0.0, b=3.0)
    assert await stage.act(decision, options=COSTS) == ()


async def test_pods_of_a_workload_in_shadow_are_left_alone(stage: Stage) -> None:
    stage.make(LLAMA, 2)
    make_pods(stage, "a", "b")
    decision = decide(2, override=Override(OverrideMode.SHADOW))
    see_pods(stage, decision, a=0.0, b=3.0)
    assert await stage.act(decision, options=COSTS) == ()


async def test_a_missing_right_on_pods_is_told_once_a_pass(stage: Stage) -> None:
    stage.make(LLAMA, 2)
    make_pods(stage, "a", "b")
    stage.api.deny("patch", "pods")
    decision = decide(2)
    see_pods(stage, decision, a=0.0, b=3.0)
    (action,) = await stage.act(decision, options=COSTS)
    assert (action.kind, action.workload) == (ActionKind.FAILED, LLAMA)
    assert stage.api.count("patch") == 1
