"""Which installation is examined, and what its configuration means for the judgment."""

from __future__ import annotations

import pytest

from adapter.doctor import Check, Verdict
from adapter.doctor.installation import SERVICE_ACCOUNTS
from adapter.errors import NotFound, Unreachable
from adapter.kube.api_service import NAME as API_SERVICE
from adapter.kube.resource import API_SERVICES, CONFIG_MAPS, DEPLOYMENTS, LEASES, PODS, SERVICES
from tests.builders.doctor_stage import CONFIGURATION, HOME, LABELS, NAME, DoctorStage, Json

SECOND = "autoscaler-b"


def add_second(stage: DoctorStage) -> None:
    """Put another Service of ours into the cluster."""
    stage.api.put(SERVICES, {"metadata": {"name": NAME, "namespace": SECOND, "labels": LABELS}, "spec": {}})


async def test_without_a_service_of_ours_nothing_is_said_of_it(stage: DoctorStage) -> None:
    stage.api.remove(SERVICES, HOME, NAME)
    found = await stage.examine()
    assert found.get(Check.INSTALLATION).verdict is Verdict.CANNOT_TELL
    assert "--service" in found.get(Check.INSTALLATION).remedy
    assert found.wrong == set()
    assert {Check.CONFIGURATION, Check.API_OWNER, Check.ENDPOINTS, Check.LEADER, Check.DECISION_AGE} <= found.unknown


async def test_of_two_installations_the_one_is_meant_that_the_api_service_leads_to(stage: DoctorStage) -> None:
    add_second(stage)
    assert (await stage.examine()).get(Check.INSTALLATION).about == f"Service {HOME}/{NAME}"


async def test_of_two_installations_without_the_api_somebody_has_to_say(stage: DoctorStage) -> None:
    add_second(stage)
    stage.api.remove(API_SERVICES, None, API_SERVICE)
    finding = (await stage.examine()).get(Check.INSTALLATION)
    assert finding.verdict is Verdict.CANNOT_TELL
    assert f"{HOME}/{NAME}, {SECOND}/{NAME}" in finding.message


async def test_a_service_that_was_named_and_is_not_there_ends_the_visit(stage: DoctorStage) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        await stage.examine(service=(HOME, "nowhere"))


async def test_a_cluster_that_does_not_answer_ends_the_visit(stage: DoctorStage) -> None:
    await stage.api.stop()
    with pytest.raises(Unreachable, match="the cluster does not answer"):
        await stage.examine()


async def test_a_service_that_may_not_be_read_is_believed_when_named(stage: DoctorStage) -> None:
    stage.api.deny("get", "services")
    found = await stage.examine(service=(HOME, NAME))
    assert found.get(Check.INSTALLATION).verdict is Verdict.OK
    assert found.wrong == set()


async def test_the_account_is_guessed_where_nothing_runs(stage: DoctorStage) -> None:
    stage.api.remove(DEPLOYMENTS, HOME, NAME)
    stage.api.remove(PODS, HOME, f"{NAME}-0")
    assert (await stage.examine()).get(Check.REVIEW_RIGHTS).verdict is Verdict.CANNOT_TELL
    stage.api.put(SERVICE_ACCOUNTS, {"metadata": {"name": NAME, "namespace": HOME}})
    found = await stage.examine()
    assert found.get_checks(Verdict.OK) >= {Check.REVIEW_RIGHTS}
    assert {finding.about for finding in found.list(Check.REVIEW_RIGHTS)} == {f"system:serviceaccount:{HOME}:{NAME}"}


# --- The configuration ------------------------------------------------------------------------------------------------
async def test_a_configuration_that_is_refused_is_told_with_its_problems(stage: DoctorStage) -> None:
    stage.configure(CONFIGURATION.replace("period", "perod"))
    found = await stage.examine()
    finding = found.get(Check.CONFIGURATION)
    assert found.wrong == {Check.CONFIGURATION}
    assert "perod" in finding.message
    assert finding.remedy == f"kubectl -n {HOME} edit configmap {NAME}"


async def test_a_configuration_without_the_file_is_wrong(stage: DoctorStage) -> None:
    stage.api.put(CONFIG_MAPS, {"metadata": {"name": NAME, "namespace": HOME}, "data": {"other.yaml": ""}})
    assert "no key config.yaml" in (await stage.examine()).get(Check.CONFIGURATION).message


async def test_a_configuration_for_no_cluster_is_wrong(stage: DoctorStage) -> None:
    stage.configure(
        "accelerators: {H100: {cost_per_hour: 1}}\nservice_classes: {a: {ttft: 2s}}\n"
        "models: [{name: m, variants: [{name: v, accelerator: H100, pods: ['http://a:1']}]}]"
    )
    assert "discovery.kind is static" in (await stage.examine()).get(Check.CONFIGURATION).message


async def test_a_configuration_that_is_not_there_leaves_defaults(stage: DoctorStage) -> None:
    stage.api.remove(CONFIG_MAPS, HOME, NAME)
    found = await stage.examine()
    assert found.get(Check.CONFIGURATION).verdict is Verdict.CANNOT_TELL
    assert found.wrong == set()


async def test_a_configuration_that_may_not_be_read_names_the_right(stage: DoctorStage) -> None:
    stage.api.deny("get", "configmaps")
    found = await stage.examine()
    assert f"can-i get configmaps -n {HOME}" in found.get(Check.CONFIGURATION).remedy
    assert {Check.CONFIGURATION, Check.DECISION_AGE} <= found.unknown
    assert found.wrong == set()


async def test_the_configuration_is_read_where_the_container_has_it_mounted(stage: DoctorStage) -> None:
    stage.configure("broken: [")
    pod: Json = {
        "containers": [
            {
                "args": ["run", "--config=/config/ours.yaml"],
                "volumeMounts": [{"name": "secret", "mountPath": "/other"}, {"name": "it", "mountPath": "/config"}],
            }
        ],
        "volumes": [{"name": "it", "configMap": {"name": "elsewhere"}}],
        "serviceAccountName": NAME,
    }
    stage.api.change(DEPLOYMENTS, HOME, NAME, {"spec": {"template": {"spec": pod}}})
    stage.api.put(
        CONFIG_MAPS, {"metadata": {"name": "elsewhere", "namespace": HOME}, "data": {"ours.yaml": CONFIGURATION}}
    )
    finding = (await stage.examine()).get(Check.CONFIGURATION)
    assert (finding.verdict, finding.about) == (Verdict.OK, f"ConfigMap {HOME}/elsewhere")


async def test_lease_and_heartbeat_are_those_of_the_installation_as_it_is_called(stage: DoctorStage) -> None:
    stage.configure(CONFIGURATION + "kubernetes: {installation: blue}\n")
    found = await stage.examine()
    assert {Check.LEADER, Check.DECISION_AGE} <= found.wrong
    assert found.get(Check.LEADER).about == f"Lease {HOME}/blue"
    stage.api.put(LEASES, {**stage.api.get(LEASES, HOME, NAME), "metadata": {"name": "blue", "namespace": HOME}})
    assert (await stage.examine()).get(Check.LEADER).verdict is Verdict.OK


async def test_only_the_namespaces_of_the_configuration_are_looked_at(stage: DoctorStage) -> None:
    stage.configure(CONFIGURATION.replace("kind: kubernetes", "kind: kubernetes, namespaces: [elsewhere]"))
    assert (await stage.examine()).get(Check.VARIANTS).verdict is Verdict.WRONG
    assert (await stage.examine(namespaces=("prod",))).wrong == set()


# --- What the examiner may not see ------------------------------------------------------------------------------------
async def test_without_the_right_to_list_pods_nothing_is_claimed_of_workloads(stage: DoctorStage) -> None:
    stage.api.deny("list", "pods")
    found = await stage.examine()
    assert found.wrong == set()
    assert {Check.YOUR_RIGHTS, Check.VARIANTS} <= found.unknown
    (finding,) = found.list(Check.YOUR_RIGHTS)
    assert "list pods" in finding.message
    assert "--namespaces" in finding.remedy
    assert found.list(Check.FOLLOWER) == []


async def test_without_any_right_everything_is_unknown(stage: DoctorStage) -> None:
    stage.api.fail(403, message="")
    found = await stage.examine(service=(HOME, NAME))
    assert found.wrong == set()
    assert found.get_checks(Verdict.OK) == {Check.INSTALLATION}
