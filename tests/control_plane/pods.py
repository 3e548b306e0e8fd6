"""Makes the objects that run pods, as users write them. Data only; no I/O."""

from __future__ import annotations

from collections.abc import Mapping

from adapter.kube.client import Json

GPU = "nvidia.com/gpu"
PRODUCT = "nvidia.com/gpu.product"
ENGINE_PORT = 8000


def make_deployment(
    name: str,
    replicas: int = 1,
    *,
    accelerators: int = 0,
    product: str | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    pod_labels: Mapping[str, str] | None = None,
    port: int = ENGINE_PORT,
    grace_s: int = 30,
    pre_stop_s: int = 0,
    strategy: Json | None = None,
) -> Json:
    """Return a Deployment, without apiVersion and kind.

    Parameters
    ----------
    name
        Its name, and value of the label ``app`` that selects its pods.
    replicas
        Asked for.
    accelerators, product
        Devices one pod requests, and the node label ``nvidia.com/gpu.product`` it wants.
    labels, annotations
        Of the Deployment.
    pod_labels
        Of the pods, beside ``app``.
    port
        Where the engine of a pod listens.
    grace_s
        Time a pod may take to end [s], whole.
    pre_stop_s
        How long its container waits before it is asked to end [s], whole; 0 for no hook.
    strategy
        How pods are replaced; None for the default.
    """
    spec: Json = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}}
    spec["template"] = make_pod_template(
        {"app": name, **(pod_labels or {})},
        accelerators=accelerators,
        product=product,
        port=port,
        grace_s=grace_s,
        pre_stop_s=pre_stop_s,
    )
    if strategy is not None:
        spec["strategy"] = strategy
    return {
        "metadata": {"name": name, "labels": dict(labels or {}), "annotations": dict(annotations or {})},
        "spec": spec,
    }


def make_pod_template(
    labels: Mapping[str, str],
    *,
    accelerators: int = 0,
    product: str | None = None,
    port: int = ENGINE_PORT,
    grace_s: int = 30,
    pre_stop_s: int = 0,
) -> Json:
    """Return the template of a pod with one engine."""
    container: Json = {"name": "engine", "image": "engine:1", "ports": [{"name": "http", "containerPort": port}]}
    if accelerators:
        container["resources"] = {"limits": {GPU: str(accelerators)}, "requests": {GPU: str(accelerators)}}
    if pre_stop_s:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": pre_stop_s}}}
    spec: Json = {"containers": [container], "terminationGracePeriodSeconds": grace_s}
    if product is not None:
        spec["nodeSelector"] = {PRODUCT: product}
    return {"metadata": {"labels": dict(labels)}, "spec": spec}
