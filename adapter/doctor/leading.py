"""Points on deciding: whether somebody leads, and whether decisions are there and fresh."""

from __future__ import annotations

from adapter.doctor.asking import attempt, tell_failure
from adapter.doctor.finding import Check, Finding, cannot_tell, ok, wrong
from adapter.doctor.installation import Installation
from adapter.doctor.look import Look
from adapter.errors import AdapterError, BadDocument, NotFound
from adapter.kube.client import Json
from adapter.kube.decisions import HEARTBEAT_NAME
from adapter.kube.decisions import Installation as Claimant
from adapter.kube.decisions.assemble import assemble_models
from adapter.kube.decisions.heartbeat import Heartbeat, decode_heartbeat
from adapter.kube.discovery.objects import to_seconds
from adapter.kube.json_fields import get_object
from adapter.kube.resource import CONFIG_MAPS, LEASES
from optimizer.domain import ModelDecision

PASS_SLACK_S = 15.0
"""The last of three passes may be late by so much before somebody should look [s]: a change of leader takes as long."""

_CRD = "kubectl apply -f manifests/custom-resource-definition.yaml"


async def check_leader(look: Look) -> list[Finding]:
    """Judge whether a replica holds the lease: without one nobody decides."""
    check, place, claimant = Check.LEADER, look.installation, look.claimant
    if isinstance(place, str) or claimant is None:
        return [cannot_tell(check, "", "which installation is ours is not known")]
    if not look.configured.configuration.kubernetes.leader_election.enabled:
        return [ok(check, f"installation {claimant}", "there is no election: the only replica decides")]
    about = f"Lease {claimant}"
    lease = await attempt(look.client.get(LEASES, claimant.namespace, claimant.name))
    if isinstance(lease, NotFound):
        return [wrong(check, about, "no replica ever led: none has started", _find_start(place))]
    if isinstance(lease, AdapterError):
        right = f"get leases.coordination.k8s.io/{claimant.name} -n {claimant.namespace}"
        return [tell_failure(check, about, lease, right=right)]
    return [_judge_lease(look, lease, about, place)]


def _judge_lease(look: Look, lease: Json, about: str, place: Installation) -> Finding:
    spec = get_object(lease, "spec")
    holder, renewed_s = str(spec.get("holderIdentity") or ""), to_seconds(spec.get("renewTime"))
    if not holder or renewed_s is None:
        return wrong(Check.LEADER, about, "nobody leads: the last leader gave the lease up", _find_start(place))
    age_s, lease_s = max(look.now_s - renewed_s, 0.0), float(spec.get("leaseDurationSeconds") or 0.0)
    if age_s > lease_s + 1.0:  # the API server's time is told in whole seconds
        message = f"nobody leads: {holder} renewed its lease {age_s:.0f} s ago, it ran for {lease_s:.0f} s"
        return wrong(Check.LEADER, about, message, _find_start(place))
    return ok(Check.LEADER, about, f"{holder} leads")


def _find_start(place: Installation) -> str:
    pods = f"kubectl -n {place.namespace} get pods" + (f" -l {place.selector}" if place.selector else "")
    return f"{pods}\n{place.logs}"


async def check_decisions(look: Look) -> list[Finding]:
    """Judge whether passes are made, and whether each LLM was decided about of late."""
    check, place, claimant = Check.DECISION_AGE, look.installation, look.claimant
    if isinstance(place, str) or claimant is None:
        return [cannot_tell(check, "", "which installation is ours is not known")]
    if isinstance(look.decisions, NotFound):
        return [wrong(check, "variantdecisions", "the cluster does not know VariantDecisions: nothing is told", _CRD)]
    if isinstance(look.decisions, AdapterError):
        return [tell_failure(check, "", look.decisions, right="list variantdecisions.variant-autoscaler.io -A")]
    about = f"ConfigMap {claimant.namespace}/{HEARTBEAT_NAME}"
    heartbeat = await _fetch_heartbeat(look, claimant)
    if heartbeat is None or isinstance(heartbeat, NotFound):
        return [wrong(check, about, f"installation {claimant} never finished a pass", place.logs)]
    if isinstance(heartbeat, BadDocument):
        return [wrong(check, about, str(heartbeat), place.logs)]
    if isinstance(heartbeat, AdapterError):
        right = f"get configmaps/{HEARTBEAT_NAME} -n {claimant.namespace}"
        return [tell_failure(check, about, heartbeat, right=right)]
    return _judge_ages(look, heartbeat, about, place)


async def _fetch_heartbeat(look: Look, claimant: Claimant) -> Heartbeat | AdapterError | None:
    found = await attempt(look.client.get(CONFIG_MAPS, claimant.namespace, HEARTBEAT_NAME))
    try:
        return found if isinstance(found, AdapterError) else decode_heartbeat(found, claimant.name)
    except BadDocument as problem:
        return problem


def _judge_ages(look: Look, heartbeat: Heartbeat, about: str, place: Installation) -> list[Finding]:
    decision = look.configured.configuration.decision
    age_s = max(look.now_s - heartbeat.last_pass_s, 0.0)
    if age_s > 3 * decision.period_s + PASS_SLACK_S:
        message = f"the last pass ended {age_s:.0f} s ago, one is due every {decision.period_s:g} s"
        return [wrong(Check.DECISION_AGE, about, message, f"{place.logs}\ndocs/runbook.md, stale data")]
    models = assemble_models(look.read_records().values(), heartbeat)
    due_s = decision.stale_after_s + decision.period_s
    old = [_tell_old(look, model) for model in models if look.now_s - model.decided_at_s > due_s]
    told = f"{len(models) - len(old)} of {len(models)} LLMs were decided about within {due_s:.0f} s, the last pass "
    return [ok(Check.DECISION_AGE, about, f"{told}ended {age_s:.0f} s ago"), *old]


def _tell_old(look: Look, model: ModelDecision) -> Finding:
    age_s, limit_s = look.now_s - model.decided_at_s, look.configured.configuration.publishing.max_decision_age_s
    fate = "HPA is told nothing and keeps what it has" if age_s > limit_s else f"it is given out up to {limit_s:.0f} s"
    message = f"the decision is {age_s:.0f} s old, {fate}: {model.reason.message}"
    workloads = sorted({line.workload for line in model.variants})
    remedy = "\n".join(f"kubectl -n {it.namespace} describe {it.kind.lower()} {it.name}" for it in workloads[:1])
    about = f"model {model.key.namespace}/{model.key.model_id}"
    return wrong(Check.DECISION_AGE, about, message, f"{remedy}\ndocs/runbook.md, stale data", model.reason.code.value)
