"""The bounds of HPAs are bounds of the plan: it goes around them, says so, and says what they cost."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.control_plane.cluster import Cluster
from tests.control_plane.fake_gateway import open_fake_gateway
from tests.control_plane.fake_kubelet import FakeKubelet, open_kubelet
from tests.control_plane.fake_nodes import FakeNode
from tests.control_plane.gateway_models import make_gateway_model, to_rate_per_s
from tests.control_plane.pods import make_deployment
from tests.control_plane.product import open_product
from tests.control_plane.quick_clock import QuickClock
from tests.control_plane.workloads import MODEL, PREFIX, Workload, told_of
from tests.deploy.chart import Helm

DEARER = {**MODEL, f"{PREFIX}accelerator": "A100"}
CLOCK = QuickClock(speed=10.0)


async def test_the_plan_goes_around_the_bounds_of_hpas_and_tells_of_them(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    namespace = await cluster.create_namespace("chat")
    cheap, dear = Workload(cluster, namespace, "cheap"), Workload(cluster, namespace, "dear")
    await cheap.create()
    await dear.create(annotations=DEARER)
    async with open_fake_gateway() as gateway, open_kubelet(FakeKubelet(cluster.client), [FakeNode("node")]):
        gateway.set_rate(namespace, "chat", to_rate_per_s(4))
        values = {"config": {"models": [make_gateway_model(namespace, gateway.url, ("cheap", "dear"))]}}
        async with open_product(cluster, helm, tmp_path, values=values) as product:
            with told_of(product):
                await product.start()
                await cheap.wait_for_replicas(3)  # of four: the other HPA has minReplicas 1
                await dear.wait_for_planned(1)

                await cheap.patch_autoscaler({"spec": {"maxReplicas": 2}})
                await dear.wait_for_replicas(2)
                await cheap.wait_for_replicas(2)
                told = "2 replicas, all that the upper bound of 2 allows; dear, which costs more, runs beside it"
                await cheap.wait_for_decision(lambda it: it["reason"]["message"] == told, what="its bound is told")
                await cheap.wait_for_event("BoundBinds", told)

                await dear.patch_autoscaler({"spec": {"maxReplicas": 1}})
                await dear.wait_for_replicas(1)
                await dear.wait_for_condition("WithinLimits", "False", "the bounds of the variants")
                await dear.wait_for_event("Shortage")

                await cheap.patch_autoscaler({"spec": {"minReplicas": 6, "maxReplicas": 32}})
                await cheap.wait_for_replicas(6)
                await cheap.wait_for_condition("WithinLimits", "True")
                await cheap.wait_for_event("BoundBinds", "the lower bound of 6 keeps")

                await dear.pin(3)
                status = await dear.wait_for_condition("Following", "False", "MaxReplicasBelowPlan")
                await dear.patch_autoscaler(yaml.safe_load(status["obstacles"][0]["remedy"]))
                await dear.wait_for_replicas(3)
                await dear.wait_for_condition("Following", "True")


async def test_what_nobody_scales_is_counted_as_it_is_until_somebody_does(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    namespace = await cluster.create_namespace("chat")
    cheap, dear = Workload(cluster, namespace, "cheap"), Workload(cluster, namespace, "dear")
    await cheap.create_alone(make_deployment("cheap", annotations=MODEL))
    await dear.create(annotations=DEARER)
    async with open_fake_gateway() as gateway, open_kubelet(FakeKubelet(cluster.client), [FakeNode("node")]):
        gateway.set_rate(namespace, "chat", CLOCK.speed * to_rate_per_s(4))
        model = make_gateway_model(namespace, gateway.url, ("cheap", "dear"))
        values = {"config": {"models": [model], **CLOCK.make_config()}}
        async with open_product(cluster, helm, tmp_path, values=values, clock=CLOCK.make()) as product:
            with told_of(product):
                await product.start()
                await dear.wait_for_replicas(3)  # beside the one of the other that nobody scales
                await dear.wait_for_condition("WithinLimits", "True", f"the plan exhausts unscaled {namespace}/cheap")
                await cheap.follow()
                await cheap.wait_for_replicas(3)
                await dear.wait_for_replicas(1)
