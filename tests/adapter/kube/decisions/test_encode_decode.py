"""Objects read back tell what was decided, whoever reads them."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from adapter.cluster import Obstacle, Trouble
from adapter.errors import BadDocument
from adapter.kube.decisions.decode import decode_installation, decode_object, decode_workload
from adapter.kube.decisions.encode import (
    encode_head,
    encode_refusal_head,
    encode_refusal_status,
    encode_status,
)
from adapter.kube.decisions.record import NOT_TOLD, DecisionRecord
from optimizer.domain import (
    Condition,
    ConditionType,
    Hold,
    Observation,
    Override,
    OverrideMode,
    ProfileOrigin,
    Reason,
    ReasonCode,
    Role,
    Routing,
    VariantDecision,
    VariantKey,
    WorkloadRef,
)
from tests.builders.decision_objects import OURS, find_misfits, load_crd, make_facts
from tests.builders.decisions import DECIDED_AT_S, make_variant_decision

SCHEMA = load_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
PLAIN = DecisionRecord(OURS, make_variant_decision("llama", 3), DECIDED_AT_S, Reason(ReasonCode.SCALE_UP, "1 -> 3"))
BARE = DecisionRecord(
    installation=OURS,
    decision=VariantDecision(
        key=VariantKey("prod", "org/model with spaces ü", "h100", Role.DECODE),
        workload=WorkloadRef("prod", "llama", "LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1"),
        accelerator="",
        proposed_replicas=None,
        planned_replicas=0,
        requested_replicas=None,
        observed_replicas=0,
        ready_replicas=0,
        capacity_per_s=NOT_TOLD,
        capacity_origin=None,
        replica_cost_per_hour=0.0,
        reason=Reason(ReasonCode.NO_DATA, ""),
    ),
    decided_at_s=0.0,
    model_reason=Reason(ReasonCode.STEADY, "0 replicas"),
)
FULL = DecisionRecord(
    installation=OURS,
    decision=replace(
        make_variant_decision("llama", 7, kind="StatefulSet", hold=Hold(Reason(ReasonCode.CALM_WINDOW, "5/s"))),
        override=Override(OverrideMode.PIN, 7, "ada", DECIDED_AT_S + 3600.0, "annotation"),
        capacity_per_s=Observation(0.1 + 0.2),
        capacity_origin=ProfileOrigin.PROFILE,
        replica_cost_per_hour=12.3456789,
    ),
    decided_at_s=DECIDED_AT_S + 0.123456,
    model_reason=Reason(ReasonCode.SHORTAGE, "zu wenig: 3/s"),
    routing=Routing.WEIGHTED,
    conditions=tuple(
        Condition(kind, status, Reason(ReasonCode.STEADY, f"{kind} it is"))
        for kind, status in zip(ConditionType, (True, False, None, True, False), strict=True)
    ),
    obstacles=(
        Obstacle("ToleranceAboveZero", "steps are lost", "behavior:\n  scaleUp: {tolerance: 0}"),
        Obstacle("X", "y"),
    ),
    zeroed_by="HorizontalPodAutoscaler/llama",
)
OVERRIDES = [
    Override(OverrideMode.SHADOW),
    Override(OverrideMode.PAUSE, by="ada", until_s=DECIDED_AT_S + 0.5),
    Override(OverrideMode.PIN, 0, source="annotation"),
]
RECORDS = [PLAIN, BARE, FULL] + [
    replace(PLAIN, decision=replace(PLAIN.decision, override=override)) for override in OVERRIDES
]


def write(record: DecisionRecord, before: dict[str, Any] | None = None, now_s: float = DECIDED_AT_S) -> dict[str, Any]:
    status = encode_status(record, (), before or {}, now_s)
    item: dict[str, Any] = json.loads(json.dumps({**encode_head(record, "uid-1"), "status": status}, allow_nan=False))
    return item


@pytest.mark.parametrize("record", RECORDS)
def test_reading_back_what_was_written_gives_the_same(record: DecisionRecord) -> None:
    assert decode_object(write(record)) == record


@pytest.mark.parametrize("record", RECORDS)
def test_what_is_written_fits_the_schema(record: DecisionRecord) -> None:
    assert find_misfits(SCHEMA, write(record)) == []


def test_the_schema_sees_what_does_not_fit() -> None:
    item = write(FULL)
    item["status"] |= {"plannedReplicas": -1, "surprise": 1, "routing": 5}
    item["status"]["conditions"][0] |= {"status": "maybe"}
    del item["spec"]["variant"]
    assert len(find_misfits(SCHEMA, item)) == 5


def test_a_text_without_end_is_cut_to_what_the_schema_takes() -> None:
    reason = Reason(ReasonCode.STEADY, "ü" * 10_000)
    decision = replace(FULL.decision, reason=reason, hold=Hold(reason))
    obstacles = (Obstacle("X", "y" * 10_000, "z" * 10_000),)
    assert find_misfits(SCHEMA, write(replace(FULL, decision=decision, model_reason=reason, obstacles=obstacles))) == []


def test_figures_that_nobody_needs_elsewhere_are_absent_with_a_reason() -> None:
    unknown = Observation.absent(ReasonCode.NO_PROFILE, "never measured")
    record = replace(PLAIN, decision=replace(PLAIN.decision, capacity_per_s=unknown))
    read = decode_object(write(record))
    assert read is not None
    assert not read.decision.capacity_per_s.is_known
    assert read.decision.capacity_per_s.reason is not None


def test_the_object_belongs_to_its_workload_and_to_its_installation() -> None:
    head = encode_head(FULL, "uid-1")
    assert head["metadata"]["ownerReferences"] == [
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "llama", "uid": "uid-1"}
    ]
    assert head["metadata"]["labels"]["variant-autoscaler.io/installation"] == "autoscaler.variant-autoscaler"
    assert (head["metadata"]["namespace"], head["metadata"]["name"]) == ("prod", "llama-statefulset")
    assert decode_installation(head) == OURS
    assert decode_workload(head) == FULL.decision.workload


def test_an_owner_that_is_not_known_is_not_made_up() -> None:
    assert encode_head(FULL, "")["metadata"]["ownerReferences"] == []


def test_costs_can_be_read() -> None:
    decision = replace(PLAIN.decision, planned_replicas=3, replica_cost_per_hour=4.2)
    assert 3 * 4.2 != 12.6
    assert write(replace(PLAIN, decision=decision))["status"]["costPerHour"] == 12.6


def test_whole_numbers_come_back_as_numbers() -> None:
    item = write(replace(PLAIN, decision=replace(PLAIN.decision, replica_cost_per_hour=2.0)))
    item["status"] |= {"replicaCostPerHour": 2, "capacityPerSecond": 3}  # as Go writes 2.0 and 3.0
    read = decode_object(item)
    assert read is not None
    assert type(read.decision.replica_cost_per_hour) is float
    assert read.decision.capacity_per_s == Observation(3.0)


def test_a_condition_keeps_the_time_of_its_transition_until_its_status_changes() -> None:
    first = write(FULL)["status"]
    second = write(FULL, first, DECIDED_AT_S + 60.0)["status"]
    assert second["conditions"] == first["conditions"]
    other = Condition(ConditionType.FRESH, False, Reason(ReasonCode.STALE, "nobody answers"))
    third = write(replace(FULL, conditions=(other, *FULL.conditions[1:])), first, DECIDED_AT_S + 60.0)["status"]
    times = {entry["type"]: entry["lastTransitionTime"] for entry in third["conditions"]}
    assert times["Fresh"] == "2026-11-18T11:07:40Z"
    assert {time for name, time in times.items() if name != "Fresh"} == {"2026-11-18T11:06:40Z"}


def test_troubles_are_a_condition_with_their_remedies() -> None:
    workload = FULL.decision.workload
    troubles = (
        Trouble(workload, Reason(ReasonCode.UNSCHEDULABLE, "2 pods find no place"), "add nodes"),
        Trouble(workload, Reason(ReasonCode.BAD_ANNOTATION, "cost is no number")),
    )
    status = encode_status(FULL, troubles, {}, DECIDED_AT_S)
    (troubled,) = [entry for entry in status["conditions"] if entry["type"] == "Troubled"]
    assert (troubled["status"], troubled["reason"]) == ("True", "Unschedulable")
    assert troubled["message"] == "2 pods find no place; add nodes. cost is no number"
    (calm,) = [entry for entry in write(FULL)["status"]["conditions"] if entry["type"] == "Troubled"]
    assert calm["status"] == "False"


def test_a_refusal_fits_the_schema_and_tells_no_number() -> None:
    workload = FULL.decision.workload
    trouble = Trouble(workload, Reason(ReasonCode.CONFLICTING_CLAIM, "somebody else does"), "choose", True)
    for facts in (make_facts(workload), None):
        item = encode_refusal_head(workload, facts, OURS)
        item["status"] = encode_refusal_status((trouble,), {}, DECIDED_AT_S)
        assert find_misfits(SCHEMA, item) == []
        assert decode_object(item) is None
        assert item["status"]["conditions"][0]["status"] == "False"
        assert item["status"]["reason"]["code"] == "ConflictingClaim"


def test_what_a_newer_program_wrote_keeps_its_number() -> None:
    item = write(FULL)
    item["status"]["reason"]["code"] = "BrandNew"
    item["status"]["routing"] = "telepathic"
    item["status"]["capacityOrigin"] = "dreamt"
    item["status"]["conditions"].append({"type": "Sunny", "status": "True", "reason": "Sun", "message": ""})
    item["status"]["novelty"] = item["spec"]["novelty"] = {"a": 1}
    read = decode_object(item)
    assert read is not None
    assert read.decision.planned_replicas == 7
    assert read.decision.reason == Reason(ReasonCode.NO_DATA, "BrandNew: need 7.5/s")
    assert [entry.type for entry in read.conditions] == list(ConditionType)


def test_an_object_whose_status_is_yet_to_come_tells_nothing() -> None:
    assert decode_object(encode_head(FULL, "")) is None


def test_an_object_under_another_name_tells_nothing() -> None:
    item = write(FULL)
    item["metadata"]["name"] = "somebody-made-this-by-hand"
    assert decode_object(item) is None


@pytest.mark.parametrize(
    "path, value",
    [
        (("status", "plannedReplicas"), "3"),
        (("status", "plannedReplicas"), -1),
        (("status", "plannedReplicas"), True),
        (("status", "readyReplicas"), None),
        (("status", "reason"), None),
        (("status", "decidedAt"), "yesterday"),
        (("status", "replicaCostPerHour"), "much"),
        (("status", "conditions"), {}),
        (("status", "conditions"), [{"type": "Fresh"}]),
        (("status", "override"), {"mode": "wish"}),
        (("status", "obstacles"), [7]),
        (("status",), []),
        (("spec", "workloadRef"), None),
        (("spec", "installation"), None),
        (("spec", "modelId"), 5),
        (("spec", "role"), "drummer"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(path: tuple[str, ...], value: object) -> None:
    item = copy.deepcopy(write(FULL))
    inner = item
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    with pytest.raises(BadDocument, match="VariantDecision prod/llama-statefulset cannot be read"):
        decode_object(item)
