"""To zero and back: by the HPA where Kubernetes lets it, else by our own hand; what a person put there stays there."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

import pytest
import yaml

from adapter.errors import Refused
from adapter.kube.client import Json
from tests.control_plane.asking import wait_for_number
from tests.control_plane.autoscalers import make_autoscaler
from tests.control_plane.cluster import Cluster
from tests.control_plane.fake_gateway import FakeGateway, open_fake_gateway
from tests.control_plane.gateway_models import make_gateway_model, to_rate_per_s
from tests.control_plane.kubectl import run_kubectl
from tests.control_plane.printed_commands import find_command
from tests.control_plane.product import open_product
from tests.control_plane.workloads import Workload, get_condition, told_of
from tests.deploy.chart import Helm


def make_values(llama: Workload, gateway: FakeGateway, *, patches_zero: bool) -> Json:
    model = make_gateway_model(llama.namespace, gateway.url, min_replicas=0, idle_to_zero="2s")
    return {"actuation": {"patchZero": patches_zero}, "config": {"models": [model]}}


async def test_an_hpa_goes_to_zero_by_itself_and_wakes_with_the_first_request(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    if not cluster.control_plane.version.takes_zero:
        with pytest.raises(Refused, match="minReplicas"):
            await llama.create(autoscaler=make_autoscaler("llama", min_replicas=0))
        return
    await llama.create(autoscaler=make_autoscaler("llama", min_replicas=0))
    async with open_fake_gateway() as gateway:
        gateway.set_rate(llama.namespace, "chat", 0.0)
        values = make_values(llama, gateway, patches_zero=False)
        async with open_product(cluster, helm, tmp_path, values=values) as product:
            with told_of(product):
                await product.start()
                await llama.wait_for_replicas(0)
                await llama.wait_for_autoscaler(has_scaled_to_zero, what="says that it went to zero")
                await llama.wait_for_condition("Following", "True")
                await wait_for_number(cluster.client, llama, 0)
                gateway.set_rate(llama.namespace, "chat", 0.5, waiting=1)
                await llama.wait_for_replicas(1)
                gateway.set_rate(llama.namespace, "chat", to_rate_per_s(3))
                await llama.wait_for_replicas(3)

                await llama.scale(0)
                status = await llama.wait_for_condition("Following", "False", "PutToZeroByHand")
                assert status["plannedReplicas"] == 3
                assert await llama.read_replicas() == 0
                await llama.patch(yaml.safe_load(status["obstacles"][0]["remedy"]))
                await llama.wait_for_replicas(3)


def has_scaled_to_zero(autoscaler: Json) -> bool:
    return get_condition(autoscaler["status"], "ScaledToZero").get("status") == "True"


async def test_where_the_hpa_stays_at_one_our_own_hand_steps_between_zero_and_one(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    await llama.create(2)
    async with open_fake_gateway() as gateway:
        gateway.set_rate(llama.namespace, "chat", 0.0)
        values = make_values(llama, gateway, patches_zero=True)
        async with open_product(cluster, helm, tmp_path, values=values) as product:
            with told_of(product):
                (adapter,) = product.adapters
                await product.start()
                await llama.wait_for_replicas(0)
                await llama.wait_for_condition("Following", "True")
                await llama.wait_for_decision(
                    lambda it: it.get("zeroedBy") == "variant-autoscaler", what="it is known who put it to zero"
                )
                await asyncio.to_thread(adapter.process.stop)
                adapter.process.start()  # whoever starts anew knows who put it to zero
                await product.wait_ready()
                gateway.set_rate(llama.namespace, "chat", 0.5, waiting=1)
                await llama.wait_for_replicas(1)
                await llama.wait_for_decision(lambda it: "zeroedBy" not in it, what="it is awake")
                gateway.set_rate(llama.namespace, "chat", to_rate_per_s(3))
                await llama.wait_for_replicas(3)

                await llama.scale(0)
                await llama.wait_for_event("NotFollowed", "PutToZeroByHand")
                await llama.wait_for_condition("Following", "False", "PutToZeroByHand")
                assert await llama.read_replicas() == 0
                await llama.scale(1)
                await llama.wait_for_replicas(3)

                await llama.pin(0)
                await llama.wait_for_replicas(0)
                await llama.wait_for_decision(lambda it: it.get("zeroedBy"), what="it is known who put it to zero")
                await asyncio.to_thread(adapter.process.stop)
                lines = await _run_printed_line_that_wakes(cluster)
                assert lines == [
                    f"kubectl -n {llama.namespace} scale Deployment/llama --current-replicas=0 --replicas=1"
                ]
                assert await llama.read_replicas() == 1


async def _run_printed_line_that_wakes(cluster: Cluster) -> list[str]:
    """Run the line that upgrades and removal print, then what it prints; return that."""
    begin = "kubectl get variantdecisions -A -o jsonpath"
    command = find_command("upgrade.md", begin)
    assert find_command("install.md", begin) == command
    told = await run_kubectl(cluster.control_plane, *shlex.split(command)[1:])
    assert told.status == 0, told.errors
    for line in told.output.splitlines():
        woken = await run_kubectl(cluster.control_plane, *shlex.split(line)[1:])
        assert woken.status == 0, woken.errors
    return told.output.splitlines()
