"""Objects of a cluster for tests: those of `tests/data/cluster`, and small ones made on the spot."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from adapter.cluster import ClusterView
from adapter.kube.discovery.claims import WorkloadClaim
from adapter.kube.discovery.memory import Memory
from adapter.kube.discovery.options import ClusterObjects, DiscoveryOptions
from adapter.kube.discovery.view import build_view
from adapter.kube.wire_times import parse_time_s, render_time

Json = dict[str, Any]

DATA_DIR = Path(__file__).resolve().parents[1] / "data" / "cluster"
NAMESPACE = "prod"
NOW_S = parse_time_s("2026-11-21T05:33:34Z")
PREFIX = "variant-autoscaler.io/"
_FIELDS = {
    "Deployment": "deployments",
    "StatefulSet": "stateful_sets",
    "LeaderWorkerSet": "leader_worker_sets",
    "ReplicaSet": "replica_sets",
    "Pod": "pods",
    "Node": "nodes",
    "ResourceQuota": "resource_quotas",
    "HorizontalPodAutoscaler": "hpas",
    "ScaledObject": "scaled_objects",
    "PodAutoscaler": "pod_autoscalers",
}


def load(name: str) -> Any:
    """Return what the file `name` of the data holds."""
    return copy.deepcopy(_load(name))


def gather(documents: Iterable[Json]) -> ClusterObjects:
    """Return `documents` by kind."""
    listed: dict[str, list[Json]] = {}
    for document in documents:
        listed.setdefault(_FIELDS[document["kind"]], []).append(document)
    fields: dict[str, Any] = {name: tuple(items) for name, items in listed.items()}
    return ClusterObjects(**fields)


def look(
    *documents: Json,
    claims: Iterable[WorkloadClaim] = (),
    options: DiscoveryOptions | None = None,
    memory: Memory | None = None,
    now_s: float = NOW_S,
) -> tuple[ClusterView, Memory]:
    """Return what a cluster of `documents` tells, and what is remembered of it."""
    return build_view(
        gather(documents),
        memory or Memory(),
        claims=claims,
        options=options or DiscoveryOptions(),
        kubernetes_minor=37,
        now_s=now_s,
    )


def make_workload(
    name: str,
    *,
    kind: str = "Deployment",
    namespace: str = NAMESPACE,
    model: str | None = None,
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    replicas: int | None = 1,
    devices: int = 1,
    resource: str = "nvidia.com/gpu",
    node_selector: Mapping[str, str] | None = None,
    created_s: float = NOW_S - 86400.0,
) -> Json:
    """Return a workload of vLLM; `model` becomes our annotation."""
    ours = {} if model is None else {f"{PREFIX}model": model}
    container: Json = {"name": "server", "image": "vllm/vllm-openai:v0.32.0", "ports": [{"containerPort": 8000}]}
    if devices:
        container["resources"] = {"limits": {resource: str(devices)}, "requests": {resource: str(devices)}}
    spec: Json = {"template": {"spec": {"containers": [container], "nodeSelector": dict(node_selector or {})}}}
    if replicas is not None:
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"{kind}-{namespace}-{name}",
            "resourceVersion": "1",
            "creationTimestamp": render_time(created_s),
            "labels": dict(labels or {}),
            "annotations": {**ours, **(annotations or {})},
        },
        "spec": spec,
        "status": {},
    }


def make_pods(
    workload: Json,
    count: int,
    *,
    is_ready: bool = True,
    node: str | None = "node-a",
    waiting_since_s: float | None = None,
    devices: int = 1,
    resource: str = "nvidia.com/gpu",
    first: int = 0,
) -> list[Json]:
    """Return pods of a Deployment's ReplicaSet, or a StatefulSet; with `waiting_since_s` the scheduler has no place."""
    about = workload["metadata"]
    owner = {"kind": workload["kind"], "name": about["name"], "uid": about["uid"], "controller": True}
    labels = {"app": about["name"]}
    if workload["kind"] == "Deployment":
        owner = {"kind": "ReplicaSet", "name": f"{about['name']}-abc", "uid": f"rs-{about['uid']}", "controller": True}
        labels["pod-template-hash"] = "abc"
    conditions = [{"type": "Ready", "status": str(is_ready), "lastTransitionTime": render_time(NOW_S - 3600.0)}]
    if waiting_since_s is not None:
        node = None
        waiting = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes fit."}
        conditions = [{**waiting, "lastTransitionTime": render_time(waiting_since_s)}]
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{about['name']}-{number}",
                "namespace": about["namespace"],
                "uid": f"pod-{about['uid']}-{number}",
                "resourceVersion": "1",
                "creationTimestamp": render_time(NOW_S - 7200.0),
                "labels": dict(labels),
                "ownerReferences": [owner],
            },
            "spec": {
                **({"nodeName": node} if node is not None else {}),
                "containers": [{"name": "server", "resources": {"limits": {resource: str(devices)}}}],
            },
            "status": {
                "phase": "Pending" if node is None else "Running",
                **({} if node is None else {"podIP": f"10.0.0.{number + 1}"}),
                "conditions": list(conditions),
            },
        }
        for number in range(first, first + count)
    ]


def make_node(name: str, devices: int = 8, *, product: str | None = "NVIDIA-H100-80GB-HBM3", **spec: Any) -> Json:
    """Return a node that is ready."""
    labels = {} if product is None else {"nvidia.com/gpu.product": product}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "resourceVersion": "1", "labels": labels},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": "64", "nvidia.com/gpu": str(devices)},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


@cache
def _load(name: str) -> Any:
    return yaml.safe_load((DATA_DIR / f"{name}.yaml").read_text())
