"""Points on the serving certificate, as the API server judges it: name, authority, date."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

from adapter.config.schema import CertificateKind
from adapter.doctor.asking import attempt, tell_failure
from adapter.doctor.finding import Check, Finding, cannot_tell, ok, wrong
from adapter.doctor.installation import Installation, find_mount
from adapter.doctor.look import Look
from adapter.errors import AdapterError, BadDocument, NotFound
from adapter.external_metrics.serving_trust import ServingTrust, judge_serving
from adapter.kube.api_service import NAME as API_SERVICE
from adapter.kube.json_fields import get_object
from adapter.kube.resource import SECRETS

SOON_S = 3 * 86_400.0
"""Certificates are renewed long before so little of their life is left [s]."""

_CHECKS = (Check.CERTIFICATE_NAME, Check.CERTIFICATE_AUTHORITY, Check.CERTIFICATE_DATE)

# What the API server says when it does not believe a certificate -> the point it is about.
_COMPLAINTS = {
    "expired": Check.CERTIFICATE_DATE,
    "not yet valid": Check.CERTIFICATE_DATE,
    "unknown authority": Check.CERTIFICATE_AUTHORITY,
    "certificate is valid for": Check.CERTIFICATE_NAME,
    "SAN": Check.CERTIFICATE_NAME,
    "Common Name": Check.CERTIFICATE_NAME,
}


async def check_certificate(look: Look) -> list[Finding]:
    """Judge whether the certificate bears the name, the authority and the date that the API server expects."""
    place = look.installation
    if isinstance(place, str):
        return [cannot_tell(check, "", "which Service is ours is not known") for check in _CHECKS]
    if not look.configured.serves_api or look.api_owner != place.owner or isinstance(look.api_service, AdapterError):
        return []  # nobody asks for it
    spec, remedy = get_object(look.api_service, "spec"), _find_remedy(look, place)
    if spec.get("insecureSkipTLSVerify"):
        message = "the API server does not verify who answers: anyone in between can read and forge numbers"
        patch = """kubectl patch apiservice %s --type=merge -p '{"spec":{"insecureSkipTLSVerify":false}}'"""
        return [wrong(Check.CERTIFICATE_AUTHORITY, API_SERVICE, message, f"{patch % API_SERVICE}\n{remedy}")]
    bundle = _decode(spec.get("caBundle"))
    if not bundle:
        message = "the APIService names no authority (caBundle is empty)"
        return [wrong(Check.CERTIFICATE_AUTHORITY, API_SERVICE, message, remedy.partition("\n")[0])]
    return await _judge_secret(look, place, bundle, remedy)


async def _judge_secret(look: Look, place: Installation, bundle: bytes, remedy: str) -> list[Finding]:
    """Judge the certificate that lies in a Secret; where that cannot be read, by what the API server says of it."""
    name, key = _find_secret(look, place)
    about, server = f"Secret {place.namespace}/{name}", f"{place.service}.{place.namespace}.svc"
    secret = await attempt(look.client.get(SECRETS, place.namespace, name))
    if isinstance(secret, NotFound) and look.configured.is_known and _is_self_signed(look):
        return [wrong(Check.CERTIFICATE_DATE, about, "the adapter has made no certificate yet", place.logs)]
    if isinstance(secret, AdapterError):
        return _judge_by_complaint(look, about, secret, f"get secrets/{name} -n {place.namespace}", remedy)
    try:
        trust = judge_serving(_decode(get_object(secret, "data").get(key)), bundle, server, look.now_s)
    except BadDocument as problem:
        return [wrong(Check.CERTIFICATE_DATE, about, f"{key}: {problem}", remedy)]
    return _judge_trust(trust, about, look.now_s, server, remedy)


def _judge_trust(trust: ServingTrust, about: str, now_s: float, server: str, remedy: str) -> list[Finding]:
    until = f"{datetime.fromtimestamp(trust.not_after_s, UTC):%Y-%m-%d %H:%M} UTC"
    date = trust.date
    if date is None and trust.not_after_s - now_s < SOON_S:
        date = f"it expires on {until}, and should have been renewed long ago"
    judged = (
        (Check.CERTIFICATE_NAME, trust.name, f"it is for {server}"),
        (Check.CERTIFICATE_AUTHORITY, trust.authority, "an authority signed it that the APIService names"),
        (Check.CERTIFICATE_DATE, date, f"it is valid until {until}"),
    )
    return [
        ok(check, about, praise) if problem is None else wrong(check, about, problem, remedy)
        for check, problem, praise in judged
    ]


def _judge_by_complaint(look: Look, about: str, failure: AdapterError, right: str, remedy: str) -> list[Finding]:
    """Judge by what the API server says: it verifies whatever is asked through it."""
    if look.is_api_available and look.api_failure is None:
        said = "the API server believes it now; the certificate itself cannot be read"
        return [ok(check, about, said) for check in _CHECKS]
    message = look.api_complaint
    blamed = next((check for word, check in _COMPLAINTS.items() if "x509" in message and word in message), None)
    if blamed is not None:
        return [wrong(blamed, about, message, remedy)]
    return [tell_failure(check, about, failure, right=right) for check in _CHECKS]


def _find_secret(look: Look, place: Installation) -> tuple[str, str]:
    """Return name and key of the Secret with the certificate: what is mounted, else what the adapter itself makes."""
    served = look.configured.configuration.get_external_metrics()
    path = None if served is None else served.certificate.cert_file
    mount = None if path is None else find_mount(place.pod_spec, path)
    if mount is not None and mount.kind == "Secret":
        return mount.name, mount.key
    return f"{place.service}-{'certificate' if _is_self_signed(look) else 'tls'}", "tls.crt"


def _is_self_signed(look: Look) -> bool:
    served = look.configured.configuration.get_external_metrics()
    return served is None or served.certificate.kind is CertificateKind.SELF_SIGNED


def _find_remedy(look: Look, place: Installation) -> str:
    """Return how a certificate is made anew; running replicas put back the one they know."""
    name, _ = _find_secret(look, place)
    delete = f"kubectl -n {place.namespace} delete secret {name}"
    if _is_self_signed(look):
        scale = f"kubectl -n {place.namespace} scale {place.runner} --replicas"
        return (
            f"the adapter renews it, and says why it cannot: {place.logs}\n"
            f"to begin anew: {scale}=0; {delete}; {scale}=2"
        )
    return (
        f"cert-manager: kubectl -n {place.namespace} describe certificate; kubectl -n cert-manager logs "
        "deployment/cert-manager-cainjector\n"
        f"certificates.kind=chart: {delete}; {place.upgrade}   # makes another one"
    )


def _decode(text: object) -> bytes:
    try:
        return base64.b64decode(str(text or ""), validate=True)
    except (binascii.Error, ValueError):
        return b""
