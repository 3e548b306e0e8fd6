"""Whether the number is followed: followers, what they ask for, tolerance, further metrics, everything else."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.doctor import Check, Verdict
from adapter.doctor.question import render_selector
from adapter.external_metrics.selector import parse_selector
from adapter.kube.resource import (
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    POD_AUTOSCALERS,
    SCALED_OBJECTS,
    VARIANT_DECISIONS,
)
from optimizer.domain import WorkloadRef
from tests.builders.autoscaler_objects import (
    LLAMA,
    make_hpa,
    make_metric,
    make_pod_autoscaler,
    make_prometheus_trigger,
    make_rules,
    make_scaled_object,
)
from tests.builders.cluster_objects import make_workload
from tests.builders.doctor_stage import CONFIGURATION, MODEL_ID, NUMBERS, DoctorStage

CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
HPA = f"HorizontalPodAutoscaler {LLAMA.namespace}/{LLAMA.name}"
LOOSE = make_rules(tolerance=None)
SILENT = {"AbleToScale": "True", "ScalingActive": "FailedGetExternalMetric:no such series"}


def loosen(stage: DoctorStage) -> None:
    """Leave the tolerance of the HPA at its default."""
    stage.put_hpa(up=LOOSE, down=make_rules(tolerance=None, policies=[{"type": "Percent", "value": 100}]))


@pytest.mark.parametrize(
    "changes, check, code",
    [
        ({"metrics": [make_metric(target={"type": "Value", "value": "1"})]}, Check.EXACTNESS, "TargetIsValue"),
        ({"metrics": [make_metric(), CPU]}, Check.FURTHER_METRICS, "FurtherMetrics"),
        ({"metrics": [CPU]}, Check.FOLLOWER, "ReadsOtherMetrics"),
        ({"metrics": [make_metric(labels={"deployment": "other"})]}, Check.SELECTOR_HITS, "SelectsAnother"),
        ({"up": LOOSE}, Check.TOLERANCE, "ToleranceAboveZero"),
        ({"down": make_rules(stabilizationWindowSeconds=300)}, Check.EXACTNESS, "ScaleDownWindow"),
        ({"max_replicas": 3}, Check.EXACTNESS, "MaxReplicasBelowPlan"),
        ({"conditions": SILENT}, Check.EXACTNESS, "CannotRead"),
    ],
)
async def test_what_is_wrong_with_an_hpa_is_told_at_its_point(
    stage: DoctorStage, changes: dict[str, Any], check: Check, code: str
) -> None:
    stage.put_hpa(**changes)
    found = await stage.examine()
    told = [finding for finding in found.findings if finding.verdict is Verdict.WRONG]
    assert found.wrong == {check}
    assert code in {finding.code for finding in told}
    assert {finding.about for finding in told} == {HPA}
    assert all(finding.remedy for finding in told)


async def test_remedies_are_the_lines_of_the_object(stage: DoctorStage) -> None:
    stage.put_hpa(up=LOOSE)
    remedy = (await stage.examine()).get(Check.TOLERANCE).remedy
    assert remedy == f"# {HPA}\nspec:\n  behavior:\n    scaleUp:\n      tolerance: 0"


async def test_a_tolerance_that_the_cluster_dropped_is_told(stage: DoctorStage) -> None:
    stage.api.git_version = "v1.32.0"
    applied = '{"spec":{"behavior":{"scaleUp":{"tolerance":"0"}}}}'
    stage.put_hpa(up=LOOSE, annotations={"kubectl.kubernetes.io/last-applied-configuration": applied})
    finding = (await stage.examine()).get(Check.TOLERANCE)
    assert finding.code == "ToleranceDropped"
    assert "bridge_tolerance: true" in finding.remedy


async def test_a_dead_band_that_we_bridge_loses_nothing(stage: DoctorStage) -> None:
    loosen(stage)
    assert (await stage.examine()).wrong == {Check.TOLERANCE}
    stage.configure(CONFIGURATION + "kubernetes: {bridge_tolerance: true}\n")
    assert (await stage.examine()).wrong == set()


async def test_a_dead_band_in_which_no_step_lies_loses_nothing(stage: DoctorStage) -> None:
    stage.put_hpa(up=LOOSE, max_replicas=9)
    found = await stage.examine()
    assert found.wrong == set()
    assert found.get(Check.TOLERANCE).message.startswith("0.1: no step is lost")


async def test_zero_by_our_own_hand_is_no_obstacle_where_that_is_configured(stage: DoctorStage) -> None:
    stage.decide(0)
    assert (await stage.examine()).wrong == {Check.EXACTNESS}
    stage.configure(CONFIGURATION + "kubernetes: {patch_zero: true}\n")
    assert (await stage.examine()).wrong == set()


async def test_before_the_first_decision_only_what_holds_for_every_number_is_told(stage: DoctorStage) -> None:
    stage.api.remove(VARIANT_DECISIONS, LLAMA.namespace, f"{LLAMA.name}-deployment")
    assert (await stage.examine()).wrong == set()
    stage.put_hpa(min_replicas=2, max_replicas=2, metrics=[make_metric(), CPU])
    assert (await stage.examine()).wrong == {Check.FURTHER_METRICS}


async def test_an_hpa_that_has_not_looked_yet_cannot_be_told(stage: DoctorStage) -> None:
    stage.put_hpa(conditions={})
    found = await stage.examine()
    assert (found.wrong, found.unknown) == (set(), {Check.EXACTNESS})


# --- Who follows ------------------------------------------------------------------------------------------------------
async def test_a_workload_that_nothing_follows_is_told_the_whole_object(stage: DoctorStage) -> None:
    stage.api.remove(HORIZONTAL_POD_AUTOSCALERS, LLAMA.namespace, LLAMA.name)
    found = await stage.examine()
    finding = found.get(Check.FOLLOWER)
    assert found.wrong == {Check.FOLLOWER}
    assert found.get(Check.HPA_RIGHTS).verdict is Verdict.CANNOT_TELL
    assert (finding.code, "averageValue" in finding.remedy) == ("NoAutoscaler", True)


async def test_a_workload_whose_replicas_we_set_needs_no_follower(stage: DoctorStage) -> None:
    stage.api.remove(HORIZONTAL_POD_AUTOSCALERS, LLAMA.namespace, LLAMA.name)
    model = f"{{name: {MODEL_ID}, namespace: {LLAMA.namespace}, actuation: scale}}"
    stage.configure(CONFIGURATION + f"models: [{model}]\n")
    found = await stage.examine()
    assert found.wrong == set()
    assert found.get(Check.FOLLOWER).message == "we set the replicas ourselves"


async def test_a_scaled_object_follows_without_any_hpa_of_ours(stage: DoctorStage) -> None:
    stage.api.remove(HORIZONTAL_POD_AUTOSCALERS, LLAMA.namespace, LLAMA.name)
    stage.api.put(SCALED_OBJECTS, make_scaled_object())
    found = await stage.examine()
    assert found.get(Check.FOLLOWER).about == f"ScaledObject {LLAMA.namespace}/llama"
    assert found.list(Check.SELECTOR_HITS) == []
    stage.api.put(SCALED_OBJECTS, make_scaled_object(triggers=[make_prometheus_trigger(), {"type": "cpu"}]))
    assert (await stage.examine()).wrong == {Check.FURTHER_METRICS}


async def test_a_pod_autoscaler_follows(stage: DoctorStage) -> None:
    stage.api.remove(HORIZONTAL_POD_AUTOSCALERS, LLAMA.namespace, LLAMA.name)
    stage.api.put(POD_AUTOSCALERS, make_pod_autoscaler())
    found = await stage.examine()
    assert found.get(Check.FOLLOWER).about == f"PodAutoscaler {LLAMA.namespace}/llama"
    assert found.wrong == set()


async def test_two_autoscalers_of_one_workload_are_told(stage: DoctorStage) -> None:
    stage.api.put(HORIZONTAL_POD_AUTOSCALERS, make_hpa(name="second"))
    found = await stage.examine()
    assert found.wrong == {Check.FOLLOWER}
    assert {finding.code for finding in found.list(Check.FOLLOWER)} == {"TwoAutoscalers"}


# --- What is asked for, and what comes back ---------------------------------------------------------------------------
async def test_a_selector_that_hits_several_series_is_told(stage: DoctorStage) -> None:
    stage.tell_number(LLAMA.name, "other")
    found = await stage.examine()
    assert found.wrong == {Check.SELECTOR_HITS}
    assert "gives 2 items" in found.get(Check.SELECTOR_HITS).message


async def test_a_selector_that_hits_the_series_of_another_workload_is_told(stage: DoctorStage) -> None:
    stage.tell_number("other")
    assert "it reads the number of Deployment other" in (await stage.examine()).get(Check.SELECTOR_HITS).message


async def test_an_empty_list_is_told(stage: DoctorStage) -> None:
    stage.api.remove(NUMBERS, LLAMA.namespace, "one-0")
    assert "gives 0 items" in (await stage.examine()).get(Check.SELECTOR_HITS).message


@pytest.mark.parametrize(
    "code, message, remedy",
    [
        (404, "no workload in namespace prod matches; known there: none", "averageValue"),
        (503, "the decision about 'llama-70b' is 700 s old, the limit is 600 s", "docs/runbook.md"),
        (400, "selects 2 workloads", "docs/runbook.md"),
    ],
)
async def test_a_refused_question_is_told_with_the_words_of_the_refusal(
    stage: DoctorStage, code: int, message: str, remedy: str
) -> None:
    stage.api.fail(code, plural="deployment_replicas", message=message)
    found = await stage.examine()
    assert found.wrong == {Check.SELECTOR_HITS}
    assert message in found.get(Check.SELECTOR_HITS).message
    assert remedy in found.get(Check.SELECTOR_HITS).remedy


async def test_a_number_that_you_may_not_read_cannot_be_told(stage: DoctorStage) -> None:
    stage.api.fail(403, plural="deployment_replicas", message="you may not")
    found = await stage.examine()
    assert found.unknown == {Check.SELECTOR_HITS}
    assert "can-i list deployment_replicas.external.metrics.k8s.io -n prod" in found.get(Check.SELECTOR_HITS).remedy


async def test_what_is_in_shadow_is_told_to_nobody_on_purpose(stage: DoctorStage) -> None:
    stage.api.fail(503, plural="deployment_replicas", message="is in shadow")
    stage.put_hpa(conditions=SILENT)
    assert (await stage.examine()).wrong == {Check.SELECTOR_HITS, Check.EXACTNESS}
    record = stage.api.get(VARIANT_DECISIONS, LLAMA.namespace, f"{LLAMA.name}-deployment")
    override = {"mode": "shadow", "source": "annotation"}
    stage.api.put(VARIANT_DECISIONS, {**record, "status": {**record["status"], "override": override}})
    assert (await stage.examine()).wrong == set()
    stage.api.remove(VARIANT_DECISIONS, LLAMA.namespace, f"{LLAMA.name}-deployment")
    stage.change_workload({"metadata": {"annotations": {"variant-autoscaler.io/override": "shadow"}}})
    assert (await stage.examine()).wrong == set()


async def test_the_question_is_that_of_the_hpa_word_for_word(stage: DoctorStage) -> None:
    expressions = [{"key": "deployment", "operator": "In", "values": [LLAMA.name]}]
    metric = make_metric(labels={"kind": "Deployment"})
    metric["external"]["metric"]["selector"]["matchExpressions"] = expressions
    stage.put_hpa(metrics=[metric])
    await stage.examine()
    (call,) = [call for call in stage.api.calls if call.plural == "deployment_replicas"]
    assert (call.namespace, call.query["labelSelector"]) == ("prod", "deployment in (llama-70b),kind=Deployment")


def test_a_rendered_selector_means_the_same_when_it_is_read() -> None:
    selector = {
        "matchLabels": {"deployment": "a"},
        "matchExpressions": [
            {"key": "kind", "operator": "In", "values": ["B", "A"]},
            {"key": "role", "operator": "NotIn", "values": ["decode"]},
            {"key": "variant", "operator": "Exists"},
            {"key": "x", "operator": "DoesNotExist"},
        ],
    }
    read = parse_selector(render_selector(selector))
    good = {"deployment": "a", "kind": "A", "variant": "v"}
    assert read.is_met_by(good)
    for change in ({"deployment": "b"}, {"kind": "C"}, {"role": "decode"}, {"x": "1"}):
        assert not read.is_met_by({**good, **change})
    assert not read.is_met_by({"deployment": "a", "kind": "A"})


async def test_workloads_of_one_name_are_kept_apart(stage: DoctorStage) -> None:
    other = WorkloadRef("code", LLAMA.name)
    annotations = {"variant-autoscaler.io/accelerator": "H100"}
    stage.api.put(DEPLOYMENTS, make_workload(LLAMA.name, namespace="code", model=MODEL_ID, annotations=annotations))
    found = await stage.examine()
    (follower,) = [finding for finding in found.list(Check.FOLLOWER) if finding.verdict is Verdict.WRONG]
    assert follower.about == f"Deployment {other.namespace}/{other.name}"
