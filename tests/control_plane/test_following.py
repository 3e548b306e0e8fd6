"""The whole way of a number: decided, told, read by the real HPA through the real API server, and followed exactly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapter.kube.client import PatchType
from adapter.kube.resource import DEPLOYMENTS, HORIZONTAL_POD_AUTOSCALERS
from tests.control_plane.autoscalers import make_autoscaler
from tests.control_plane.cluster import Cluster
from tests.control_plane.pods import make_deployment
from tests.control_plane.product import Product, open_product
from tests.deploy.chart import Helm

MODEL = {"variant-autoscaler.io/model": "chat", "variant-autoscaler.io/accelerator": "L40S"}


@asynccontextmanager
async def open_workload(cluster: Cluster, name: str = "llama", replicas: int = 1) -> AsyncIterator[str]:
    """Yield a namespace with one Deployment and its HPA."""
    namespace = await cluster.create_namespace("chat")
    await cluster.create(DEPLOYMENTS, namespace, make_deployment(name, replicas, annotations=MODEL))
    await cluster.create(HORIZONTAL_POD_AUTOSCALERS, namespace, make_autoscaler(name, max_replicas=32))
    yield namespace


async def pin(cluster: Cluster, namespace: str, name: str, replicas: int | None) -> None:
    """Pin a workload by its annotation; None takes the pin away."""
    value = None if replicas is None else f"pin={replicas}"
    patch = {"metadata": {"annotations": {"variant-autoscaler.io/override": value}}}
    await cluster.client.patch(DEPLOYMENTS, namespace, name, patch, kind=PatchType.MERGE)


async def wait_for_replicas(cluster: Cluster, namespace: str, name: str, replicas: int, timeout_s: float = 30.0) -> None:
    """Return when the Deployment asks for that many."""
    await cluster.wait_for(
        DEPLOYMENTS,
        namespace,
        name,
        lambda found: found["spec"]["replicas"] == replicas,
        what=f"{name} asks for {replicas} replicas",
        timeout_s=timeout_s,
    )


async def test_pinned_numbers_are_followed_exactly(cluster: Cluster, helm: Helm, tmp_path: Path) -> None:
    async with open_product(cluster, helm, tmp_path) as product, open_workload(cluster) as namespace:
        await product.start()
        for replicas in (1, 4, 2, 1, 9, 10, 11, 12, 11):
            await pin(cluster, namespace, "llama", replicas)
            try:
                await wait_for_replicas(cluster, namespace, "llama", replicas)
            except AssertionError:
                print(product.read_logs())
                raise
