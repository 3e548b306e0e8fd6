"""Whether somebody leads and decides: leader, age of decisions, claims, variants."""

from __future__ import annotations

from adapter.cluster import VariantFacts
from adapter.doctor import Check, Verdict
from adapter.doctor.leading import PASS_SLACK_S
from adapter.kube.decisions import HEARTBEAT_NAME, Installation
from adapter.kube.decisions.encode import encode_refusal_head, encode_refusal_status
from adapter.kube.decisions.heartbeat import Heartbeat
from adapter.kube.decisions.wishes import refuse_claim
from adapter.kube.resource import CONFIG_MAPS, DEPLOYMENTS, LEASES, VARIANT_DECISIONS
from optimizer.domain import ModelKey
from tests.builders.autoscaler_objects import LLAMA
from tests.builders.cluster_objects import NOW_S, make_workload
from tests.builders.doctor_stage import CONFIGURATION, HOME, MODEL_ID, NAME, OURS, DoctorStage

KEY = ModelKey(LLAMA.namespace, MODEL_ID)
PERIOD_S = 10.0


# --- The leader -------------------------------------------------------------------------------------------------------
async def test_a_lease_that_ran_out_means_that_nobody_leads(stage: DoctorStage) -> None:
    stage.lead(renewed_s=NOW_S - 12.0)
    assert (await stage.examine()).wrong == set()
    stage.lead(renewed_s=NOW_S - 14.0)
    found = await stage.examine()
    assert found.wrong == {Check.LEADER}
    assert "pod-1 renewed its lease 14 s ago" in found.get(Check.LEADER).message
    assert f"kubectl -n {HOME} get pods -l app.kubernetes.io/" in found.get(Check.LEADER).remedy


async def test_a_lease_that_was_given_up_means_that_nobody_leads(stage: DoctorStage) -> None:
    stage.lead(holder="")
    assert (await stage.examine()).wrong == {Check.LEADER}


async def test_without_a_lease_nobody_ever_led(stage: DoctorStage) -> None:
    stage.api.remove(LEASES, HOME, NAME)
    assert "no replica ever led" in (await stage.examine()).get(Check.LEADER).message


async def test_without_an_election_there_is_no_lease_to_look_for(stage: DoctorStage) -> None:
    stage.api.remove(LEASES, HOME, NAME)
    stage.configure(CONFIGURATION + "kubernetes: {leader_election: {enabled: false}}\n")
    assert (await stage.examine()).get(Check.LEADER).verdict is Verdict.OK


async def test_a_lease_that_may_not_be_read_cannot_be_told(stage: DoctorStage) -> None:
    stage.api.deny("get", "leases")
    found = await stage.examine()
    assert found.unknown == {Check.LEADER}
    assert f"can-i get leases.coordination.k8s.io/{NAME} -n {HOME}" in found.get(Check.LEADER).remedy


# --- The age of decisions ---------------------------------------------------------------------------------------------
async def test_passes_that_stopped_are_told(stage: DoctorStage) -> None:
    stage.beat(Heartbeat(NOW_S - 3 * PERIOD_S - PASS_SLACK_S, NOW_S - 5.0))
    assert (await stage.examine()).wrong == set()
    stage.beat(Heartbeat(NOW_S - 3 * PERIOD_S - PASS_SLACK_S - 1.0, NOW_S - 5.0))
    found = await stage.examine()
    assert found.wrong == {Check.DECISION_AGE}
    assert "one is due every 10 s" in found.get(Check.DECISION_AGE).message


async def test_a_pass_is_late_by_the_period_that_is_configured(stage: DoctorStage) -> None:
    stage.beat(Heartbeat(NOW_S - 100.0, NOW_S - 5.0))
    stage.configure(CONFIGURATION.replace("10s", "30s"))
    assert (await stage.examine()).wrong == set()


async def test_where_no_pass_ever_ended_nothing_was_decided(stage: DoctorStage) -> None:
    stage.api.remove(CONFIG_MAPS, HOME, HEARTBEAT_NAME)
    assert (await stage.examine()).wrong == {Check.DECISION_AGE}
    stage.beat()
    stage.api.change(CONFIG_MAPS, HOME, HEARTBEAT_NAME, {"data": {NAME: None, "other": "{}"}})
    assert "never finished a pass" in (await stage.examine()).get(Check.DECISION_AGE).message


async def test_a_heartbeat_that_cannot_be_read_is_wrong(stage: DoctorStage) -> None:
    stage.api.change(CONFIG_MAPS, HOME, HEARTBEAT_NAME, {"data": {NAME: "nonsense"}})
    assert "cannot be read" in (await stage.examine()).get(Check.DECISION_AGE).message


async def test_an_llm_that_is_held_is_told_once_its_data_would_count_as_old(stage: DoctorStage) -> None:
    stage.beat(Heartbeat(NOW_S - 5.0, NOW_S - 5.0, {KEY: NOW_S - 65.0}))
    stage.decide(decided_s=NOW_S - 65.0)
    assert (await stage.examine()).wrong == set()
    stage.beat(Heartbeat(NOW_S - 5.0, NOW_S - 5.0, {KEY: NOW_S - 90.0}))
    stage.decide(decided_s=NOW_S - 90.0)
    found = await stage.examine()
    assert found.wrong == {Check.DECISION_AGE}
    (finding,) = [finding for finding in found.list(Check.DECISION_AGE) if finding.verdict is Verdict.WRONG]
    assert finding.about == f"model {LLAMA.namespace}/{MODEL_ID}"
    assert "is 90 s old, it is given out up to 600 s" in finding.message
    assert f"kubectl -n {LLAMA.namespace} describe deployment {LLAMA.name}" in finding.remedy


async def test_a_decision_beyond_the_configured_age_is_told_to_nobody(stage: DoctorStage) -> None:
    stage.configure(CONFIGURATION + "publishing: {max_decision_age: 80s}\n")
    stage.beat(Heartbeat(NOW_S - 5.0, NOW_S - 5.0, {KEY: None}))
    stage.decide(decided_s=NOW_S - 90.0)
    assert "HPA is told nothing" in (await stage.examine()).list(Check.DECISION_AGE)[-1].message


async def test_decisions_that_may_not_be_read_cannot_be_told(stage: DoctorStage) -> None:
    stage.api.deny("list", "variantdecisions")
    found = await stage.examine()
    assert found.unknown == {Check.DECISION_AGE, Check.CLAIM}
    assert found.wrong == set()


async def test_a_cluster_without_the_kind_of_our_objects_is_told(stage: DoctorStage) -> None:
    stage.api.uninstall(VARIANT_DECISIONS)
    found = await stage.examine()
    assert found.wrong == {Check.DECISION_AGE}
    assert "kubectl apply -f manifests/custom-resource-definition.yaml" in found.get(Check.DECISION_AGE).remedy


# --- Variants and claims ----------------------------------------------------------------------------------------------
async def test_a_cluster_without_any_variant_is_told_how_to_name_one(stage: DoctorStage) -> None:
    stage.api.remove(DEPLOYMENTS, LLAMA.namespace, LLAMA.name)
    stage.api.remove(VARIANT_DECISIONS, LLAMA.namespace, f"{LLAMA.name}-deployment")
    finding = (await stage.examine()).get(Check.VARIANTS)
    assert finding.verdict is Verdict.WRONG
    assert "variant-autoscaler.io/model=MODEL" in finding.remedy


async def test_two_workloads_under_one_name_are_a_conflict(stage: DoctorStage) -> None:
    name = {"variant-autoscaler.io/variant": "h100", "variant-autoscaler.io/accelerator": "H100"}
    stage.change_workload({"metadata": {"annotations": name}})
    other = make_workload("llama-b", namespace=LLAMA.namespace, model=MODEL_ID, annotations=name, created_s=NOW_S)
    stage.api.put(DEPLOYMENTS, other)
    found = await stage.examine()
    finding = found.get(Check.CLAIM)
    assert found.wrong == {Check.CLAIM}
    assert (finding.about, finding.code) == (f"Deployment {LLAMA.namespace}/llama-b", "ConflictingClaim")
    assert "variant-autoscaler.io/variant" in finding.remedy


def refuse(stage: DoctorStage, installation: Installation) -> None:
    """Let `installation` say that it may not decide about our workload."""
    head = encode_refusal_head(LLAMA, VariantFacts(LLAMA), installation)
    status = encode_refusal_status((refuse_claim(LLAMA, "installation b/b decides about it already"),), {}, NOW_S)
    stage.api.put(VARIANT_DECISIONS, {**head, "status": status})


async def test_a_workload_that_another_installation_has_is_told(stage: DoctorStage) -> None:
    refuse(stage, OURS)
    found = await stage.examine()
    assert found.wrong == {Check.CLAIM}
    assert "installation b/b decides about it already" in found.get(Check.CLAIM).message


async def test_what_another_installation_may_not_decide_is_its_own_business(stage: DoctorStage) -> None:
    refuse(stage, Installation("elsewhere", "theirs"))
    assert (await stage.examine()).wrong == set()


async def test_an_object_that_cannot_be_read_hides_no_other(stage: DoctorStage) -> None:
    for number, spec in enumerate(({}, {"workloadRef": "nonsense"})):
        body = {"metadata": {"name": f"odd-{number}", "namespace": LLAMA.namespace}, "spec": spec}
        stage.api.put(VARIANT_DECISIONS, body)
    assert (await stage.examine()).wrong == set()
