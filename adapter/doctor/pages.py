"""Points on the pods' pages, fetched by way of the API server, so that they can be judged from anywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from adapter.cluster import VariantFacts
from adapter.collector.read_page import read_page
from adapter.doctor.asking import ask_each, tell_failure
from adapter.doctor.finding import Check, Finding, cannot_tell, ok, wrong
from adapter.doctor.look import Look
from adapter.doctor.naming import kubectl, name
from adapter.errors import AdapterError, BadDocument, NotFound, Refused
from adapter.inventory import PodEntry
from adapter.kube.decisions.record import DecisionRecord
from adapter.kube.resource import PODS
from optimizer import compute_quantile
from optimizer.domain import ConditionType, Histogram, PodPhase, PodReading

LONGEST_REQUEST_PERCENTILE = 99.0
_USUAL_PORT = 80


@dataclass(frozen=True, slots=True)
class _Page:
    """One pod's page: where it is, and what serves it."""

    facts: VariantFacts
    pod: PodEntry
    engine: str
    path: str

    @property
    def port(self) -> int:
        """Where the pod listens."""
        return urlsplit(self.pod.url).port or _USUAL_PORT

    @property
    def about(self) -> str:
        """How the pod is called in findings."""
        return f"Pod {self.pod.pod.namespace}/{self.pod.pod.name}"


async def check_pages(look: Look) -> list[Finding]:
    """Judge whether every ready pod has a page that can be read, and whether requests may end before pods do."""

    async def ask(page: _Page) -> tuple[PodReading, ...]:
        namespace, pod = page.pod.pod.namespace, page.pod.pod.name
        body = await look.client.fetch_text(PODS.get_path(namespace, f"{pod}:{page.port}", "proxy") + page.path)
        return read_page(body, page.engine, page.pod.pod, look.now_s)

    pages = [page for facts in look.view.variants for page in _list_pages(look, facts)]
    answers = dict(zip(pages, await ask_each(ask, pages), strict=True))
    records, findings = look.read_records(), []
    for facts in look.view.variants:
        own = {page: answer for page, answer in answers.items() if page.facts is facts}
        record = records.get(facts.workload)
        findings += [_judge_page(look, page, answer, record) for page, answer in own.items()]
        if not own:
            findings.append(cannot_tell(Check.ENGINE_PAGE, name(facts.workload), "no pod of it is ready"))
        read = [reading for answer in own.values() if not isinstance(answer, AdapterError) for reading in answer]
        findings.append(_judge_grace(facts, find_longest_s(read)))
    return findings


def _list_pages(look: Look, facts: VariantFacts) -> list[_Page]:
    """Return the pages of the ready pods of a workload."""
    entry, found = look.view.inventory.get(facts.workload), look.find_variant(facts.workload)
    variant = None if found is None else found[1]
    engine = (facts.engine or "vllm") if variant is None else variant.engine.value
    path = (facts.metrics_path or "/metrics") if variant is None else variant.metrics_path
    pods = () if entry is None else entry.pods
    return [_Page(facts, pod, engine, path) for pod in pods if pod.phase is PodPhase.READY and pod.url]


def _judge_page(
    look: Look, page: _Page, answer: tuple[PodReading, ...] | AdapterError, record: DecisionRecord | None
) -> Finding:
    check, workload = Check.ENGINE_PAGE, page.facts.workload
    if not isinstance(answer, AdapterError):
        return ok(check, page.about, f"{page.engine} page with {len(answer)} model(s)")
    if isinstance(answer, BadDocument):
        remedy = (
            f"vLLM must run without --disable-log-stats, SGLang with --enable-metrics; if it is another engine: "
            f"{kubectl(workload, 'annotate', 'variant-autoscaler.io/engine=sglang')}"
        )
        return wrong(check, page.about, f"port {page.port}, {page.path}: {answer}", remedy)
    if isinstance(answer, Refused):  # by the API server, not by the pod; Denied among it
        message = _tell_fresh(look, page, record) or str(answer)
        return tell_failure(check, page.about, answer, right=f"get pods/proxy -n {workload.namespace}", message=message)
    if isinstance(answer, NotFound) and f'pods "{page.pod.pod.name}' in str(answer):
        return cannot_tell(check, page.about, "the pod ended meanwhile")
    if fresh := _tell_fresh(look, page, record):
        return cannot_tell(check, page.about, f"the API server cannot reach it, but {fresh}")
    remedy = (
        f"is {page.port}{page.path} where it serves metrics, and may the adapter reach it (NetworkPolicy)?\n"
        f"{kubectl(workload, 'annotate', 'variant-autoscaler.io/port=PORT variant-autoscaler.io/metrics-path=PATH')}"
    )
    return wrong(check, page.about, str(answer), remedy)


def _tell_fresh(look: Look, page: _Page, record: DecisionRecord | None) -> str:
    """Return that the adapter itself reads the pages of this LLM, "" where it does not say so."""
    found = look.find_variant(page.facts.workload)
    if record is None or found is None or found[0].gateway is not None:
        return ""  # with a gateway, fresh data may come from there
    is_fresh = any(it.type is ConditionType.FRESH and it.status is True for it in record.conditions)
    return "the adapter reads the pages of this LLM: condition Fresh is True" if is_fresh else ""


def find_longest_s(readings: Sequence[PodReading]) -> float | None:
    """Return the time from arrival to last token that few requests exceed [s], on the pod where it is longest.

    None where no page tells it, or too few requests have ended; ``math.inf`` where it is beyond the last bucket.
    """
    histograms = [reading.histograms[Histogram.TTLT] for reading in readings if Histogram.TTLT in reading.histograms]
    quantiles_s = [compute_quantile(it, LONGEST_REQUEST_PERCENTILE / 100.0).value for it in histograms]
    return max((value for value in quantiles_s if value is not None), default=None)


def _judge_grace(facts: VariantFacts, longest_s: float | None) -> Finding:
    """Judge whether requests under way may end before a pod is killed."""
    check, about, grace_s = Check.GRACE, name(facts.workload), facts.termination_grace_s
    if longest_s is None:
        message = f"{grace_s:.0f} s; how long requests take is on no page, or too few have ended"
        return cannot_tell(check, about, message)
    told = f"p{LONGEST_REQUEST_PERCENTILE:g} of requests takes {longest_s:.1f} s"
    if longest_s <= grace_s:
        return ok(check, about, f"{grace_s:.0f} s; {told}")
    wanted = "3600" if math.isinf(longest_s) else f"{math.ceil(longest_s * 1.5 / 10) * 10}"
    remedy = (
        f"# {about}\nspec:\n  template:\n    spec:\n      terminationGracePeriodSeconds: {wanted}"
        "   # and more by the seconds of a preStop hook"
    )
    return wrong(check, about, f"terminationGracePeriodSeconds is {grace_s:.0f} s, but {told}: steps down cut", remedy)
