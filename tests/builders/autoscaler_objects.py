"""Autoscalers as the Kubernetes API sends them, for tests, and what becomes of them when a remedy is applied."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import yaml

from optimizer.domain import WorkloadRef

Json = dict[str, Any]
LLAMA = WorkloadRef("prod", "llama-70b")
METRIC = "deployment_replicas"


def make_metric(
    *, name: str = METRIC, labels: Mapping[str, str] | None = None, target: Mapping[str, str] | None = None
) -> Json:
    """Return an External metric that reads our number of `LLAMA`, unless told otherwise."""
    selected = {"deployment": LLAMA.name} if labels is None else dict(labels)
    return {
        "type": "External",
        "external": {
            "metric": {"name": name, "selector": {"matchLabels": selected}},
            "target": dict(target or {"type": "AverageValue", "averageValue": "1"}),
        },
    }


def make_rules(**changes: Any) -> Json:
    """Return one direction of a behavior without damping; a change to None leaves the field out."""
    rules: Json = {
        "tolerance": "0",
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [{"type": "Pods", "value": 32, "periodSeconds": 15}],
        **changes,
    }
    return {key: value for key, value in rules.items() if value is not None}


def make_hpa(
    *,
    name: str = "llama-70b",
    target: WorkloadRef = LLAMA,
    min_replicas: int | None = 1,
    max_replicas: int = 32,
    metrics: list[Json] | None = None,
    up: Json | None = None,
    down: Json | None = None,
    behavior: Json | str | None = "as given",
    conditions: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    owner: tuple[str, str] | None = None,
) -> Json:
    """Return a HorizontalPodAutoscaler that follows our number exactly, unless told otherwise.

    `behavior` None leaves it out; `conditions` maps types to ``True`` or ``False``, or to a reason and message
    separated by a colon, which means False.
    """
    percent = [{"type": "Percent", "value": 100, "periodSeconds": 15}]
    spec: Json = {
        "scaleTargetRef": {"apiVersion": target.api_version, "kind": target.kind, "name": target.name},
        "minReplicas": min_replicas,
        "maxReplicas": max_replicas,
        "metrics": [make_metric(labels={"deployment": target.name})] if metrics is None else metrics,
        "behavior": {
            "scaleUp": make_rules() if up is None else up,
            "scaleDown": make_rules(policies=percent) if down is None else down,
        },
    }
    if not isinstance(behavior, str):
        spec["behavior"] = behavior
    metadata: Json = {"name": name, "namespace": target.namespace, "annotations": dict(annotations or {})}
    if owner is not None:
        metadata["ownerReferences"] = [{"kind": owner[0], "name": owner[1], "controller": True}]
    given = {"ScalingActive": "True", "AbleToScale": "True"} if conditions is None else conditions
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata,
        "spec": {key: value for key, value in spec.items() if value is not None},
        "status": {"conditions": [_make_condition(kind, told) for kind, told in given.items()]},
    }


def _make_condition(kind: str, told: str) -> Json:
    reason, colon, message = told.partition(":")
    if colon:
        return {"type": kind, "status": "False", "reason": reason, "message": message}
    return {"type": kind, "status": told, "reason": "ValidMetricFound", "message": "the HPA was able to"}


def make_scaled_object(
    *,
    triggers: list[Json] | None = None,
    annotations: Mapping[str, str] | None = None,
    behavior: Json | None = None,
    conditions: Mapping[str, str] | None = None,
    **spec: Any,
) -> Json:
    """Return a ScaledObject for `LLAMA` that follows our number exactly, unless told otherwise."""
    percent = [{"type": "Percent", "value": 100, "periodSeconds": 15}]
    rules = behavior or {"scaleUp": make_rules(), "scaleDown": make_rules(policies=percent)}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "llama", "namespace": "prod", "annotations": dict(annotations or {})},
        "spec": {
            "scaleTargetRef": {"name": LLAMA.name},
            "minReplicaCount": 1,
            "maxReplicaCount": 32,
            "triggers": [make_prometheus_trigger()] if triggers is None else triggers,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": rules}},
            **spec,
        },
        "status": {
            "conditions": [_make_condition(kind, told) for kind, told in (conditions or {"Ready": "True"}).items()]
        },
    }


def make_prometheus_trigger(**metadata: str) -> Json:
    """Return a trigger that asks Prometheus for our number."""
    query = 'max(deployment_replicas{namespace="prod",deployment="llama-70b"})'
    given = {"serverAddress": "http://prometheus:9090", "query": query, "threshold": "1", "ignoreNullValues": "false"}
    return {"type": "prometheus", "metricType": "AverageValue", "metadata": {**given, **metadata}}


def make_page_trigger(**metadata: str) -> Json:
    """Return a trigger that asks our page."""
    given = {
        "url": "http://variant-autoscaler.autoscaler.svc:8080/metrics/prod/llama-70b",
        "format": "prometheus",
        "valueLocation": 'vllm:deployment_replicas{model_name="llama"}',
        "targetValue": "1",
    }
    return {"type": "metrics-api", "metadata": {**given, **metadata}}


HEAD_ANNOTATIONS = {
    "autoscaling.aibrix.ai/scale-up-tolerance": "0",
    "autoscaling.aibrix.ai/scale-down-tolerance": "0",
    "autoscaling.aibrix.ai/scale-up-cooldown-window": "0s",
    "autoscaling.aibrix.ai/scale-down-cooldown-window": "0s",
    "autoscaling.aibrix.ai/max-scale-up-rate": "1000",
    "autoscaling.aibrix.ai/max-scale-down-rate": "1000",
}
OLD_ANNOTATIONS = {
    "kpa.autoscaling.aibrix.ai/scale-down-delay": "0s",
    "kpa.autoscaling.aibrix.ai/stable-window": "1s",
    "kpa.autoscaling.aibrix.ai/panic-window": "1s",
    "autoscaling.aibrix.ai/max-scale-up-rate": "1000",
    "autoscaling.aibrix.ai/max-scale-down-rate": "1000",
}


def make_pod_autoscaler(
    *, source: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None, **spec: Any
) -> Json:
    """Return a PodAutoscaler of the newest form for `LLAMA` that follows exactly; a field of None is left out."""
    given = {
        "metricSourceType": "external",
        "targetMetric": f"{METRIC}.{LLAMA.name}",
        "targetValue": "1.0001",
        **(source or {}),
    }
    written = {
        "scalingStrategy": "KPA",
        "minReplicas": 0,
        "maxReplicas": 100,
        "observeWindowSeconds": 1,
        "panicWindowSeconds": 1,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": LLAMA.name},
        "metricsSources": [given],
        **spec,
    }
    return {
        "apiVersion": "autoscaling.aibrix.ai/v1alpha1",
        "kind": "PodAutoscaler",
        "metadata": {
            "name": "llama",
            "namespace": "prod",
            "annotations": dict(HEAD_ANNOTATIONS if annotations is None else annotations),
        },
        "spec": {key: value for key, value in written.items() if value is not None},
        "status": {"conditions": [_make_condition("ScalingActive", "True")]},
    }


def make_old_pod_autoscaler(**spec: Any) -> Json:
    """Return a PodAutoscaler as version 0.4 reads it, following our page exactly."""
    source = {
        "metricSourceType": "domain",
        "protocolType": "http",
        "endpoint": "variant-autoscaler.autoscaler.svc:8080",
        "path": "/metrics/prod/llama-70b",
        "targetMetric": "vllm:deployment_replicas",
        "targetValue": "1",
        **spec.pop("source", {}),
    }
    windows = {"observeWindowSeconds": None, "panicWindowSeconds": None}
    annotations = {**OLD_ANNOTATIONS, **spec.pop("annotations", {})}
    return make_pod_autoscaler(source=source, annotations=annotations, **{**windows, **spec})


def apply_remedy(document: Json, remedy: str) -> Json:
    """Return `document` with the lines of `remedy` merged in, as a JSON merge patch does."""
    merged = _merge(document, yaml.safe_load(remedy))
    assert isinstance(merged, dict)
    return merged


def _merge(present: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return deepcopy(patch)
    merged = dict(present) if isinstance(present, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged
