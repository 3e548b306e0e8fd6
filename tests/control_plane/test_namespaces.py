"""Names that repeat: in two namespaces, of two kinds in one, and beside namespaces that are none of our business."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from adapter.errors import Denied, NotFound
from adapter.kube.resource import DEPLOYMENTS, STATEFUL_SETS
from tests.control_plane.cluster import Cluster
from tests.control_plane.pods import make_deployment
from tests.control_plane.product import open_product
from tests.control_plane.workloads import MODEL, Workload, told_of
from tests.deploy.chart import Helm


async def test_what_is_called_alike_is_told_and_followed_apart(cluster: Cluster, helm: Helm, tmp_path: Path) -> None:
    here, there = await cluster.create_namespace("chat"), await cluster.create_namespace("chat")
    deployment, elsewhere = Workload(cluster, here), Workload(cluster, there)
    stateful_set = Workload(cluster, here, resource=STATEFUL_SETS)
    workloads = {deployment: 2, elsewhere: 5, stateful_set: 3}
    await deployment.create()
    await elsewhere.create()
    body = make_deployment("llama-set", annotations=MODEL)  # two HPAs whose pods are the same would be both refused
    await stateful_set.create_alone({**body, "metadata": {**body["metadata"], "name": "llama"}})
    await stateful_set.follow()
    for workload, number in workloads.items():
        await workload.pin(number)
    async with open_product(cluster, helm, tmp_path) as product:
        with told_of(product):
            await product.start()
            await elsewhere.wait_for_replicas(5)
            await stateful_set.wait_for_replicas(3)
            # Two workloads of one name answer to the selector of the Deployment's HPA, which is told, line by line.
            status = await deployment.wait_for_condition("Following", "False", "SelectsSeveral")
            await deployment.patch_autoscaler(yaml.safe_load(status["obstacles"][0]["remedy"]))
            await deployment.wait_for_replicas(2)
            for workload in workloads:
                await workload.wait_for_condition("Following", "True")
            await deployment.pin(4)
            await deployment.wait_for_replicas(4)
            assert (await elsewhere.read_replicas(), await stateful_set.read_replicas()) == (5, 3)


async def test_with_named_namespaces_only_others_are_neither_seen_nor_touched(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    ours = Workload(cluster, await cluster.create_namespace("chat"))
    theirs = Workload(cluster, await cluster.create_namespace("chat"))
    for workload in (ours, theirs):
        await workload.create()
        await workload.pin(3)
    async with open_product(cluster, helm, tmp_path, values={"namespaces": [ours.namespace]}) as product:
        with told_of(product):
            await product.start()
            await ours.wait_for_replicas(3)
            await ours.wait_for_condition("Following", "True")
            with pytest.raises(NotFound, match="known there: none"):
                await product.read_metric(theirs.namespace, "llama")
            assert await theirs.read_replicas() == 1
            account = await cluster.open_client(product.kubeconfig)
            for place in (theirs.namespace, None):
                with pytest.raises(Denied):
                    await account.list(DEPLOYMENTS, place)
