"""Checks of the engines' pages, read through the API server, so that they can be judged from anywhere."""

from __future__ import annotations

from urllib.parse import urlsplit

from adapter.cluster import VariantFacts
from adapter.collector.read_page import read_page
from adapter.doctor.finding import Finding, cannot_tell, ok, wrong
from adapter.doctor.look import Look, name
from adapter.doctor.workloads import check_grace
from adapter.errors import AdapterError, BadDocument, Refused
from adapter.inventory import PodEntry
from adapter.kube.resource import PODS
from optimizer import compute_quantile
from optimizer.domain import Histogram, PodPhase, PodReading

LONGEST_REQUEST_PERCENTILE = 99.0


async def check_pages(look: Look) -> list[Finding]:
    """Judge whether every ready pod has a page that can be read, and whether requests may end before pods do."""
    findings = []
    for facts in look.view.variants:
        entry = look.view.inventory.get(facts.workload)
        pods = [pod for pod in entry.pods if pod.phase is PodPhase.READY] if entry is not None else []
        longest_s: list[float] = []
        for pod in pods:
            finding, readings = await _check_page(look, facts, pod)
            findings.append(finding)
            longest_s += [value for reading in readings if (value := _find_longest_s(reading)) is not None]
        findings.append(check_grace(facts, max(longest_s, default=None), LONGEST_REQUEST_PERCENTILE))
    return findings


async def _check_page(look: Look, facts: VariantFacts, pod: PodEntry) -> tuple[Finding, tuple[PodReading, ...]]:
    check, about = "engine page", f"Pod {pod.pod.namespace}/{pod.pod.name} of {name(facts.workload)}"
    port, engine = urlsplit(pod.url).port or 80, facts.engine or "vllm"
    path = PODS.get_path(pod.pod.namespace, f"{pod.pod.name}:{port}", "proxy") + (facts.metrics_path or "/metrics")
    try:
        body = await look.client.fetch_text(path)
        readings = read_page(body, engine, pod.pod, look.now_s)
    except Refused as failure:  # Denied among it
        return cannot_tell(check, about, str(failure), "the API server hands on pages to who may get pods/proxy"), ()
    except BadDocument as problem:
        remedy = "is variant-autoscaler.io/engine right? vLLM: no --disable-log-stats; SGLang: --enable-metrics"
        return wrong(check, about, str(problem), remedy), ()
    except AdapterError as failure:
        return wrong(
            check, about, str(failure), "is variant-autoscaler.io/port right? Does a NetworkPolicy forbid it?"
        ), ()
    return ok(check, about, f"{engine} page with {len(readings)} model(s)"), readings


def _find_longest_s(reading: PodReading) -> float | None:
    """Return the time from arrival to last token that few requests exceed [s], None where the page does not tell."""
    histogram = reading.histograms.get(Histogram.TTLT)
    return None if histogram is None else compute_quantile(histogram, LONGEST_REQUEST_PERCENTILE / 100.0).value
