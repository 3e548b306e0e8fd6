"""The samples are objects the program understands, and that follow its number with nothing in their way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from adapter.cluster import ClusterView
from adapter.kube.discovery.memory import Memory
from adapter.kube.discovery.options import ClusterObjects, DiscoveryOptions
from adapter.kube.discovery.view import build_view
from adapter.pages.replica_page import METRIC_NAME
from optimizer.domain import WorkloadRef
from tests.deploy.chart import CHART, NAMESPACE, RELEASE, ROOT, Json

SAMPLES = ROOT / "manifests" / "samples"
ACCELERATORS = tuple(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["config"]["accelerators"])
FIELDS = {
    "Deployment": "deployments",
    "LeaderWorkerSet": "leader_worker_sets",
    "HorizontalPodAutoscaler": "hpas",
    "ScaledObject": "scaled_objects",
    "PodAutoscaler": "pod_autoscalers",
}
FOLLOWERS = {
    "hpa.yaml": "llama-8b-l40s",
    "hpa-to-zero.yaml": "llama-8b-h100",
    "keda-metrics-api.yaml": "llama-8b-l40s",
    "keda-prometheus.yaml": "llama-8b-l40s",
    "podautoscaler.yaml": "llama-8b-l40s",
    "podautoscaler-v0.4.yaml": "llama-8b-l40s",
    "leaderworkerset.yaml": "llama-405b-h100",
}
WORKLOADS = ("deployments-vllm.yaml", "deployments-sglang.yaml", "leaderworkerset.yaml")


def _load(*names: str) -> list[Json]:
    documents: list[Json] = []
    for name in names:
        documents += yaml.safe_load_all((SAMPLES / name).read_text(encoding="utf-8"))
    return documents


def _view(*names: str) -> ClusterView:
    """Return what the program makes of a cluster that holds these samples."""
    found: dict[str, list[Json]] = {field: [] for field in FIELDS.values()}
    for i, document in enumerate(_load(*names)):
        if document["kind"] in FIELDS:
            metadata = {**document["metadata"], "uid": str(i), "creationTimestamp": "2026-01-01T00:00:00Z"}
            found[FIELDS[document["kind"]]].append({**document, "metadata": metadata})
    present: dict[str, Any] = {field: tuple(documents) for field, documents in found.items()}
    objects = ClusterObjects(**present)
    options = DiscoveryOptions(accelerators=ACCELERATORS)
    view, _ = build_view(objects, Memory(), claims=(), options=options, kubernetes_minor=37, now_s=1.8e9)
    return view


def test_every_sample_is_looked_at_here() -> None:
    known = {*FOLLOWERS, *WORKLOADS, "prometheus-adapter-rule.yaml"}
    assert {path.name for path in SAMPLES.iterdir()} == known


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.iterdir()))
def test_a_sample_begins_by_saying_what_it_is_for(name: str) -> None:
    assert (SAMPLES / name).read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("name", FOLLOWERS)
def test_nothing_keeps_the_number_from_being_followed(name: str) -> None:
    view = _view(name, *[other for other in WORKLOADS if other != name])
    (workload,) = [variant.workload for variant in view.variants if variant.workload.name == FOLLOWERS[name]]
    (follower,) = view.followers[workload]
    assert follower.reads_our_number
    assert [(obstacle.code, obstacle.message) for obstacle in follower.obstacles] == []


def test_workloads_tell_everything_that_a_variant_needs() -> None:
    view = _view(*WORKLOADS)
    assert view.troubles == ()
    told = {
        variant.workload.name: (
            variant.model_id,
            variant.accelerator,
            variant.accelerators_per_replica,
            variant.engine,
            variant.metrics_port,
        )
        for variant in view.variants
    }
    small, large, giant = (
        f"meta-llama/{name}" for name in ("Llama-3.1-8B-Instruct", "Llama-3.3-70B-Instruct", "Llama-3.1-405B-Instruct")
    )
    assert told == {
        "llama-8b-l40s": (small, "L40S", 1, "vllm", 8000),
        "llama-8b-h100": (small, "H100", 1, "vllm", 8000),
        "llama-70b-a100": (large, "A100", 4, "sglang", 30000),
        "llama-70b-h100": (large, "H100", 4, "sglang", 30000),
        "llama-405b-h100": (giant, "H100", 16, "sglang", 30000),
    }


def test_workloads_end_gently_and_leave_their_replicas_to_others() -> None:
    for variant in _view(*WORKLOADS).variants:
        assert variant.has_pre_stop
        assert variant.termination_grace_s >= 120
        assert variant.startup_s is not None
    for document in _load(*WORKLOADS):
        assert "replicas" not in document["spec"]


def test_a_service_reaches_the_pods_of_all_variants() -> None:
    for name in ("deployments-vllm.yaml", "deployments-sglang.yaml"):
        documents = _load(name)
        (service,) = [document for document in documents if document["kind"] == "Service"]
        pods = [document["spec"]["template"] for document in documents if document["kind"] == "Deployment"]
        assert len(pods) == 2
        for document, pod in zip(documents, pods, strict=False):
            labels, ports = pod["metadata"]["labels"], pod["spec"]["containers"][0]["ports"]
            assert service["spec"]["selector"].items() <= labels.items()
            assert service["spec"]["ports"][0]["targetPort"] in {port["name"] for port in ports}
            assert document["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_keda_asks_a_page_that_exists() -> None:
    (scaled,) = _load("keda-metrics-api.yaml")
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["valueLocation"] == METRIC_NAME
    assert trigger["metadata"]["format"] == "prometheus"
    _check_address(trigger["metadata"]["url"], scaled)


def test_the_old_podautoscaler_asks_a_page_that_exists() -> None:
    (old,) = _load("podautoscaler-v0.4.yaml")
    (source,) = old["spec"]["metricsSources"]
    assert source["targetMetric"] == METRIC_NAME
    _check_address(f"{source['protocolType']}://{source['endpoint']}{source['path']}", old)


def _check_address(url: str, follower: Json) -> None:
    service = yaml.safe_load((ROOT / "manifests" / "service.yaml").read_text(encoding="utf-8"))
    (port,) = [port["port"] for port in service["spec"]["ports"] if port["name"] == "pages"]
    parts = urlsplit(url)
    assert parts.scheme == "http"
    assert parts.netloc == f"{RELEASE}.{NAMESPACE}.svc.cluster.local:{port}"
    target = WorkloadRef(follower["metadata"]["namespace"], follower["spec"]["scaleTargetRef"]["name"])
    assert parts.path == f"/metrics/{target.namespace}/{target.name}"


@pytest.mark.parametrize("name", ["keda-metrics-api.yaml", "keda-prometheus.yaml"])
def test_keda_holds_the_present_count_when_we_are_away(name: str) -> None:
    (scaled,) = _load(name)
    fallback = scaled["spec"]["fallback"]
    assert fallback["behavior"] == "currentReplicasIfHigher"
    # With 0 replicas KEDA puts a workload without active trigger to zero, though the trigger failed.
    assert fallback["replicas"] == 1
    for trigger in scaled["spec"]["triggers"]:
        assert trigger["metricType"] == "AverageValue"  # the fallback needs it
        assert trigger["type"] != "prometheus" or trigger["metadata"]["ignoreNullValues"] == "false"


def test_the_rule_of_prometheus_adapter_has_the_documented_form() -> None:
    ((rules),) = _load("prometheus-adapter-rule.yaml")
    assert set(rules) == {"externalRules"}
    (rule,) = rules["externalRules"]
    assert set(rule) == {"seriesQuery", "resources", "metricsQuery"}
    assert rule["resources"] == {"overrides": {"namespace": {"resource": "namespace"}}}
    series = re.match(r"(\w+)\{(.*)\}", rule["seriesQuery"])
    assert series is not None
    metric, matchers = series.groups()
    assert metric == "deployment_replicas"
    assert {matcher.partition("!=")[0] for matcher in matchers.split(",")} == {"namespace", "deployment"}
    assert f"{metric}{{<<.LabelMatchers>>}}" in rule["metricsQuery"]
    assert rule["metricsQuery"].startswith("max by (deployment)")


def test_bounds_and_policies_of_followers_agree() -> None:
    for document in _load("hpa.yaml", "hpa-to-zero.yaml", "leaderworkerset.yaml"):
        if document["kind"] == "HorizontalPodAutoscaler":
            (policy,) = document["spec"]["behavior"]["scaleUp"]["policies"]
            assert policy["value"] == document["spec"]["maxReplicas"]


def test_samples_are_no_part_of_the_installation() -> None:
    kustomization: dict[str, Any] = yaml.safe_load(Path(SAMPLES.parent, "kustomization.yaml").read_text("utf-8"))
    assert not [name for name in kustomization["resources"] if "samples" in name]
