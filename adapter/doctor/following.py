"""Points on followers: whether somebody sets the replicas by our number, reads it, and follows it exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adapter.cluster import Follower, Obstacle, VariantFacts
from adapter.doctor.asking import ask_each
from adapter.doctor.finding import Check, Finding, cannot_tell, ok, wrong
from adapter.doctor.look import Look
from adapter.doctor.naming import name, name_follower
from adapter.doctor.question import NumberQuestion
from adapter.errors import AdapterError, Denied, NotFound
from adapter.external_metrics.wire import GROUP
from adapter.kube.client import Json
from adapter.kube.decisions.record import DecisionRecord
from adapter.kube.followers import FollowingVerdict, ObstacleCode, judge_following
from adapter.kube.followers.recommended import make_metric
from adapter.kube.followers.yaml_lines import render_patch
from optimizer.domain import OverrideMode, WorkloadRef

# Obstacles by the point they belong to; the others keep the number from being followed exactly.
_CHECKS: Mapping[str, Check] = {
    ObstacleCode.NO_AUTOSCALER: Check.FOLLOWER,
    ObstacleCode.READS_OTHER_METRICS: Check.FOLLOWER,
    ObstacleCode.TWO_AUTOSCALERS: Check.FOLLOWER,
    ObstacleCode.SELECTS_ANOTHER: Check.SELECTOR_HITS,
    ObstacleCode.SELECTS_SEVERAL: Check.SELECTOR_HITS,
    ObstacleCode.TOLERANCE_DROPPED: Check.TOLERANCE,
    ObstacleCode.TOLERANCE_ABOVE_ZERO: Check.TOLERANCE,
    ObstacleCode.FURTHER_METRICS: Check.FURTHER_METRICS,
}
_PER_FOLLOWER = (Check.FOLLOWER, Check.TOLERANCE, Check.FURTHER_METRICS, Check.EXACTNESS)
_FORBIDDEN = "forbidden"


async def check_followers(look: Look) -> list[Finding]:
    """Judge, workload by workload, whether its number is followed, and where not, what to change."""
    records, findings = look.read_records(), []
    answers = await _ask_numbers(look)
    for facts in look.view.variants:
        record = records.get(facts.workload)
        followers, verdict = look.view.followers.get(facts.workload, ()), _judge(look, facts, record)
        findings += _tell_obstacles(look, facts.workload, followers, verdict, is_in_shadow(facts, record))
        if any(_CHECKS.get(obstacle.code) is Check.SELECTOR_HITS for obstacle in verdict.obstacles):
            continue  # what the number would be is of no interest then
        for question, answer in answers.items():
            if question.workload == facts.workload:
                findings.append(_judge_answer(look, question, answer, is_in_shadow(facts, record)))
    return findings


def is_in_shadow(facts: VariantFacts, record: DecisionRecord | None) -> bool:
    """Return whether a person wants nothing to act on the number."""
    override = facts.override if record is None else record.decision.override
    return override is not None and override.mode is OverrideMode.SHADOW


def _judge(look: Look, facts: VariantFacts, record: DecisionRecord | None) -> FollowingVerdict:
    """Return what the adapter itself says of its followers; without a decision, of what holds for any number."""
    followers, kubernetes = look.view.followers.get(facts.workload, ()), look.configured.configuration.kubernetes
    entry = look.view.inventory.get(facts.workload)
    requested = None if entry is None else entry.requested_replicas
    planned = _fit(followers, requested) if record is None else record.decision.planned_replicas
    return judge_following(
        planned,
        planned if record is None else requested,
        followers,
        workload=facts.workload,
        kubernetes_minor=look.kubernetes_minor,
        zero_by_patch=kubernetes.patch_zero,
        bridges_tolerance=kubernetes.bridge_tolerance,
        acts_by_scale=look.merged is not None and facts.workload in look.merged.scaled,
        zeroed_by="" if record is None else record.zeroed_by,
    )


def _fit(followers: Sequence[Follower], requested: int | None) -> int:
    """Return a number that the bounds of all followers allow, as far as any does."""
    number = max([requested or 1, *(follower.min_replicas for follower in followers)])
    return min([number, *(it.max_replicas for it in followers if it.max_replicas is not None)])


def _tell_obstacles(
    look: Look, workload: WorkloadRef, followers: Sequence[Follower], verdict: FollowingVerdict, is_shadowed: bool
) -> list[Finding]:
    ours = [follower for follower in followers if follower.reads_our_number]
    about = name_follower(followers[0]) if len(followers) == 1 else name(workload)
    selects_badly = any(_CHECKS.get(obstacle.code) is Check.SELECTOR_HITS for obstacle in verdict.obstacles)
    findings = [
        _tell_silence(look, about, obstacle, selects_badly)
        if obstacle.code == ObstacleCode.CANNOT_READ
        else wrong(_CHECKS.get(obstacle.code, Check.EXACTNESS), about, *_read(obstacle))
        for obstacle in verdict.obstacles
        if not (is_shadowed and obstacle.code == ObstacleCode.CANNOT_READ)
    ]
    if not ours and followers:
        return findings
    if not ours:
        return findings or [ok(Check.FOLLOWER, about, verdict.reason.message)]
    named = {finding.check for finding in findings}
    if verdict.status is None and Check.EXACTNESS not in named:
        findings.append(cannot_tell(Check.EXACTNESS, about, verdict.reason.message, "look again in half a minute"))
        named.add(Check.EXACTNESS)
    return findings + [ok(check, about, _praise(check, ours[0])) for check in _PER_FOLLOWER if check not in named]


def _read(obstacle: Obstacle) -> tuple[str, str, str]:
    return obstacle.message, obstacle.remedy, obstacle.code


def _tell_silence(look: Look, about: str, obstacle: Obstacle, selects_badly: bool) -> Finding:
    """Return what it means that an autoscaler says it cannot read the number: mostly another point is behind it."""
    message, code = obstacle.message, obstacle.code
    if _FORBIDDEN in message:
        return wrong(Check.HPA_RIGHTS, about, message, "see the points on HPA's rights", code)
    if selects_badly:
        return wrong(Check.SELECTOR_HITS, about, message, "see the lines above", code)
    if closed := _find_closed(look):
        return cannot_tell(Check.EXACTNESS, about, f"{closed}; {message}")
    return wrong(Check.EXACTNESS, about, message, obstacle.remedy or "docs/runbook.md, HPA not following", code)


def _praise(check: Check, follower: Follower) -> str:
    if check is Check.TOLERANCE:
        ratio = max(follower.tolerance_up_ratio, follower.tolerance_down_ratio)
        return f"{ratio:g}: no step is lost" + (", or we bridge it" if ratio > 0.0 else "")
    if check is Check.FURTHER_METRICS:
        return "it reads no other metric"
    if check is Check.FOLLOWER:
        highest = "any number" if follower.max_replicas is None else follower.max_replicas
        return f"it reads our number, and sets {follower.min_replicas} to {highest} replicas"
    return "nothing limits or delays a step"


def _find_closed(look: Look) -> str:
    """Return why our API cannot be asked by anybody, "" where it can."""
    if not look.configured.serves_api:
        return ""
    if isinstance(look.api_service, NotFound):
        return "there is no APIService"
    if not isinstance(look.installation, str) and look.api_owner not in ("", look.installation.owner):
        return f"external metrics are served by {look.api_owner}"
    return "the APIService is not available" if look.is_api_available is False else ""


async def _ask_numbers(look: Look) -> dict[NumberQuestion, Json | AdapterError]:
    """Return what the API answers to each HPA's question, asked with the examiner's rights."""

    async def ask(question: NumberQuestion) -> Json:
        query = {"labelSelector": question.selector} if question.selector else None
        return await look.client.request("GET", question.path, query=query)

    answers = await ask_each(ask, look.questions)
    return dict(zip(look.questions, answers, strict=True))


def _judge_answer(look: Look, question: NumberQuestion, answer: Json | AdapterError, is_shadowed: bool) -> Finding:
    check, workload = Check.SELECTOR_HITS, question.workload
    about = f"HorizontalPodAutoscaler {workload.namespace}/{question.autoscaler}"
    if isinstance(answer, Denied):
        remedy = f"you need this right: kubectl auth can-i list {question.metric}.{GROUP} -n {workload.namespace}"
        return cannot_tell(check, about, str(answer), remedy)
    if isinstance(answer, AdapterError):
        if is_shadowed:
            return ok(check, about, "it is in shadow: nobody is told its number, on purpose")
        if closed := _find_closed(look):
            return cannot_tell(check, about, f"{closed}: {answer}")
        return wrong(check, about, str(answer), _render_metric(question) if isinstance(answer, NotFound) else _RUNBOOK)
    items = answer.get("items") or []
    if len(items) != 1:
        message = f"{question.metric} with {question.selector or 'no selector'} gives {len(items)} items, not one"
        return wrong(check, about, message, _render_metric(question))
    labels = items[0].get("metricLabels") or {}
    hit = (labels.get("deployment", workload.name), labels.get("kind", workload.kind))
    if hit != (workload.name, workload.kind):
        return wrong(check, about, f"it reads the number of {hit[1]} {hit[0]}", _render_metric(question))
    return ok(check, about, f"one series, {items[0].get('value')}, of {items[0].get('timestamp')}")


_RUNBOOK = "the message says why; docs/runbook.md, metric missing"


def _render_metric(question: NumberQuestion) -> str:
    """Return the lines of the HPA that select the one series of its workload."""
    workload = question.workload
    wanted = make_metric(workload)
    return render_patch(
        "HorizontalPodAutoscaler", workload.namespace, question.autoscaler, {"spec": {"metrics": [wanted]}}
    )
