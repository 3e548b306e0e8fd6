"""Points on the way from the API server to the adapter: APIService, endpoints, namespaces that wait for us."""

from __future__ import annotations

from adapter.doctor.asking import attempt, list_items, tell_failure
from adapter.doctor.finding import Check, Finding, cannot_tell, ok, wrong
from adapter.doctor.installation import Installation
from adapter.doctor.look import Look
from adapter.errors import AdapterError, NotFound
from adapter.kube.api_service import NAME as API_SERVICE
from adapter.kube.client import Json
from adapter.kube.discovery.objects import get_name
from adapter.kube.json_fields import get_condition, get_object, get_objects
from adapter.kube.resource import ENDPOINT_SLICES, NAMESPACES, PODS

_GROUP = "external.metrics.k8s.io"
_DELETE = f"kubectl delete apiservice {API_SERVICE}"

_LOGS = "{logs}\ndocs/runbook.md, APIService unavailable"
_UNREACHED = (
    "the API server cannot reach the pods: private clusters often allow ports 443 and 10250 only; open "
    "listen.externalMetricsPort, or: {upgrade} --set listen.externalMetricsPort=10250"
)

# What the API server says of the way to the adapter -> what to do about it.
_REMEDIES = {
    "x509": "the certificate is not believed: see the points on the certificate",
    "MissingEndpoints": "no replica is ready: see the point on endpoints",
    "EndpointsNotFound": "the Service selects no pod: kubectl -n {namespace} get service {service} -o wide; "
    "kubectl -n {namespace} get pods --show-labels",
    "ServicePortError": "the Service has no such port: {upgrade}",
    "ServiceNotFound": f"the Service is gone: {{upgrade}}; or, if the adapter was uninstalled: {_DELETE}",
    "refused": f"nobody listens: {_LOGS}",
    "imeout": _UNREACHED,
    "deadline": _UNREACHED,
    "no route": _UNREACHED,
}

# Why a container does not run -> what to do about it.
_POD_REMEDIES = {
    "ErrImagePull": "build the image and push or load it: make image IMAGE=REGISTRY/variant-autoscaler",
    "ImagePullBackOff": "build the image and push or load it: make image IMAGE=REGISTRY/variant-autoscaler",
    "CrashLoopBackOff": "kubectl -n {namespace} logs {runner} --previous --tail=30",
    "CreateContainerConfigError": "kubectl -n {namespace} describe pods -l {selector}",
}


async def check_api_service(look: Look) -> list[Finding]:
    """Judge who serves the external metrics API, and whether the API server reaches it."""
    found = look.api_service
    if isinstance(found, NotFound):
        if not look.configured.serves_api:
            return [ok(Check.API_OWNER, API_SERVICE, "nobody serves it, and we are not to: others read our pages")]
        place = look.installation
        remedy = "install the adapter: docs/install.md" if isinstance(place, str) else f"bring it back: {place.upgrade}"
        return [wrong(Check.API_OWNER, API_SERVICE, "nobody serves the external metrics API of this cluster", remedy)]
    if isinstance(found, AdapterError):
        return [tell_failure(Check.API_OWNER, API_SERVICE, found, right=f"get apiservices {API_SERVICE}")]
    owner, is_left_to_others = _judge_owner(look), not look.configured.serves_api
    return [owner] if is_left_to_others else [owner, _judge_condition(look)]


def _judge_owner(look: Look) -> Finding:
    check, owner = Check.API_OWNER, look.api_owner or "no Service, the API server itself"
    if isinstance(look.installation, str):
        return cannot_tell(check, API_SERVICE, f"it leads to {owner}; which Service is ours is not known")
    ours = look.installation.owner
    if not look.configured.serves_api:
        if owner != ours:
            return ok(check, API_SERVICE, f"it leads to {owner}, which reads our pages: we are told not to serve it")
        message = f"it leads to our Service {ours}, which is told not to serve it (listen.external_metrics.enabled)"
        return wrong(
            check, API_SERVICE, message, f"{look.installation.upgrade} --set apiService.create=true\nor: {_DELETE}"
        )
    if owner == ours:
        return ok(check, API_SERVICE, f"it leads to our Service {ours}")
    message = f"it leads to {owner}, not to our Service {ours}; a cluster has one owner of this API"
    remedy = (
        f"either keep {owner} and let it read our pages (docs/hpa.md): {look.installation.upgrade} "
        "--set apiService.create=false\n"
        f"or uninstall that product, then: {_DELETE}; {look.installation.upgrade}"
    )
    return wrong(check, API_SERVICE, message, remedy)


def _judge_condition(look: Look) -> Finding:
    check = Check.API_CONDITION
    if look.is_api_available is None:
        return cannot_tell(check, API_SERVICE, "the API server has not looked yet")
    if look.is_api_available:
        return ok(check, API_SERVICE, "Available")
    message, place = look.api_complaint, look.installation
    if isinstance(place, str) or look.api_owner != place.owner:
        # Whoever it is: a dead API delays the end of every namespace, and spoils what clients discover.
        owner = look.api_owner or "the API server itself"
        return wrong(check, API_SERVICE, message, f"mend {owner}; where that is gone for good: {_DELETE}")
    remedy = next((remedy for word, remedy in _REMEDIES.items() if word in message), _LOGS)
    return wrong(check, API_SERVICE, message, _fill(remedy, place))


def _fill(remedy: str, place: Installation) -> str:
    """Return `remedy` with the names of the installation."""
    return remedy.format(
        namespace=place.namespace,
        service=place.service,
        runner=place.runner,
        selector=place.selector,
        logs=place.logs,
        upgrade=place.upgrade,
    )


async def check_endpoints(look: Look) -> list[Finding]:
    """Judge whether anybody ready stands behind the Service, and if not, why."""
    place = look.installation
    if isinstance(place, str):
        return [cannot_tell(Check.ENDPOINTS, "", "which Service is ours is not known")]
    about = f"Service {place.owner}"
    if place.spec.get("type") == "ExternalName":
        return [ok(Check.ENDPOINTS, about, f"it leads to {place.spec.get('externalName')}, which no endpoints tell")]
    query = {"labelSelector": f"kubernetes.io/service-name={place.service}"}
    slices = await attempt(list_items(look.client, ENDPOINT_SLICES, place.namespace, query))
    if isinstance(slices, AdapterError):
        right = f"list endpointslices.discovery.k8s.io -n {place.namespace}"
        return [tell_failure(Check.ENDPOINTS, about, slices, right=right)]
    endpoints = [endpoint for entry in slices for endpoint in get_objects(entry, "endpoints")]
    ready = [endpoint for endpoint in endpoints if get_object(endpoint, "conditions").get("ready") is not False]
    if ready:
        return [ok(Check.ENDPOINTS, about, f"{len(ready)} of {len(endpoints)} ready")]
    return [await _explain_absence(look, place, about)]


async def _explain_absence(look: Look, place: Installation, about: str) -> Finding:
    """Return that nobody is ready, with what the pods say of it."""
    selector = place.selector
    pods = await attempt(list_items(look.client, PODS, place.namespace, {"labelSelector": selector}))
    if isinstance(pods, AdapterError):
        remedy = f"kubectl -n {place.namespace} get pods -l {selector}"
        return wrong(Check.ENDPOINTS, about, "no replica of the adapter is ready", remedy)
    if not pods:
        remedy = f"kubectl -n {place.namespace} get {place.runner}; is it scaled to 0, or are its pods refused?"
        return wrong(Check.ENDPOINTS, about, f"no pod has the labels {selector}", remedy)
    reasons = [_explain_pod(pod) for pod in pods]
    told = ", ".join(f"{get_name(pod)}: {reason}" for pod, reason in zip(pods, reasons, strict=True))
    remedy = next((text for reason, text in _POD_REMEDIES.items() if reason in reasons), place.logs)
    return wrong(Check.ENDPOINTS, about, f"no replica of the adapter is ready: {told}", _fill(remedy, place))


def _explain_pod(pod: Json) -> str:
    """Return why a pod is not ready."""
    for status in get_objects(pod, "status", "containerStatuses"):
        waiting = get_object(status, "state", "waiting").get("reason")
        if waiting:
            return str(waiting)
    ready, phase = get_condition(pod, "Ready") or {}, get_object(pod, "status").get("phase", "Unknown")
    return str(ready.get("message") or ready.get("reason") or phase)


async def check_namespaces(look: Look) -> list[Finding]:
    """Judge whether namespaces cannot finish being deleted because nobody answers for our API."""
    check = Check.NAMESPACES
    namespaces = await attempt(list_items(look.client, NAMESPACES))
    if isinstance(namespaces, AdapterError):
        return [tell_failure(check, "", namespaces, right="list namespaces")]
    waiting = [(get_name(item), message) for item in namespaces if (message := _find_discovery_failure(item))]
    if not waiting:
        return [ok(check, "", "none waits for the external metrics API")]
    remedy = "bring the adapter back, and it finishes by itself within a minute; " + (
        f"if the adapter was uninstalled: {_DELETE}"
        if not look.is_api_available
        else "the API answers again: nothing else is to be done"
    )
    return [wrong(check, f"Namespace {name}", f"it cannot finish: {message}", remedy) for name, message in waiting]


def _find_discovery_failure(namespace: Json) -> str:
    """Return what the namespace controller says, "" unless it waits for our group."""
    condition = get_condition(namespace, "NamespaceDeletionDiscoveryFailure") or {}
    message = str(condition.get("message", ""))
    is_waiting = get_object(namespace, "status").get("phase") == "Terminating" and condition.get("status") == "True"
    return message if is_waiting and _GROUP in message else ""
