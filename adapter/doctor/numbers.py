"""Checks of our number on its way: what is decided, whether HPA may read it, whether it selects exactly one series."""

from __future__ import annotations

from adapter.cluster import Follower, FollowerKind
from adapter.doctor.aggregation import Right, check_right
from adapter.doctor.finding import Finding, cannot_tell, ok, wrong
from adapter.doctor.look import Look, name
from adapter.errors import AdapterError, BadDocument, NotFound, Refused, Unreachable
from adapter.kube.client import Json
from adapter.kube.decisions import HEARTBEAT_NAME
from adapter.kube.decisions.heartbeat import decode_heartbeat
from adapter.kube.resource import CONFIG_MAPS, HORIZONTAL_POD_AUTOSCALERS, VARIANT_DECISIONS
from optimizer.domain import WorkloadRef

_HPA_USER = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
_METRIC_PATH = "/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}"


async def check_hpa_rights(look: Look) -> list[Finding]:
    """Judge whether the HPA controller may list our metric in every namespace that has a follower."""
    remedy = "bind the chart's ClusterRole …-reader to it: rbac.create=true does; old or managed clusters need it"
    findings = []
    for namespace in sorted({workload.namespace for workload in look.view.followers}):
        attributes = {
            "group": "external.metrics.k8s.io",
            "resource": "deployment_replicas",
            "verb": "list",
            "namespace": namespace,
        }
        can = f"list deployment_replicas in {namespace}"
        findings.append(await check_right(look, "HPA's rights", Right(_HPA_USER, can, attributes), remedy))
    return findings


async def check_followers(look: Look) -> list[Finding]:
    """Judge, workload by workload, whether somebody follows our number, exactly, and can read it."""
    findings: list[Finding] = []
    for facts in look.view.variants:
        followers = look.view.followers.get(facts.workload, ())
        if not followers:
            remedy = "apply an HPA as in docs/hpa.md, or let us set replicas: actuation: scale"
            message = "no HPA, ScaledObject or PodAutoscaler reads our number for it"
            findings.append(wrong("follower", name(facts.workload), message, remedy))
        for follower in followers:
            findings += _list_obstacles(facts.workload, follower)
            if follower.kind is FollowerKind.HPA:
                findings.append(await _check_selector(look, facts.workload, follower))
    return findings


def _list_obstacles(workload: WorkloadRef, follower: Follower) -> list[Finding]:
    about = f"{follower.kind.value} {workload.namespace}/{follower.name}"
    if not follower.obstacles:
        return [ok("follows exactly", about, f"within {follower.min_replicas} and {follower.max_replicas}")]
    return [wrong(obstacle.code, about, obstacle.message, obstacle.remedy) for obstacle in follower.obstacles]


async def _check_selector(look: Look, workload: WorkloadRef, follower: Follower) -> Finding:
    """Ask for the number exactly as HPA does."""
    check, about = "selector hits", f"{follower.kind.value} {workload.namespace}/{follower.name}"
    try:
        hpa = await look.client.get(HORIZONTAL_POD_AUTOSCALERS, workload.namespace, follower.name)
        metric, selector = _find_metric(hpa)
        path = _METRIC_PATH.format(namespace=workload.namespace, metric=metric)
        answer = await look.client.request("GET", path, query={"labelSelector": selector} if selector else None)
    except (Unreachable, NotFound, Refused) as failure:
        return wrong(check, about, str(failure), "the message says why; docs/runbook.md, metric missing")
    items = answer.get("items") or []
    if len(items) == 1:
        return ok(check, about, f"{metric} is {items[0].get('value')}")
    return wrong(
        check, about, f"{metric} gives {len(items)} items, which HPA adds up", "select one by label deployment"
    )


def _find_metric(hpa: Json) -> tuple[str, str]:
    """Return name and selector of our metric on `hpa`."""
    for entry in (hpa.get("spec") or {}).get("metrics") or []:
        metric = (entry.get("external") or {}).get("metric") or {}
        if str(metric.get("name", "")).startswith("deployment_replicas"):
            labels = (metric.get("selector") or {}).get("matchLabels") or {}
            return str(metric["name"]), ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    raise NotFound("it has no metric deployment_replicas any more")


async def check_decisions(look: Look) -> list[Finding]:
    """Judge whether decisions are there and fresh."""
    check = "decision age"
    if look.installation is None:
        return [cannot_tell(check, "", "which installation is ours is not known")]
    about, logs = f"ConfigMap {look.installation.namespace}/{HEARTBEAT_NAME}", "kubectl logs the adapter's pods"
    try:
        decisions = (await look.client.list(VARIANT_DECISIONS)).get("items") or []
        config_map = await look.client.get(CONFIG_MAPS, look.installation.namespace, HEARTBEAT_NAME)
        heartbeat = decode_heartbeat(config_map, look.installation.service)
    except (NotFound, BadDocument) as failure:
        return [wrong(check, about, f"nothing was decided yet: {failure}", logs)]
    except AdapterError as failure:
        return [cannot_tell(check, about, str(failure))]
    if heartbeat is None:
        return [wrong(check, about, f"it holds nothing of {look.installation.service}", logs)]
    age_s = look.now_s - heartbeat.last_pass_s
    if age_s > look.max_decision_age_s:
        message = f"the last pass was {age_s:.0f} s ago: nobody leads, or passes fail"
        return [wrong(check, about, message, f"{logs}; docs/runbook.md, stale data")]
    told = f"{len(decisions)} decisions, the last pass {age_s:.0f} s ago by {heartbeat.holder}"
    stale = [
        wrong(check, f"{key.namespace}/{key.model_id}", "held without fresh data", "docs/runbook.md, stale data")
        for key in heartbeat.stale
    ]
    return [ok(check, about, told), *stale]
