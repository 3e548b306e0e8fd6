"""Checks of the way from the API server to the adapter: APIService, endpoints, rights to review."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from adapter.doctor.finding import Finding, cannot_tell, ok, wrong
from adapter.doctor.look import Installation, Look
from adapter.errors import AdapterError, Denied, NotFound
from adapter.kube.client import Json
from adapter.kube.resource import API_SERVICES, ENDPOINT_SLICES, SERVICES, SUBJECT_ACCESS_REVIEWS

API_SERVICE = "v1beta1.external.metrics.k8s.io"


async def check_api_service(look: Look) -> list[Finding]:
    """Judge who serves the external metrics API, whether the API server reaches it, and whether it trusts it."""
    check = "APIService"
    try:
        service = await look.client.get(API_SERVICES, None, API_SERVICE)
    except NotFound:
        remedy = "install the chart with apiService.create=true, or let KEDA or prometheus-adapter read our page"
        return [wrong(check, API_SERVICE, "nobody serves the external metrics API of this cluster", remedy)]
    except AdapterError as failure:
        return [cannot_tell(check, API_SERVICE, str(failure))]
    return [_judge_owner(service, look.installation), _judge_availability(service), _judge_ca(service)]


def _judge_owner(service: Json, installation: Installation | None) -> Finding:
    check = "APIService owner"
    reference = (service.get("spec") or {}).get("service") or {}
    owner = f"{reference.get('namespace')}/{reference.get('name')}"
    if installation is None:
        return cannot_tell(check, API_SERVICE, f"it points to Service {owner}; which one is ours is not known")
    ours = f"{installation.namespace}/{installation.service}"
    if owner == ours:
        return ok(check, API_SERVICE, f"it points to our Service {ours}")
    remedy = (
        f"a cluster has one owner of this API: keep {owner} and let it read our page, with apiService.create=false "
        f"(docs/hpa.md), or remove the other product and run helm upgrade"
    )
    return wrong(check, API_SERVICE, f"it points to Service {owner}, not to ours ({ours})", remedy)


def _judge_availability(service: Json) -> Finding:
    check = "APIService condition"
    conditions = (service.get("status") or {}).get("conditions") or []
    available = next((entry for entry in conditions if entry.get("type") == "Available"), None)
    if available is None:
        return cannot_tell(check, API_SERVICE, "the API server has not looked yet")
    if available.get("status") == "True":
        return ok(check, API_SERVICE, "Available")
    message = f"{available.get('reason', '')}: {available.get('message', '')}"
    return wrong(check, API_SERVICE, message, _find_remedy(message))


def _find_remedy(message: str) -> str:
    """Return what to do about what the API server says of the way to the adapter."""
    remedies = {
        "x509": "the certificate does not fit: see the points on the certificate below, and docs/runbook.md",
        "MissingEndpoints": "no replica is ready: kubectl describe the adapter's pods",
        "EndpointsNotFound": "the Service selects no pod: compare its selector with the pods' labels",
        "ServicePortError": "the Service has no such port: run helm upgrade",
        "ServiceNotFound": "the Service is gone: run helm upgrade, or delete the APIService if we were uninstalled",
        "timeout": "the API server cannot reach the pod: open its port to the control plane (docs/security.md)",
        "deadline": "the API server cannot reach the pod: open its port to the control plane (docs/security.md)",
        "refused": "nobody listens: kubectl logs the adapter's pods",
    }
    return next((remedy for word, remedy in remedies.items() if word in message), "see docs/runbook.md")


def _judge_ca(service: Json) -> Finding:
    check = "certificate authority"
    spec = service.get("spec") or {}
    if spec.get("insecureSkipTLSVerify"):
        remedy = "set apiService.insecureSkipTLSVerify to false and name a CA: else anyone between can read and forge"
        return wrong(check, API_SERVICE, "the API server does not verify who answers", remedy)
    try:
        bundle = base64.b64decode(spec.get("caBundle") or "", validate=True)
    except (binascii.Error, ValueError):
        bundle = b""
    if not bundle:
        remedy = "self-signed: the leader writes it, see its log; cert-manager: is ca-injector running?"
        return wrong(check, API_SERVICE, "it names no CA (caBundle is empty)", remedy)
    return ok(check, API_SERVICE, "caBundle is set")


async def check_endpoints(look: Look) -> list[Finding]:
    """Judge whether anybody ready stands behind the Service."""
    check = "endpoints"
    if look.installation is None:
        return [cannot_tell(check, "", "which Service is ours is not known")]
    about = f"Service {look.installation.namespace}/{look.installation.service}"
    query = {"labelSelector": f"kubernetes.io/service-name={look.installation.service}"}
    try:
        service = await look.client.get(SERVICES, look.installation.namespace, look.installation.service)
        spec = service.get("spec") or {}
        if spec.get("type") == "ExternalName":
            return [ok(check, about, f"it leads to {spec.get('externalName')}, which no endpoints tell")]
        slices = (await look.client.list(ENDPOINT_SLICES, look.installation.namespace, query=query)).get("items") or []
    except AdapterError as failure:
        return [cannot_tell(check, about, str(failure))]
    endpoints = [endpoint for entry in slices for endpoint in entry.get("endpoints") or []]
    ready = [entry for entry in endpoints if (entry.get("conditions") or {}).get("ready") is not False]
    if ready:
        return [ok(check, about, f"{len(ready)} of {len(endpoints)} ready")]
    remedy = f"kubectl -n {look.installation.namespace} get pods; kubectl describe the ones that are not ready"
    return [wrong(check, about, f"{len(endpoints)} endpoints, none ready", remedy)]


async def check_review_rights(look: Look) -> list[Finding]:
    """Judge whether the adapter may ask the API server who a caller is and what it may do."""
    check = "review rights"
    if look.installation is None or not look.installation.user:
        return [cannot_tell(check, "", "the adapter's service account is not known")]
    user = look.installation.user
    wanted = {
        "create TokenReviews": {"group": "authentication.k8s.io", "resource": "tokenreviews", "verb": "create"},
        "create SubjectAccessReviews": {
            "group": "authorization.k8s.io",
            "resource": "subjectaccessreviews",
            "verb": "create",
        },
        "read the front proxy's settings": {
            "resource": "configmaps",
            "name": "extension-apiserver-authentication",
            "namespace": "kube-system",
            "verb": "get",
        },
    }
    remedy = (
        "bind the ClusterRole system:auth-delegator to it, and in kube-system the Role "
        "extension-apiserver-authentication-reader: the chart does with rbac.create=true"
    )
    return [await check_right(look, check, Right(user, can, attributes), remedy) for can, attributes in wanted.items()]


@dataclass(frozen=True, slots=True)
class Right:
    """What the service account `user` should be allowed to do: in words, and as the API server is asked."""

    user: str
    can: str
    attributes: dict[str, str]


async def check_right(look: Look, check: str, right: Right, remedy: str) -> Finding:
    """Judge whether a service account has a right."""
    user, can = right.user, right.can
    namespace = user.split(":")[2]
    groups = ["system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    spec = {"user": user, "groups": groups, "resourceAttributes": right.attributes}
    body = {"apiVersion": SUBJECT_ACCESS_REVIEWS.api_version, "kind": SUBJECT_ACCESS_REVIEWS.kind, "spec": spec}
    try:
        answer = await look.client.create(SUBJECT_ACCESS_REVIEWS, None, body)
    except Denied:
        return cannot_tell(check, user, f"may it {can}? You may not ask", "needs create on subjectaccessreviews")
    except AdapterError as failure:
        return cannot_tell(check, user, f"may it {can}? {failure}")
    if (answer.get("status") or {}).get("allowed"):
        return ok(check, user, f"may {can}")
    return wrong(check, user, f"may not {can}", remedy)
