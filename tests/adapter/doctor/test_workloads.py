"""The workloads themselves: accelerator type, preStop hook, who sets replicas, everything else that is amiss."""

from __future__ import annotations

import json

import pytest
import yaml

from adapter.doctor import Check, Verdict
from adapter.kube.resource import CONFIG_MAPS, LEADER_WORKER_SETS, PODS, Resource
from tests.builders.autoscaler_objects import LLAMA
from tests.builders.cluster_objects import NOW_S, make_pods, make_workload
from tests.builders.doctor_stage import CONFIGURATION, HOME, MODEL_ID, NAME, DoctorStage, Json

ABOUT = f"Deployment {LLAMA.namespace}/{LLAMA.name}"
ANNOTATE = f"kubectl -n {LLAMA.namespace} annotate deployment {LLAMA.name} variant-autoscaler.io/accelerator=H100"


def annotate(stage: DoctorStage, **annotations: str | None) -> None:
    named = {f"variant-autoscaler.io/{name.replace('_', '-')}": value for name, value in annotations.items()}
    stage.change_workload({"metadata": {"annotations": named}})


# --- Accelerators -----------------------------------------------------------------------------------------------------
async def test_a_variant_without_an_accelerator_type_is_told_the_command(stage: DoctorStage) -> None:
    annotate(stage, accelerator=None)
    found = await stage.examine()
    finding = found.get(Check.ACCELERATOR)
    assert (found.wrong, finding.about, finding.remedy) == ({Check.ACCELERATOR}, ABOUT, ANNOTATE)


async def test_a_type_that_the_configuration_tells_suffices(stage: DoctorStage) -> None:
    annotate(stage, accelerator=None)
    variant = f"{{name: v, deployment: {LLAMA.name}, accelerator: H100}}"
    model = f"{{name: {MODEL_ID}, namespace: {LLAMA.namespace}, variants: [{variant}]}}"
    stage.configure(CONFIGURATION + f"models: [{model}]\n")
    found = await stage.examine()
    assert found.wrong == set()
    assert found.get(Check.ACCELERATOR).message.startswith("H100")


async def test_a_type_without_a_price_is_told_the_lines_of_the_configuration(stage: DoctorStage) -> None:
    annotate(stage, accelerator="MI300X")
    finding = (await stage.examine()).get(Check.ACCELERATOR)
    assert (finding.verdict, finding.code) == (Verdict.WRONG, "Incomplete")
    assert "MI300X: {cost_per_hour: ...}" in finding.remedy


async def test_without_the_configuration_a_missing_type_cannot_be_told(stage: DoctorStage) -> None:
    annotate(stage, accelerator=None)
    stage.api.remove(CONFIG_MAPS, HOME, NAME)
    assert (await stage.examine()).get(Check.ACCELERATOR).verdict is Verdict.CANNOT_TELL


# --- preStop ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "version, action", [("v1.37.0", {"sleep": {"seconds": 10}}), ("v1.29.0", {"exec": {"command": ["sleep", "10"]}})]
)
async def test_a_missing_pre_stop_hook_is_told_with_the_lines_to_add(
    stage: DoctorStage, version: str, action: Json
) -> None:
    stage.api.git_version = version
    sidecar = {"name": "proxy", "image": "proxy:1"}
    server = {"name": "server", "image": "vllm", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    stage.change_workload({"spec": {"template": {"spec": {"containers": [sidecar, server]}}}})
    found = await stage.examine()
    (container,) = yaml.safe_load(found.get(Check.PRE_STOP).remedy)["spec"]["template"]["spec"]["containers"]
    assert found.wrong == {Check.PRE_STOP}
    assert container["name"] == "server"
    assert container["lifecycle"]["preStop"] == action


async def test_the_lines_for_a_group_stand_where_a_group_has_its_template(stage: DoctorStage) -> None:
    body = {
        "metadata": {
            "name": "big",
            "namespace": LLAMA.namespace,
            "annotations": {"variant-autoscaler.io/model": "big"},
        },
        "spec": {"leaderWorkerTemplate": {"size": 2, "workerTemplate": {"spec": {"containers": [{"name": "vllm"}]}}}},
    }
    stage.api.put(LEADER_WORKER_SETS, body)
    (finding,) = [it for it in (await stage.examine()).list(Check.PRE_STOP) if it.verdict is Verdict.WRONG]
    template = yaml.safe_load(finding.remedy)["spec"]["leaderWorkerTemplate"]["workerTemplate"]
    assert template["spec"]["containers"][0]["name"] == "vllm"


# --- Who sets replicas ------------------------------------------------------------------------------------------------
def own_replicas(stage: DoctorStage, manager: str, operation: str = "Apply") -> None:
    fields: Json = {"f:spec": {"f:replicas": {}}}
    entry = {"manager": manager, "operation": operation, "fieldsV1": fields}
    stage.change_workload({"metadata": {"managedFields": [entry]}})


@pytest.mark.parametrize(
    "manager, remedy",
    [("argocd-controller", "ignoreDifferences"), ("kustomize-controller", "take `replicas` out"), ("helm", "a chart")],
)
async def test_whoever_declares_replicas_is_told_by_name(stage: DoctorStage, manager: str, remedy: str) -> None:
    own_replicas(stage, manager)
    found = await stage.examine()
    assert found.wrong == {Check.REPLICAS_OWNER}
    assert manager in found.get(Check.REPLICAS_OWNER).message
    assert remedy in found.get(Check.REPLICAS_OWNER).remedy


async def test_the_lines_for_argo_cd_name_the_workload(stage: DoctorStage) -> None:
    own_replicas(stage, "argocd-controller")
    lines = yaml.safe_load((await stage.examine()).get(Check.REPLICAS_OWNER).remedy)
    (difference,) = lines["spec"]["ignoreDifferences"]
    assert difference["jsonPointers"] == ["/spec/replicas"]
    assert (difference["kind"], difference["name"], difference["group"]) == ("Deployment", LLAMA.name, "apps")


async def test_replicas_in_what_kubectl_applied_are_told(stage: DoctorStage) -> None:
    applied = json.dumps({"spec": {"replicas": 2}})
    key = "kubectl.kubernetes.io/last-applied-configuration"
    stage.change_workload({"metadata": {"annotations": {key: applied}}})
    finding = (await stage.examine()).get(Check.REPLICAS_OWNER)
    assert f"edit-last-applied deployment/{LLAMA.name} -n {LLAMA.namespace}" in finding.remedy


async def test_scalers_are_no_owners(stage: DoctorStage) -> None:
    own_replicas(stage, "kube-controller-manager", "Update")
    assert (await stage.examine()).wrong == set()


# --- Everything else --------------------------------------------------------------------------------------------------
async def test_a_bad_annotation_is_told(stage: DoctorStage) -> None:
    annotate(stage, min_replicas="many")
    found = await stage.examine()
    finding = found.get(Check.WORKLOAD)
    assert (found.wrong, finding.code, finding.about) == ({Check.WORKLOAD}, "BadAnnotation", ABOUT)
    assert finding.remedy == f"kubectl -n {LLAMA.namespace} describe deployment {LLAMA.name}"


async def test_an_unknown_service_class_is_told(stage: DoctorStage) -> None:
    annotate(stage, service_class="interactiv")
    assert "did you mean interactive" in (await stage.examine()).get(Check.WORKLOAD).message


async def test_pods_without_a_place_are_told(stage: DoctorStage) -> None:
    workload = make_workload(LLAMA.name, namespace=LLAMA.namespace)
    for pod in make_pods(workload, 1, waiting_since_s=NOW_S - 400.0, first=5):
        stage.api.put(PODS, pod)
    assert (await stage.examine()).get(Check.WORKLOAD).code == "Unschedulable"


async def test_a_workload_that_is_configured_and_missing_is_told(stage: DoctorStage) -> None:
    variant = "{name: gone, deployment: gone, accelerator: H100}"
    stage.configure(CONFIGURATION + f"models: [{{name: gone, namespace: code, variants: [{variant}]}}]\n")
    finding = (await stage.examine()).get(Check.WORKLOAD)
    assert "Deployment gone is configured as variant gone and was not found" in finding.message


ROLLOUTS = Resource("argoproj.io", "v1alpha1", "rollouts", "Rollout")


async def test_a_configured_workload_of_any_kind_with_a_scale_is_looked_at(stage: DoctorStage) -> None:
    workload = "{api_version: argoproj.io/v1alpha1, kind: Rollout, name: canary}"
    variant = f"{{name: canary, accelerator: H100, workload: {workload}}}"
    stage.configure(CONFIGURATION + f"models: [{{name: canary, namespace: code, variants: [{variant}]}}]\n")
    missing = (await stage.examine()).list(Check.WORKLOAD)
    assert {finding.about for finding in missing} == {"Rollout code/canary"}

    stage.api.install(ROLLOUTS, has_scale=True)
    body = {**make_workload("canary", namespace="code", replicas=2), "status": {"selector": "app=canary"}}
    stage.api.put(ROLLOUTS, body)
    found = await stage.examine()
    assert found.list(Check.WORKLOAD) == []
    (follower,) = [it for it in found.list(Check.FOLLOWER) if it.verdict is Verdict.WRONG]
    assert follower.about == "Rollout code/canary"
