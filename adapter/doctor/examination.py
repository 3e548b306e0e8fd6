"""One whole examination, point by point. A point that cannot be looked at hides no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from adapter.doctor.aggregation import check_api_service, check_endpoints, check_namespaces
from adapter.doctor.certificate import check_certificate
from adapter.doctor.claims import check_claims, check_variants
from adapter.doctor.finding import Check, Finding, cannot_tell, ok
from adapter.doctor.following import check_followers
from adapter.doctor.leading import check_decisions, check_leader
from adapter.doctor.look import Look
from adapter.doctor.pages import check_pages
from adapter.doctor.rights import check_hpa_rights, check_review_rights
from adapter.doctor.workloads import check_workloads

_CHECKS: tuple[Callable[[Look], Awaitable[list[Finding]]], ...] = (
    check_api_service,
    check_certificate,
    check_endpoints,
    check_namespaces,
    check_review_rights,
    check_hpa_rights,
    check_leader,
    check_decisions,
    check_variants,
    check_claims,
    check_followers,
    check_pages,
    check_workloads,
)
_ORDER = {check: place for place, check in enumerate(Check)}


async def examine(look: Look) -> list[Finding]:
    """Return everything that is to be said of the cluster, in the order in which a number travels."""
    findings = [*_tell_rights(look), _tell_installation(look), look.configured.finding]
    for check in _CHECKS:
        findings += await check(look)
    return sorted(findings, key=lambda finding: _ORDER[finding.check])


def _tell_rights(look: Look) -> list[Finding]:
    remedy = "look where you may: --namespaces NAME; or with the rights that docs/doctor.md lists"
    return [cannot_tell(Check.YOUR_RIGHTS, "", failure, remedy) for failure in look.failures]


def _tell_installation(look: Look) -> Finding:
    if isinstance(look.installation, str):
        remedy = "name our Service: --service NAMESPACE/NAME"
        return cannot_tell(Check.INSTALLATION, "", look.installation, remedy)
    place = look.installation
    account = f", as {place.user}" if place.user else ""
    return ok(Check.INSTALLATION, f"Service {place.owner}", f"installation {look.claimant}{account}")
