"""What the leader writes when decisions change, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapter.cluster import Obstacle, Trouble
from adapter.errors import NotFound
from adapter.kube.decisions.decode import decode_object
from adapter.kube.decisions.heartbeat import HEARTBEAT_NAME
from adapter.kube.decisions.sweep import GONE_S
from adapter.kube.resource import CONFIG_MAPS, EVENTS, VARIANT_DECISIONS
from optimizer.domain import Reason, ReasonCode, WorkloadRef
from tests.builders.decision_objects import (
    FOLLOWS,
    Replica,
    Verdict,
    find_misfits,
    load_crd,
    make_decision,
    make_view,
)
from tests.builders.decisions import make_model_decision, make_variant_decision

SCHEMA = load_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


async def test_a_decision_becomes_an_object_with_its_status(replica: Replica) -> None:
    model = make_decision("llama", 3, replica.clock.now_s())
    report = await replica.write(model, following={model.variants[0].workload: FOLLOWS})
    item = replica.get_object("llama-deployment")
    assert (report.written, report.unchanged, report.failures) == (1, 0, ())
    assert find_misfits(SCHEMA, {"spec": item["spec"], "status": item["status"]}) == []
    assert item["metadata"]["ownerReferences"][0]["uid"] == "uid-Deployment-llama"
    record = decode_object(item)
    assert record is not None
    assert record.decision.planned_replicas == 3
    statuses = {entry["type"]: entry["status"] for entry in item["status"]["conditions"]}
    assert statuses == {"Fresh": "True", "Following": "True", "Accepted": "True", "Troubled": "False"}


async def test_a_deployment_and_a_stateful_set_of_one_name_have_an_object_each(replica: Replica) -> None:
    model = make_model_decision(
        make_variant_decision("llama", 1, variant="a"),
        make_variant_decision("llama", 2, kind="StatefulSet", variant="b"),
        decided_at_s=replica.clock.now_s(),
    )
    await replica.write(model)
    assert replica.list_names() == ["llama-deployment", "llama-statefulset"]
    assert replica.get_object("llama-statefulset")["status"]["plannedReplicas"] == 2


async def test_only_the_heartbeat_is_written_while_nothing_changes(replica: Replica) -> None:
    await replica.write(make_decision("llama", 3, replica.clock.now_s()))
    for _ in range(5):
        await replica.settle(15.0)
        replica.api.calls.clear()
        again = make_decision("llama", 3, replica.clock.now_s(), reason=Reason(ReasonCode.SCALE_UP, "need 99/s"))
        report = await replica.write(again)
        assert (report.unchanged, report.written) == (1, 0)
        assert replica.api.count_writes() == {"configmaps": 1}


async def test_a_write_is_known_before_the_watch_tells_of_it(replica: Replica) -> None:
    model = make_decision("llama", 3, replica.clock.now_s())
    replica.api.silence_watches()
    await replica.write(model)
    replica.api.calls.clear()
    report = await replica.write(model)
    assert (report.unchanged, report.written, replica.count_writes()) == (1, 0, 0)
    await replica.write(make_decision("llama", 4, replica.clock.now_s()))
    assert replica.get_object("llama-deployment")["status"]["plannedReplicas"] == 4
    assert replica.api.count("get", "variantdecisions") == 0


async def test_a_change_is_one_write_and_one_event(replica: Replica) -> None:
    await replica.write(make_decision("llama", 3, replica.clock.now_s()))
    assert replica.api.list(EVENTS) == []
    await replica.settle(15.0)
    replica.api.calls.clear()
    sentence = Reason(ReasonCode.SCALE_UP, "3 -> 5 replicas: demand 8/s, need 10/s")
    report = await replica.write(make_decision("llama", 5, replica.clock.now_s(), reason=sentence))
    assert (report.written, replica.count_writes()) == (1, 1)
    (event,) = replica.api.list(EVENTS)
    assert (event["reason"], event["type"]) == ("ScaleUp", "Normal")
    assert event["note"] == f"planned replicas 3 -> 5: {sentence.message}"
    assert (event["regarding"]["kind"], event["regarding"]["name"]) == ("Deployment", "llama")
    assert event["regarding"]["uid"] == "uid-Deployment-llama"


async def test_what_keeps_a_workload_from_following_is_an_event_once_with_the_lines_to_change(
    replica: Replica,
) -> None:
    workload = WorkloadRef("prod", "llama")
    lost = Verdict(
        False,
        Reason(ReasonCode.NOT_FOLLOWED, "steps are lost from 10 replicas on"),
        (Obstacle("ToleranceAboveZero", "steps are lost", "behavior:\n  scaleUp:\n    tolerance: 0"),),
    )
    for verdict in (lost, lost, FOLLOWS, FOLLOWS):
        await replica.write(make_decision("llama", 3, replica.clock.now_s()), following={workload: verdict})
        await replica.settle(15.0)
    fallen, recovered = sorted(replica.api.list(EVENTS), key=lambda event: str(event["eventTime"]))
    assert (fallen["type"], fallen["reason"]) == ("Warning", "NotFollowed")
    assert fallen["note"].endswith("\nbehavior:\n  scaleUp:\n    tolerance: 0")
    assert (recovered["type"], recovered["reason"]) == ("Normal", "Followed")
    assert replica.get_object("llama-deployment")["status"]["obstacles"] == []


async def test_other_words_for_the_same_fact_are_written_at_leisure(replica: Replica) -> None:
    def tell(text: str) -> list[object]:
        return [
            make_decision(f"m{index}", 1, replica.clock.now_s(), reason=Reason(ReasonCode.STEADY, text))
            for index in range(100)
        ]

    await replica.write(*tell("so"))  # type: ignore[arg-type]
    await replica.settle(15.0)
    written = []
    for _ in range(4):
        replica.api.calls.clear()
        await replica.write(*tell("in other words"))  # type: ignore[arg-type]
        written.append(replica.count_writes())
        await replica.settle(15.0)
    assert written == [20, 6, 6, 6]


async def test_troubles_are_told_once_while_they_last(replica: Replica) -> None:
    model = make_decision("llama", 3, replica.clock.now_s())
    workload = model.variants[0].workload

    def see(pods: int) -> tuple[Trouble, ...]:
        reason = Reason(ReasonCode.UNSCHEDULABLE, f"{pods} pods find no place")
        return (Trouble(workload, reason, "add nodes"),) if pods else ()

    for pods in (2, 3, 0, 4):
        await replica.write(model, view=make_view([model], troubles=see(pods)))
        await replica.settle(15.0)
    events = replica.api.list(EVENTS)
    assert {event["note"] for event in events} == {f"{pods} pods find no place; add nodes" for pods in (2, 4)}
    assert {(event["type"], event["reason"]) for event in events} == {("Warning", "Unschedulable")}
    troubled = replica.get_object("llama-deployment")["status"]["conditions"][-1]
    assert (troubled["type"], troubled["status"]) == ("Troubled", "True")


async def test_a_workload_that_may_not_be_decided_about_says_so(replica: Replica) -> None:
    other = make_decision("qwen", 1, replica.clock.now_s())
    workload = WorkloadRef("prod", "llama")
    trouble = Trouble(
        workload, Reason(ReasonCode.CONFLICTING_CLAIM, "two models claim it"), "remove one label", is_claim_refused=True
    )
    await replica.write(other, view=make_view([other], troubles=(trouble,)))
    await replica.settle()
    (refusal,) = [
        item for item in replica.api.list(VARIANT_DECISIONS) if item["spec"]["workloadRef"]["name"] == "llama"
    ]
    assert refusal["status"]["conditions"][0]["type"] == "Accepted"
    assert refusal["status"]["conditions"][0]["status"] == "False"
    assert "remove one label" in refusal["status"]["reason"]["message"]
    assert list(replica.shown) == ["qwen"]
    await replica.write(other)
    assert replica.list_names() == ["qwen-deployment"]


async def test_an_object_goes_when_its_variant_has_been_gone_for_a_minute(replica: Replica) -> None:
    llama, qwen = (make_decision(name, 1, replica.clock.now_s()) for name in ("llama", "qwen"))
    await replica.write(llama, qwen)
    await replica.settle()
    for _ in range(2):
        await replica.write(llama)
        assert len(replica.list_names()) == 2
        await replica.settle(GONE_S / 2)
    report = await replica.write(llama)
    assert (report.deleted, replica.list_names()) == (1, ["llama-deployment"])
    await replica.settle()
    assert (await replica.write(llama)).deleted == 0


async def test_a_label_that_flickers_deletes_nothing(replica: Replica) -> None:
    llama, qwen = (make_decision(name, 1, replica.clock.now_s()) for name in ("llama", "qwen"))
    for models in ([llama, qwen], [llama], [llama, qwen], [llama], [llama, qwen]):
        await replica.write(*models)
        await replica.settle(GONE_S * 0.9)
    assert len(replica.list_names()) == 2


async def test_nothing_is_deleted_because_data_are_missing(replica: Replica) -> None:
    llama, qwen = (make_decision(name, 1, replica.clock.now_s()) for name in ("llama", "qwen"))
    await replica.write(llama, qwen)
    await replica.settle()
    blind = make_view([], reason=Reason(ReasonCode.STALE, "the watch of pods is behind"))
    claimed = make_view([llama, qwen])
    for view in (blind, claimed) * 3:
        report = await replica.write(view=view)
        assert report.deleted == 0
        await replica.settle(GONE_S)
    assert len(replica.list_names()) == 2


async def test_an_object_that_somebody_deleted_comes_back(replica: Replica) -> None:
    model = make_decision("llama", 3, replica.clock.now_s())
    await replica.write(model)
    await replica.settle()
    replica.api.silence_watches()  # we learn of it only by writing
    replica.api.remove(VARIANT_DECISIONS, "prod", "llama-deployment")
    report = await replica.write(make_decision("llama", 4, replica.clock.now_s()))
    assert report.failures == ()
    assert replica.get_object("llama-deployment")["status"]["plannedReplicas"] == 4


async def test_an_object_of_a_workload_made_anew_gets_the_new_owner(replica: Replica) -> None:
    model = make_decision("llama", 3, replica.clock.now_s())
    await replica.write(model)
    await replica.settle()
    view = make_view([model])
    (facts,) = view.variants
    await replica.write(model, view=replace(view, variants=(replace(facts, uid="uid-new"),)))
    owners = replica.get_object("llama-deployment")["metadata"]["ownerReferences"]
    assert [owner["uid"] for owner in owners] == ["uid-new"]
    await replica.write(model, view=make_view([model], without=[facts.workload]))
    assert replica.get_object("llama-deployment")["metadata"]["ownerReferences"] == owners


async def test_what_others_add_to_an_object_stays(replica: Replica) -> None:
    await replica.write(make_decision("llama", 3, replica.clock.now_s()))
    patch = {"metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}, "finalizers": ["c/d"]}}
    replica.api.change(VARIANT_DECISIONS, "prod", "llama-deployment", patch)
    await replica.settle()
    await replica.write(make_decision("llama", 4, replica.clock.now_s()))
    about = replica.get_object("llama-deployment")["metadata"]
    assert (about["labels"]["team"], about["annotations"], about["finalizers"]) == ("a", {"note": "b"}, ["c/d"])


async def test_a_number_edited_by_hand_is_written_again(replica: Replica) -> None:
    model = make_decision("llama", 3, replica.clock.now_s())
    await replica.write(model)
    replica.api.change(VARIANT_DECISIONS, "prod", "llama-deployment", {"status": {"plannedReplicas": 9}})
    await replica.settle()
    await replica.write(model)
    assert replica.get_object("llama-deployment")["status"]["plannedReplicas"] == 3


async def test_who_put_a_workload_to_zero_stays_recorded(replica: Replica) -> None:
    workload = WorkloadRef("prod", "llama")
    with pytest.raises(NotFound):
        await replica.writer.record_zeroed(workload, "us")
    await replica.write(make_decision("llama", 1, replica.clock.now_s()))
    await replica.writer.record_zeroed(workload, "HorizontalPodAutoscaler/llama")
    await replica.write(make_decision("llama", 0, replica.clock.now_s()))
    await replica.settle()
    assert await replica.watch.get_zeroed_by() == {workload: "HorizontalPodAutoscaler/llama"}
    await replica.writer.record_zeroed(workload, "")
    await replica.settle()
    assert await replica.watch.get_zeroed_by() == {}
    await replica.write(make_decision("llama", 0, replica.clock.now_s()), zeroed_by={workload: "us"})
    await replica.settle()
    assert await replica.watch.get_zeroed_by() == {workload: "us"}
    await replica.write(make_decision("llama", 1, replica.clock.now_s()), zeroed_by={})
    await replica.settle()
    assert await replica.watch.get_zeroed_by() == {}


async def test_installations_of_one_namespace_share_the_heartbeat_map(replica: Replica) -> None:
    about = {"name": HEARTBEAT_NAME, "namespace": "autoscaler"}
    replica.api.put(CONFIG_MAPS, {"metadata": about, "data": {"neighbor": "text"}})
    await replica.write(make_decision("llama", 1, replica.clock.now_s()))
    data = replica.api.get(CONFIG_MAPS, "autoscaler", HEARTBEAT_NAME)["data"]
    assert set(data) == {"neighbor", "variant-autoscaler"}


async def test_of_two_decisions_about_one_workload_the_first_counts_and_somebody_hears_of_it(replica: Replica) -> None:
    now_s = replica.clock.now_s()
    lines = [make_variant_decision("llama", number, model_id=f"model-{number}") for number in (1, 2)]
    first, second = (make_model_decision(line, decided_at_s=now_s) for line in lines)
    for _ in range(2):
        report = await replica.write(first, second)
        (failure,) = report.failures
        assert "model-1 and model-2 both decide" in failure
        await replica.settle()
        assert replica.shown == {"llama": (1, now_s)}
    assert replica.count_writes() == 2
