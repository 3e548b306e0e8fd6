"""Points on the workloads themselves, out of what was read of them."""

from __future__ import annotations

from adapter.cluster import Trouble, VariantFacts
from adapter.doctor.asking import attempt
from adapter.doctor.claims import list_troubles
from adapter.doctor.finding import Check, Finding, cannot_tell, ok, wrong
from adapter.doctor.look import Look
from adapter.doctor.naming import kubectl, name
from adapter.errors import AdapterError
from adapter.kube.discovery.field_owner import KUBECTL_APPLY
from adapter.kube.discovery.serving import find_container_name
from adapter.kube.mapper import ResourceMapper
from optimizer.domain import ReasonCode

_SLEEP_ACTION_MINOR = 30
"""Kubernetes 1.30 knows the action sleep without a feature gate."""

_SPLIT = frozenset({"LeaderWorkerSet"})


async def check_workloads(look: Look) -> list[Finding]:
    """Return what is to be said of every workload that is claimed, and of every trouble with one."""
    findings, explained = [], list[Trouble]()
    for facts in look.view.variants:
        gap = _find_gap(look, facts)
        if gap is not None:
            explained.append(gap)
        findings += [_judge_accelerator(look, facts, gap), await _judge_pre_stop(look, facts)]
        findings.append(_judge_replicas_owner(facts))
    for trouble in list_troubles(look):
        if trouble not in explained and trouble.reason.code is not ReasonCode.CONFLICTING_CLAIM:
            code = trouble.reason.code.value
            remedy = trouble.remedy or kubectl(trouble.workload, "describe")
            findings.append(wrong(Check.WORKLOAD, name(trouble.workload), trouble.reason.message, remedy, code))
    return findings


def _find_gap(look: Look, facts: VariantFacts) -> Trouble | None:
    """Return what joining says of an accelerator type or a price that is missing: the first thing it looks for."""
    incomplete = (it for it in list_troubles(look) if it.reason.code is ReasonCode.INCOMPLETE)
    first = next((trouble for trouble in incomplete if trouble.workload == facts.workload), None)
    return first if first is not None and "accelerator" in first.reason.message else None


def _judge_accelerator(look: Look, facts: VariantFacts, gap: Trouble | None) -> Finding:
    check, about = Check.ACCELERATOR, name(facts.workload)
    found = look.find_variant(facts.workload)
    accelerator = facts.accelerator or (found[1].accelerator if found is not None else "")
    command = kubectl(facts.workload, "annotate", "variant-autoscaler.io/accelerator=H100")
    if not accelerator and not look.configured.is_known:
        return cannot_tell(check, about, "only the configuration can tell it, which is not known", command)
    if not accelerator:
        message = "no annotation, node selector, affinity or node tells the type, so nothing tells price and limits"
        return wrong(check, about, message, command)
    if gap is not None:
        return wrong(check, about, gap.reason.message, gap.remedy, gap.reason.code.value)
    devices = f" × {facts.accelerators_per_replica}" if facts.accelerators_per_replica else ""
    return ok(check, about, f"{accelerator}{devices}")


async def _judge_pre_stop(look: Look, facts: VariantFacts) -> Finding:
    check, about = Check.PRE_STOP, name(facts.workload)
    if facts.has_pre_stop:
        return ok(check, about, "the serving container waits before it stops, so that routers look elsewhere first")
    message = "without one a pod stops while routers still send to it: requests fail at each step down"
    return wrong(check, about, message, await _render_pre_stop(look, facts))


async def _render_pre_stop(look: Look, facts: VariantFacts) -> str:
    """Return the lines that make the serving container wait."""
    container = await _fetch_container_name(look, facts) or "CONTAINER"
    hook = "{sleep: {seconds: 10}}"
    if 0 < look.kubernetes_minor < _SLEEP_ACTION_MINOR:
        hook = '{exec: {command: [sleep, "10"]}}'
    lines = f"containers:\n- name: {container}\n  lifecycle: {{preStop: {hook}}}"
    path = ["spec", "template", "spec"]
    if facts.workload.kind in _SPLIT:
        path = ["spec", "leaderWorkerTemplate", "workerTemplate", "spec"]
    rendered = [f"{'  ' * depth}{key}:" for depth, key in enumerate(path)]
    rendered += [f"{'  ' * len(path)}{line}" for line in lines.splitlines()]
    return "\n".join([f"# {name(facts.workload)}", *rendered])


async def _fetch_container_name(look: Look, facts: VariantFacts) -> str:
    """Return the name of the serving container, "" where the workload cannot be read."""
    workload = facts.workload
    resource = await attempt(ResourceMapper(look.client).find(workload.api_version, workload.kind))
    if isinstance(resource, AdapterError):
        return ""
    found = await attempt(look.client.get(resource, workload.namespace, workload.name))
    return "" if isinstance(found, AdapterError) else find_container_name(found)


def _judge_replicas_owner(facts: VariantFacts) -> Finding:
    check, about = Check.REPLICAS_OWNER, name(facts.workload)
    if not facts.replicas_owner:
        return ok(check, about, "nobody but scalers sets it")
    message = f"{facts.replicas_owner} sets spec.replicas too: each apply undoes the last step"
    return wrong(check, about, message, _tell_release(facts))


def _tell_release(facts: VariantFacts) -> str:
    """Return how the owner of ``spec.replicas`` lets it go."""
    workload, owner = facts.workload, facts.replicas_owner
    group = workload.api_version.rpartition("/")[0]
    if owner.startswith("argocd"):
        return (
            "# Application of Argo CD\n"
            "spec:\n"
            "  ignoreDifferences:\n"
            f"  - {{group: {group}, kind: {workload.kind}, name: {workload.name}, namespace: {workload.namespace}, "
            "jsonPointers: [/spec/replicas]}\n"
            "  syncPolicy: {syncOptions: [RespectIgnoreDifferences=true]}"
        )
    if owner == KUBECTL_APPLY:
        place = f"{workload.kind.lower()}/{workload.name} -n {workload.namespace}"
        return (
            f"kubectl apply edit-last-applied {place}   # take out spec.replicas: else the next apply sets it to 1\n"
            "then take `replicas` out of the manifest"
        )
    return f"take `replicas` out of what {owner} applies (a chart: leave the line out where autoscaling is on)"
