"""The autoscalers we recommend, as data: what follows our number exactly, for remedies and missing objects. No I/O."""

from __future__ import annotations

from adapter.kube.followers.selection import can_be_selected_by_name
from adapter.kube.followers.yaml_lines import Tree, render_patch, render_yaml
from optimizer.domain import WorkloadRef

METRIC = "deployment_replicas"
SETTABLE_TOLERANCE_MINOR = 35
"""Kubernetes 1.35 keeps a tolerance without a feature gate."""

GATED_TOLERANCE_MINOR = 33
"""From Kubernetes 1.33 on a tolerance is kept with the feature gate HPAConfigurableTolerance."""

FREE_ZERO_MINOR = 37
"""From Kubernetes 1.37 on minReplicas 0 is accepted without a feature gate."""


def make_metric(workload: WorkloadRef, metric: str = METRIC, *, has_namesake: bool = False) -> Tree:
    """Return the entry of ``spec.metrics`` that reads the number of `workload`, and no other.

    `has_namesake` tells that an object of another kind has the same name.
    """
    source: dict[str, Tree] = {"name": metric}
    labels: dict[str, Tree] = {}
    if can_be_selected_by_name(workload):
        labels["deployment"] = workload.name
    else:
        source["name"] = f"{metric}.{workload.name}"
    if has_namesake or workload.kind != "Deployment":
        labels["kind"] = workload.kind
    if labels:
        source["selector"] = {"matchLabels": labels}
    return {"type": "External", "external": {"metric": source, "target": {"type": "AverageValue", "averageValue": "1"}}}


def make_rules(direction: str, highest: int) -> dict[str, Tree]:
    """Return ``selectPolicy`` and ``policies`` of a direction that let every step up to `highest` replicas pass."""
    kind, value = ("Pods", highest) if direction == "scaleUp" else ("Percent", 100)
    return {"selectPolicy": "Max", "policies": [{"type": kind, "value": max(value, 1), "periodSeconds": 15}]}


def make_behavior(highest: int, *, has_tolerance: bool) -> Tree:
    """Return a whole ``behavior`` without damping of its own."""
    tolerance: dict[str, Tree] = {"tolerance": 0} if has_tolerance else {}
    return {
        direction: {**tolerance, "stabilizationWindowSeconds": 0, **make_rules(direction, highest)}
        for direction in ("scaleUp", "scaleDown")
    }


def render_autoscaler(
    workload: WorkloadRef,
    *,
    max_replicas: int,
    min_replicas: int = 1,
    kubernetes_minor: int = SETTABLE_TOLERANCE_MINOR,
    metric: str = METRIC,
) -> str:
    """Return the YAML of a HorizontalPodAutoscaler that follows the number of `workload` exactly within its bounds."""
    has_tolerance = kubernetes_minor >= GATED_TOLERANCE_MINOR
    target: dict[str, Tree] = {"apiVersion": workload.api_version, "kind": workload.kind, "name": workload.name}
    autoscaler: dict[str, Tree] = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": workload.name, "namespace": workload.namespace},
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": min_replicas,
            "maxReplicas": max_replicas,
            "metrics": [make_metric(workload, metric)],
            "behavior": make_behavior(max_replicas, has_tolerance=has_tolerance),
        },
    }
    return render_patch("HorizontalPodAutoscaler", workload.namespace, workload.name, autoscaler)


def render_configuration(lines: Tree) -> str:
    """Return lines to write into our own configuration."""
    return "# configuration of the variant autoscaler\n" + render_yaml(lines)
