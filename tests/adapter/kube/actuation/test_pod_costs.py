"""The actuator writes to pods how busy they are: only changes, few in a pass, and only where that counts."""

from __future__ import annotations

from dataclasses import replace

from adapter.kube.actuation import ActionKind
from adapter.kube.actuation.deletion_cost import ANNOTATION
from adapter.kube.resource import PODS
from optimizer.domain import (
    ModelKey,
    ModelTraffic,
    Override,
    OverrideMode,
    PodKey,
    PodPhase,
    PodState,
    VariantDecision,
    VariantTraffic,
    WorkloadRef,
)
from tests.builders.actuation_stage import LLAMA, OPTIONS, QWEN, Stage, decide

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


async def test_few_pods_are_written_in_one_pass_shrinking_workloads_and_busy_pods_first(stage: Stage) -> None:
    stage.make(LLAMA, 2)
    stage.make(QWEN, 2)
    make_pods(stage, "a", "b", "c", "d")
    growing, shrinking = decide(9, LLAMA), decide(1, QWEN)
    see_pods(stage, growing, a=0.0, b=1.0)
    see_pods(stage, shrinking, c=50.0, d=2.0)
    options = replace(COSTS, max_pod_patches=3)
    await stage.act(growing, shrinking, options=options)
    assert get_costs(stage) == {"a": None, "b": "1", "c": "6", "d": "2"}
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
