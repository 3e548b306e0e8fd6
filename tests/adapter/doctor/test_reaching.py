"""The way from the API server to the adapter: APIService, certificate, endpoints, namespaces, rights."""

from __future__ import annotations

import pytest

from adapter.doctor import Check, Verdict
from adapter.kube.api_service import NAME as API_SERVICE
from adapter.kube.resource import (
    API_SERVICES,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    NAMESPACES,
    PODS,
    SECRETS,
    SERVICES,
    SUBJECT_ACCESS_REVIEWS,
)
from tests.builders.authorities import Authority
from tests.builders.autoscaler_objects import LLAMA, make_metric
from tests.builders.cluster_objects import NOW_S
from tests.builders.doctor_stage import CONFIGURATION, HOME, NAME, SERVER, DoctorStage, Json

NOT_SERVED = CONFIGURATION + "listen: {external_metrics: {enabled: false}}\n"
REFUSED = "Get https://10.0.0.1:443: dial tcp 10.0.0.1:443: connect: connection refused"


# --- The APIService ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "message, remedy",
    [
        (REFUSED, f"kubectl -n {HOME} logs -l "),
        ("context deadline exceeded", "listen.externalMetricsPort=10250"),
        ("MissingEndpoints: endpoints for service/x have no addresses", "endpoints"),
        ("ServiceNotFound: service/x is not present", f"kubectl delete apiservice {API_SERVICE}"),
        ("ServicePortError: no port 443", "helm upgrade"),
        ("x509: certificate signed by unknown authority", "points on the certificate"),
        ("something new", "docs/runbook.md, APIService unavailable"),
    ],
)
async def test_an_unavailable_api_is_told_with_what_to_do(stage: DoctorStage, message: str, remedy: str) -> None:
    stage.set_available("False", "FailedDiscoveryCheck", message)
    found = await stage.examine()
    assert found.wrong == {Check.API_CONDITION}
    assert message in found.get(Check.API_CONDITION).message
    assert remedy in found.get(Check.API_CONDITION).remedy


async def test_what_follows_from_an_unavailable_api_is_not_told_as_wrong_too(stage: DoctorStage) -> None:
    stage.set_available("False", "FailedDiscoveryCheck", REFUSED)
    stage.api.fail(503, plural="deployment_replicas", message="service unavailable")
    stage.put_hpa(conditions={"AbleToScale": "True", "ScalingActive": "FailedGetExternalMetric:unable to get it"})
    found = await stage.examine()
    assert found.wrong == {Check.API_CONDITION}
    assert {Check.SELECTOR_HITS, Check.EXACTNESS} <= found.unknown
    assert "the APIService is not available" in found.get(Check.SELECTOR_HITS).message


UNTRUSTED = (
    "error trying to reach service: tls: failed to verify certificate: x509: certificate signed by unknown authority"
)


def refuse_requests(stage: DoctorStage, message: str) -> None:
    """Let the API server fail whatever is asked through the APIService."""
    stage.api.fail(503, plural="apis/external.metrics.k8s.io/v1beta1", message=message)
    stage.api.fail(503, plural="deployment_replicas", message=message)


async def test_a_condition_that_says_available_is_not_believed_where_requests_fail(stage: DoctorStage) -> None:
    refuse_requests(stage, UNTRUSTED)
    found = await stage.examine()
    assert found.wrong == {Check.API_CONDITION}
    assert "the condition says Available, but" in found.get(Check.API_CONDITION).message
    assert "points on the certificate" in found.get(Check.API_CONDITION).remedy
    stage.api.deny("get", "secrets")
    assert (await stage.examine()).wrong == {Check.API_CONDITION, Check.CERTIFICATE_AUTHORITY}


async def test_an_api_that_nobody_looked_at_yet_cannot_be_told(stage: DoctorStage) -> None:
    stage.api.change(API_SERVICES, None, API_SERVICE, {"status": {"conditions": None}})
    assert (await stage.examine()).get(Check.API_CONDITION).verdict is Verdict.CANNOT_TELL


async def test_an_api_service_of_somebody_else_is_told_and_never_overwritten(stage: DoctorStage) -> None:
    foreign = {"spec": {"service": {"namespace": "keda", "name": "keda-operator-metrics-apiserver"}}}
    stage.api.change(API_SERVICES, None, API_SERVICE, foreign)
    stage.api.fail(404, plural="deployment_replicas", message="no matching metrics found")
    found = await stage.examine()
    finding = found.get(Check.API_OWNER)
    assert found.wrong == {Check.API_OWNER}
    assert "keda/keda-operator-metrics-apiserver" in finding.message
    assert "--set apiService.create=false" in finding.remedy
    assert "keda/keda" in found.get(Check.SELECTOR_HITS).message
    assert found.list(Check.CERTIFICATE_NAME) == []


async def test_an_api_service_that_is_missing_is_wrong_unless_it_is_to_be(stage: DoctorStage) -> None:
    stage.api.remove(API_SERVICES, None, API_SERVICE)
    found = await stage.examine()
    assert found.wrong == {Check.API_OWNER}
    remedy = found.get(Check.API_OWNER).remedy
    assert "bring it back: " in remedy
    assert "helm upgrade variant-autoscaler charts/variant-autoscaler" in remedy
    stage.configure(NOT_SERVED)
    assert (await stage.examine()).get(Check.API_OWNER).verdict is Verdict.OK


async def test_an_api_that_the_configuration_leaves_to_others_is_no_trouble(stage: DoctorStage) -> None:
    stage.configure(NOT_SERVED)
    stage.api.change(API_SERVICES, None, API_SERVICE, {"spec": {"service": {"namespace": "keda", "name": "keda"}}})
    stage.set_available("False", "FailedDiscoveryCheck", "theirs")
    found = await stage.examine()
    assert found.wrong == set()
    assert found.get(Check.REVIEW_RIGHTS).verdict is Verdict.OK
    assert found.list(Check.API_CONDITION) == found.list(Check.CERTIFICATE_NAME) == found.list(Check.HPA_RIGHTS) == []


async def test_an_api_service_that_leads_nowhere_is_wrong_whoever_made_it(stage: DoctorStage) -> None:
    stage.api.change(API_SERVICES, None, API_SERVICE, {"spec": {"service": {"namespace": "gone", "name": "gone"}}})
    stage.set_available("False", "ServiceNotFound", "service/gone in gone is not present")
    finding = (await stage.examine()).get(Check.API_CONDITION)
    assert finding.verdict is Verdict.WRONG
    assert finding.remedy.startswith("mend gone/gone; where that is gone for good: ")
    assert f"kubectl delete apiservice {API_SERVICE}" in finding.remedy


async def test_an_api_service_that_leads_to_us_though_we_do_not_serve_is_wrong(stage: DoctorStage) -> None:
    stage.configure(NOT_SERVED)
    finding = (await stage.examine()).get(Check.API_OWNER)
    assert finding.verdict is Verdict.WRONG
    assert f"kubectl delete apiservice {API_SERVICE}" in finding.remedy


async def test_an_api_service_that_may_not_be_read_cannot_be_told(stage: DoctorStage) -> None:
    stage.api.deny("get", "apiservices")
    found = await stage.examine()
    assert found.get(Check.API_OWNER).verdict is Verdict.CANNOT_TELL
    assert "can-i get apiservices" in found.get(Check.API_OWNER).remedy
    assert found.wrong == set()


# --- The certificate --------------------------------------------------------------------------------------------------
async def test_a_certificate_for_another_name_is_wrong(stage: DoctorStage) -> None:
    stage.show_certificate("variant-autoscaler.elsewhere.svc")
    found = await stage.examine()
    assert found.wrong == {Check.CERTIFICATE_NAME}
    assert f"not for {SERVER}" in found.get(Check.CERTIFICATE_NAME).message
    assert f"kubectl -n {HOME} delete secret {NAME}-certificate" in found.get(Check.CERTIFICATE_NAME).remedy


async def test_a_certificate_of_another_authority_is_wrong(stage: DoctorStage) -> None:
    stage.show_certificate(authority=Authority("somebody", now_s=NOW_S))
    found = await stage.examine()
    assert found.wrong == {Check.CERTIFICATE_AUTHORITY}
    assert "CN=somebody" in found.get(Check.CERTIFICATE_AUTHORITY).message


async def test_while_authorities_change_any_of_those_named_will_do(stage: DoctorStage) -> None:
    new = Authority("new", now_s=NOW_S)
    stage.trust((stage.authority.pem + new.pem).encode())
    for authority in (stage.authority, new):
        stage.show_certificate(authority=authority)
        assert (await stage.examine()).wrong == set()


@pytest.mark.parametrize("left_s, part", [(-1.0, "it expired on"), (2 * 86_400.0, "should have been renewed")])
async def test_a_certificate_that_is_over_or_nearly_so_is_wrong(stage: DoctorStage, left_s: float, part: str) -> None:
    stage.show_certificate(ends_s=left_s)
    found = await stage.examine()
    assert found.wrong == {Check.CERTIFICATE_DATE}
    assert part in found.get(Check.CERTIFICATE_DATE).message


async def test_an_api_service_that_names_no_authority_is_wrong(stage: DoctorStage) -> None:
    stage.trust(None)
    finding = (await stage.examine()).get(Check.CERTIFICATE_AUTHORITY)
    assert (finding.verdict, finding.about) == (Verdict.WRONG, API_SERVICE)


async def test_an_api_service_that_verifies_nothing_is_wrong(stage: DoctorStage) -> None:
    stage.trust(None)
    stage.api.change(API_SERVICES, None, API_SERVICE, {"spec": {"insecureSkipTLSVerify": True}})
    finding = (await stage.examine()).get(Check.CERTIFICATE_AUTHORITY)
    assert "does not verify" in finding.message
    assert finding.remedy.startswith(f"kubectl patch apiservice {API_SERVICE}")


async def test_a_certificate_that_was_never_made_is_wrong(stage: DoctorStage) -> None:
    stage.api.remove(SECRETS, HOME, f"{NAME}-certificate")
    found = await stage.examine()
    assert found.wrong == {Check.CERTIFICATE_DATE}
    assert "no certificate yet" in found.get(Check.CERTIFICATE_DATE).message


async def test_a_secret_with_nonsense_in_it_is_wrong(stage: DoctorStage) -> None:
    stage.api.change(SECRETS, HOME, f"{NAME}-certificate", {"data": {"tls.crt": "bm9uc2Vuc2U="}})
    assert (await stage.examine()).wrong == {Check.CERTIFICATE_DATE}


async def test_without_the_right_to_read_the_secret_the_api_server_is_believed(stage: DoctorStage) -> None:
    stage.api.deny("get", "secrets")
    found = await stage.examine()
    assert found.wrong == found.unknown == set()
    assert "the API server believes it" in found.get(Check.CERTIFICATE_DATE).message


@pytest.mark.parametrize(
    "message, check",
    [
        ("x509: certificate has expired or is not yet valid", Check.CERTIFICATE_DATE),
        ("x509: certificate signed by unknown authority", Check.CERTIFICATE_AUTHORITY),
        ("x509: certificate is valid for a, not b", Check.CERTIFICATE_NAME),
    ],
)
async def test_without_that_right_the_complaint_of_the_api_server_counts(
    stage: DoctorStage, message: str, check: Check
) -> None:
    stage.api.deny("get", "secrets")
    stage.set_available("False", "FailedDiscoveryCheck", message)
    assert (await stage.examine()).wrong == {Check.API_CONDITION, check}


async def test_without_that_right_and_without_a_complaint_it_cannot_be_told(stage: DoctorStage) -> None:
    stage.api.deny("get", "secrets")
    stage.set_available("False", "FailedDiscoveryCheck", REFUSED)
    found = await stage.examine()
    assert {Check.CERTIFICATE_NAME, Check.CERTIFICATE_AUTHORITY, Check.CERTIFICATE_DATE} <= found.unknown
    assert f"can-i get secrets/{NAME}-certificate -n {HOME}" in found.get(Check.CERTIFICATE_DATE).remedy


async def test_a_certificate_from_files_is_looked_for_in_the_secret_that_is_mounted(stage: DoctorStage) -> None:
    files = "{kind: files, cert_file: /tls/a.crt, key_file: /tls/a.key}"
    stage.configure(CONFIGURATION + f"listen: {{external_metrics: {{certificate: {files}}}}}\n")
    secret = stage.api.get(SECRETS, HOME, f"{NAME}-certificate")
    data = {"a.crt": secret["data"]["tls.crt"]}
    stage.api.put(SECRETS, {"metadata": {"name": "managed", "namespace": HOME}, "data": data})
    pod = stage.api.get(DEPLOYMENTS, HOME, NAME)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    container["volumeMounts"].append({"name": "tls", "mountPath": "/tls"})
    pod["volumes"].append({"name": "tls", "secret": {"secretName": "managed"}})
    stage.api.change(DEPLOYMENTS, HOME, NAME, {"spec": {"template": {"spec": pod}}})
    finding = (await stage.examine()).get(Check.CERTIFICATE_NAME)
    assert (finding.verdict, finding.about) == (Verdict.OK, f"Secret {HOME}/managed")
    stage.trust(Authority("other", now_s=NOW_S).pem.encode())
    finding = (await stage.examine()).get(Check.CERTIFICATE_AUTHORITY)
    assert "cert-manager" in finding.remedy


# --- Endpoints --------------------------------------------------------------------------------------------------------
def lose_endpoints(stage: DoctorStage) -> None:
    stage.api.change(ENDPOINT_SLICES, HOME, NAME, {"endpoints": [{"conditions": {"ready": False}}]})


@pytest.mark.parametrize(
    "status, part, remedy",
    [
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}, "Image", "make image"),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}, "Crash", "--previous"),
        ({"phase": "Running", "conditions": [{"type": "Ready", "status": "False", "message": "503"}]}, "503", "logs"),
        ({"phase": "Pending", "conditions": []}, "Pending", "logs"),
    ],
)
async def test_replicas_that_are_not_ready_are_told_with_their_reason(
    stage: DoctorStage, status: Json, part: str, remedy: str
) -> None:
    lose_endpoints(stage)
    stage.api.change(PODS, HOME, f"{NAME}-0", {"status": status})
    found = await stage.examine()
    assert found.wrong == {Check.ENDPOINTS}
    assert part in found.get(Check.ENDPOINTS).message
    assert remedy in found.get(Check.ENDPOINTS).remedy


async def test_a_service_without_pods_is_told(stage: DoctorStage) -> None:
    lose_endpoints(stage)
    stage.api.remove(PODS, HOME, f"{NAME}-0")
    assert f"get deployment/{NAME}" in (await stage.examine()).get(Check.ENDPOINTS).remedy


async def test_endpoints_that_may_not_be_read_cannot_be_told(stage: DoctorStage) -> None:
    stage.api.deny("list", "endpointslices")
    assert (await stage.examine()).get(Check.ENDPOINTS).verdict is Verdict.CANNOT_TELL


async def test_a_service_that_leads_outside_has_no_endpoints_to_judge(stage: DoctorStage) -> None:
    lose_endpoints(stage)
    stage.api.change(SERVICES, HOME, NAME, {"spec": {"type": "ExternalName", "externalName": "localhost"}})
    assert (await stage.examine()).get(Check.ENDPOINTS).verdict is Verdict.OK


# --- Namespaces -------------------------------------------------------------------------------------------------------
def let_wait(stage: DoctorStage, group: str) -> None:
    message = f"Discovery failed for some groups, 1 failing: {group}/v1beta1: stale GroupVersion discovery"
    condition = {"type": "NamespaceDeletionDiscoveryFailure", "status": "True", "message": message}
    status = {"phase": "Terminating", "conditions": [condition]}
    stage.api.put(NAMESPACES, {"metadata": {"name": "doomed"}, "status": status})


async def test_a_namespace_that_waits_for_us_is_told(stage: DoctorStage) -> None:
    let_wait(stage, "external.metrics.k8s.io")
    found = await stage.examine()
    finding = found.get(Check.NAMESPACES)
    assert (found.wrong, finding.about) == ({Check.NAMESPACES}, "Namespace doomed")
    assert "within a minute" in finding.remedy
    stage.set_available("False", "x", REFUSED)
    assert f"kubectl delete apiservice {API_SERVICE}" in (await stage.examine()).get(Check.NAMESPACES).remedy


async def test_a_namespace_that_waits_for_others_is_no_business_of_ours(stage: DoctorStage) -> None:
    let_wait(stage, "custom.metrics.k8s.io")
    assert (await stage.examine()).wrong == set()


async def test_namespaces_that_may_not_be_listed_cannot_be_told(stage: DoctorStage) -> None:
    stage.api.deny("list", "namespaces")
    assert (await stage.examine()).get(Check.NAMESPACES).verdict is Verdict.CANNOT_TELL


# --- Rights -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "resource, remedy",
    [
        ("tokenreviews", "--clusterrole=system:auth-delegator"),
        ("subjectaccessreviews", "--clusterrole=system:auth-delegator"),
        ("configmaps", "--role=extension-apiserver-authentication-reader"),
    ],
)
async def test_each_right_to_review_is_asked_for(stage: DoctorStage, resource: str, remedy: str) -> None:
    stage.reviews.is_allowed = lambda spec: spec["resourceAttributes"]["resource"] != resource
    found = await stage.examine()
    (finding,) = [finding for finding in found.list(Check.REVIEW_RIGHTS) if finding.verdict is Verdict.WRONG]
    assert found.wrong == {Check.REVIEW_RIGHTS}
    assert finding.about == f"system:serviceaccount:{HOME}:{NAME}"
    assert remedy in finding.remedy
    assert f"--serviceaccount={HOME}:{NAME}" in finding.remedy


async def test_nobodys_rights_are_needed_where_nobody_is_asked(stage: DoctorStage) -> None:
    stage.configure(CONFIGURATION + "listen: {external_metrics: {authentication: none}}\n")
    stage.reviews.is_allowed = lambda spec: "external" in spec["resourceAttributes"]["group"]
    assert (await stage.examine()).wrong == set()


async def test_the_rights_of_the_hpa_are_asked_for_where_it_reads_and_by_the_name_it_reads(stage: DoctorStage) -> None:
    stage.put_hpa(metrics=[make_metric(name=f"deployment_replicas.{LLAMA.name}", labels={})])
    stage.reviews.is_allowed = lambda spec: "horizontal-pod-autoscaler" not in spec["user"]
    found = await stage.examine()
    finding = found.get(Check.HPA_RIGHTS)
    assert finding.verdict is Verdict.WRONG
    assert f"deployment_replicas.{LLAMA.name} in {LLAMA.namespace}" in finding.message
    assert f"resources: [deployment_replicas, deployment_replicas.{LLAMA.name}]" in finding.remedy
    (asked,) = [spec for spec in stage.reviews.accesses if "horizontal-pod-autoscaler" in spec["user"]]
    assert asked["resourceAttributes"] == {
        "group": "external.metrics.k8s.io",
        "resource": f"deployment_replicas.{LLAMA.name}",
        "verb": "list",
        "namespace": LLAMA.namespace,
    }


async def test_an_hpa_that_says_it_is_forbidden_is_told_by_that_point(stage: DoctorStage) -> None:
    said = "FailedGetExternalMetric:deployment_replicas.external.metrics.k8s.io is forbidden"
    stage.put_hpa(conditions={"AbleToScale": "True", "ScalingActive": said})
    assert (await stage.examine()).wrong == {Check.HPA_RIGHTS}


async def test_rights_that_may_not_be_asked_for_cannot_be_told(stage: DoctorStage) -> None:
    stage.api.deny("create", SUBJECT_ACCESS_REVIEWS.plural)
    found = await stage.examine()
    assert found.wrong == set()
    assert {Check.REVIEW_RIGHTS, Check.HPA_RIGHTS} == found.unknown
    assert "can-i create subjectaccessreviews" in found.get(Check.HPA_RIGHTS).remedy
