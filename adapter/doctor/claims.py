"""Points on claims: which workloads the adapter should decide about, and which of them it does."""

from __future__ import annotations

from adapter.cluster import Trouble
from adapter.doctor.asking import tell_failure
from adapter.doctor.finding import Check, Finding, cannot_tell, ok, wrong
from adapter.doctor.look import Look
from adapter.doctor.naming import name
from adapter.errors import AdapterError, BadDocument, NotFound
from adapter.kube.client import Json
from adapter.kube.decisions.conditions import ACCEPTED
from adapter.kube.decisions.decode import decode_workload
from adapter.kube.json_fields import get_condition
from optimizer.domain import ReasonCode, WorkloadRef

_ANNOTATE = (
    "kubectl -n NAMESPACE annotate deployment NAME variant-autoscaler.io/model=MODEL "
    "variant-autoscaler.io/accelerator=H100"
)


async def check_variants(look: Look) -> list[Finding]:
    """Judge whether there is anything to decide about."""
    check = Check.VARIANTS
    if look.gap is not None:
        return [cannot_tell(check, "", look.gap.message)]
    workloads = {facts.workload for facts in look.view.variants}
    if not workloads:
        return [wrong(check, "", "no label, annotation or configuration names a workload's model", _ANNOTATE)]
    models = {(facts.workload.namespace, facts.model_id) for facts in look.view.variants}
    return [ok(check, "", f"{len(workloads)} workloads of {len(models)} models are claimed")]


async def check_claims(look: Look) -> list[Finding]:
    """Judge whether every claim counts: as the cluster shows it, and as the adapter says."""
    check = Check.CLAIM
    findings = [_tell(trouble) for trouble in list_troubles(look) if _is_about_claim(trouble)]
    refused = {trouble.workload for trouble in list_troubles(look) if trouble.is_claim_refused}
    if isinstance(look.decisions, AdapterError) and not isinstance(look.decisions, NotFound):
        right = "list variantdecisions.variant-autoscaler.io -A"
        return findings or [tell_failure(check, "", look.decisions, right=right)]
    for item in look.list_own_decisions():
        workload, accepted = _find_workload(item), get_condition(item, ACCEPTED) or {}
        if workload is not None and workload not in refused and accepted.get("status") == "False":
            message, code = str(accepted.get("message", "")), str(accepted.get("reason", ""))
            findings.append(wrong(check, name(workload), message, "docs/runbook.md, two installations", code))
    return findings or [ok(check, "", "no claim is refused")]


def list_troubles(look: Look) -> tuple[Trouble, ...]:
    """Return what people should know of workloads: as the adapter sees it, where its configuration is known."""
    return look.view.troubles if look.merged is None else look.merged.troubles


def _is_about_claim(trouble: Trouble) -> bool:
    return trouble.reason.code is ReasonCode.CONFLICTING_CLAIM


def _tell(trouble: Trouble) -> Finding:
    code = trouble.reason.code.value
    return wrong(Check.CLAIM, name(trouble.workload), trouble.reason.message, trouble.remedy, code)


def _find_workload(item: Json) -> WorkloadRef | None:
    try:
        return decode_workload(item)
    except (BadDocument, KeyError, TypeError):
        return None
