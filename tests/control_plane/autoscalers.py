"""The HPA that we recommend, as users write it. Data only; no I/O."""

from __future__ import annotations

from adapter.kube.client import Json


def make_autoscaler(
    name: str,
    *,
    kind: str = "Deployment",
    api_version: str = "apps/v1",
    min_replicas: int = 1,
    max_replicas: int = 32,
    tolerance: str | None = "0",
) -> Json:
    """Return an HPA that follows the number of the workload `name`, without apiVersion and kind.

    `tolerance` None leaves it at its default of 0.1, under which steps at more than 9 replicas get lost.
    """
    labels = {"deployment": name} if kind == "Deployment" else {"deployment": name, "kind": kind}
    metric = {
        "metric": {"name": "deployment_replicas", "selector": {"matchLabels": labels}},
        "target": {"type": "AverageValue", "averageValue": "1"},
    }
    common = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max"}
    if tolerance is not None:
        common["tolerance"] = tolerance
    behavior = {
        "scaleUp": {**common, "policies": [{"type": "Pods", "value": max_replicas, "periodSeconds": 15}]},
        "scaleDown": {**common, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]},
    }
    return {
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": api_version, "kind": kind, "name": name},
            "minReplicas": min_replicas,
            "maxReplicas": max_replicas,
            "metrics": [{"type": "External", "external": metric}],
            "behavior": behavior,
        },
    }
