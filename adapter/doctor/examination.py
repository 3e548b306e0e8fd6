"""One whole examination, point by point. A point that fails to be looked at hides no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from adapter.doctor.aggregation import check_api_service, check_endpoints, check_review_rights
from adapter.doctor.certificate import check_certificate
from adapter.doctor.finding import Finding, cannot_tell
from adapter.doctor.look import Look
from adapter.doctor.numbers import check_decisions, check_followers, check_hpa_rights
from adapter.doctor.pages import check_pages
from adapter.doctor.workloads import check_workloads

_CHECKS: tuple[Callable[[Look], Awaitable[list[Finding]]], ...] = (
    check_api_service,
    check_certificate,
    check_endpoints,
    check_review_rights,
    check_hpa_rights,
    check_decisions,
    check_followers,
    check_pages,
)


async def examine(look: Look) -> list[Finding]:
    """Return everything that is to be said of the cluster, in the order in which a number travels."""
    findings = [finding for check in _CHECKS for finding in await check(look)]
    unseen = [cannot_tell("rights of yours", "", failure) for failure in look.failures]
    return [*unseen, *findings, *check_workloads(look.view)]
