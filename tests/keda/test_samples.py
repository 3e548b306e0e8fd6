"""Our samples, taken strictly: by a real API server with the definitions of others, and by the source of others."""

from __future__ import annotations

import re

import pytest

from adapter.errors import Refused
from adapter.kube.client import Json
from adapter.kube.mapper import ResourceMapper
from tests.control_plane.cluster import Cluster
from tests.keda.build import KedaPrograms
from tests.keda.conftest import FetchModule
from tests.keda.definitions import define, load, load_kustomized
from tests.keda.go_fields import find_faults, parse_structs
from tests.keda.modules import AIBRIX, LEADER_WORKER_SET, PROMETHEUS_ADAPTER
from tests.keda.samples import load_samples, read_rule

PLAIN = ("deployments-vllm.yaml", "deployments-sglang.yaml", "hpa.yaml", "hpa-to-zero.yaml")
AFTER_0_7_0 = ("spec.observeWindowSeconds", "spec.panicWindowSeconds")
"""Fields of a PodAutoscaler that no released definition has yet."""


async def try_out(cluster: Cluster, name: str, namespace: str, *, strictly: bool = True) -> list[Json]:
    """Return what the API server would make of a sample; nothing is kept."""
    mapper = ResourceMapper(cluster.client)
    query = {"dryRun": "All", "fieldValidation": "Strict" if strictly else "Ignore"}
    taken = []
    for body in load_samples(name, namespace):
        resource = await mapper.find(body["apiVersion"], body["kind"])
        path = resource.get_path(namespace)
        taken.append(await cluster.client.request("POST", path, query=query, body=body))
    return taken


async def test_scaled_objects_are_taken_by_the_definition_of_keda(
    cluster: Cluster, keda_programs: KedaPrograms
) -> None:
    await define(cluster, load_kustomized(keda_programs.config / "crd"))
    namespace = await cluster.create_namespace("chat")
    for name in ("keda-metrics-api.yaml", "keda-prometheus.yaml"):
        (taken,) = await try_out(cluster, name, namespace)
        behavior = taken["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        assert [behavior[way]["tolerance"] for way in ("scaleUp", "scaleDown")] == [0, 0]


async def test_what_kubernetes_itself_defines_is_taken(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace("chat")
    for name in PLAIN:
        if name == "hpa-to-zero.yaml" and not cluster.control_plane.version.takes_zero:
            continue
        assert await try_out(cluster, name, namespace)


async def test_a_leader_worker_set_is_taken_by_its_definition(cluster: Cluster, fetch: FetchModule) -> None:
    folder = fetch(LEADER_WORKER_SET) / "config" / "crd" / "bases"
    await define(cluster, load(folder / "leaderworkerset.x-k8s.io_leaderworkersets.yaml"))
    namespace = await cluster.create_namespace("chat")
    workload, autoscaler = await try_out(cluster, "leaderworkerset.yaml", namespace)
    assert workload["spec"]["leaderWorkerTemplate"]["size"] == 2
    assert autoscaler["spec"]["scaleTargetRef"]["kind"] == workload["kind"]


@pytest.fixture
async def aibrix(cluster: Cluster, fetch: FetchModule) -> str:
    """A namespace where PodAutoscalers of AIBrix 0.7.0 are known."""
    folder = fetch(AIBRIX) / "config" / "crd" / "autoscaling"
    await define(cluster, load(folder / "autoscaling.aibrix.ai_podautoscalers.yaml"))
    return await cluster.create_namespace("chat")


async def test_the_older_pod_autoscaler_is_taken_by_its_definition(cluster: Cluster, aibrix: str) -> None:
    (taken,) = await try_out(cluster, "podautoscaler-v0.4.yaml", aibrix)
    assert taken["spec"]["metricsSources"][0]["metricSourceType"] == "domain"


async def test_the_newer_pod_autoscaler_is_taken_but_for_fields_that_its_definition_got_later(
    cluster: Cluster, aibrix: str
) -> None:
    with pytest.raises(Refused) as refusal:
        await try_out(cluster, "podautoscaler.yaml", aibrix)
    assert re.findall(r'unknown field "([\w.]+)"', str(refusal.value)) == list(AFTER_0_7_0)
    (taken,) = await try_out(cluster, "podautoscaler.yaml", aibrix, strictly=False)
    assert taken["spec"]["metricsSources"][0]["metricSourceType"] == "external"


def test_the_rule_of_prometheus_adapter_has_fields_it_reads_and_asks_for_what_it_fills_in(fetch: FetchModule) -> None:
    source = fetch(PROMETHEUS_ADAPTER) / "pkg"
    structs = parse_structs((source / "config" / "config.go").read_text(encoding="utf-8"))
    assert {"MetricsDiscoveryConfig", "DiscoveryRule", "ResourceMapping", "GroupResource"} <= set(structs)
    document = read_rule()
    assert list(find_faults(document, "MetricsDiscoveryConfig", structs)) == []

    query = (source / "naming" / "metrics_query.go").read_text(encoding="utf-8")
    (arguments,) = re.findall(r"^type queryTemplateArgs struct \{\n(.*?)^\}", query, re.MULTILINE | re.DOTALL)
    (rule,) = document["externalRules"]
    asked = re.findall(r"<<\.(\w+)>>", rule["metricsQuery"])
    assert asked
    assert set(asked) <= {line.split()[0] for line in arguments.splitlines()}


def test_what_prometheus_adapter_would_refuse_is_found(fetch: FetchModule) -> None:
    source = fetch(PROMETHEUS_ADAPTER) / "pkg" / "config" / "config.go"
    structs = parse_structs(source.read_text(encoding="utf-8"))
    wrong = {
        "externalRules": [{"seriesQuery": 1, "metricQuery": "x", "resources": {"overrides": {"a": {"name": "b"}}}}]
    }
    assert list(find_faults(wrong, "MetricsDiscoveryConfig", structs)) == [
        ".externalRules[0].seriesQuery must be string, got 1",
        ".externalRules[0].metricQuery is no field of DiscoveryRule",
        ".externalRules[0].resources.overrides.a.name is no field of GroupResource",
    ]
