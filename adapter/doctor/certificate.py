"""Check of the serving certificate, as the API server judges it."""

from __future__ import annotations

import base64
import binascii

from adapter.doctor.aggregation import API_SERVICE
from adapter.doctor.finding import Finding, cannot_tell, ok, wrong
from adapter.doctor.look import Look
from adapter.errors import AdapterError, NotFound
from adapter.external_metrics.serving_trust import find_distrust
from adapter.kube.client import Json
from adapter.kube.resource import API_SERVICES, SECRETS

_REMEDY = (
    "self-signed: delete the Secret, the leader makes a new one and tells the APIService; cert-manager: kubectl "
    "describe the Certificate; docs/runbook.md, certificate expired"
)


async def check_certificate(look: Look) -> list[Finding]:
    """Judge whether the certificate bears the name, the date and the authority that the API server expects."""
    check = "serving certificate"
    if look.installation is None:
        return [cannot_tell(check, "", "which Service is ours is not known")]
    namespace, service = look.installation.namespace, look.installation.service
    about = f"{service}.{namespace}.svc"
    try:
        bundle = _decode(((await look.client.get(API_SERVICES, None, API_SERVICE)).get("spec") or {}).get("caBundle"))
        secret = await look.client.get(SECRETS, namespace, f"{service}-certificate")
    except NotFound as failure:
        return [cannot_tell(check, about, f"it lies where only its maker knows: {failure}")]
    except AdapterError as failure:
        return [cannot_tell(check, about, str(failure), f"needs get on secrets in namespace {namespace}")]
    problem = find_distrust(_get_chain(secret), bundle, about, look.now_s)
    if problem is None:
        return [ok(check, about, "name, date and authority are as the API server expects them")]
    return [wrong(check, about, problem, _REMEDY)]


def _get_chain(secret: Json) -> bytes:
    return _decode((secret.get("data") or {}).get("tls.crt"))


def _decode(text: object) -> bytes:
    try:
        return base64.b64decode(str(text or ""), validate=True)
    except (binascii.Error, ValueError):
        return b""
