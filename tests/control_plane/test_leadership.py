"""Whoever decides may go at any moment: the numbers stay, another one goes on, and remembers what there was."""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from pathlib import Path

from adapter.kube.client import Json
from adapter.kube.decisions import Installation
from adapter.kube.resource import CONFIG_MAPS, LEASES
from adapter.kube.state_store import get_state_name
from adapter.kube.wire_times import parse_time_s
from optimizer import decode_state
from optimizer.domain import ModelKey
from tests.control_plane.asking import (
    ask_number,
    find_leader,
    list_failed_reads,
    open_direct_client,
    wait_for_number,
)
from tests.control_plane.cluster import Cluster
from tests.control_plane.fake_gateway import open_fake_gateway
from tests.control_plane.gateway_models import make_gateway_model, to_rate_per_s
from tests.control_plane.product import NAME, AdapterReplica, Product, open_product
from tests.control_plane.sampling import sampling
from tests.control_plane.workloads import Workload, told_of
from tests.deploy.chart import Helm

TAKEOVER_S = 15.0
ELECTION = {"lease": "9s", "renew": "6s", "retry": "1s"}
"""Shorter than usual, so that a machine that stands still for some seconds does not break the promise for us."""
CALM_WINDOW = "5m"


async def test_a_leader_that_is_killed_or_asked_to_end_leaves_everything_to_the_next(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    async with open_fake_gateway() as gateway:
        gateway.set_rate(llama.namespace, "chat", to_rate_per_s(3))
        model = make_gateway_model(llama.namespace, gateway.url)
        kubernetes = {"state_interval": "1s", "leader_election": ELECTION}
        config = {"models": [model], "decision": {"calm_window": CALM_WINDOW}, "kubernetes": kubernetes}
        await llama.create(1)
        async with open_product(cluster, helm, tmp_path, replicas=2, values={"config": config}) as product:
            with told_of(product):
                await product.start()
                await llama.wait_for_replicas(3)
                gateway.set_rate(llama.namespace, "chat", to_rate_per_s(1))
                await llama.wait_for_decision(is_held, what="it is held within its calm window")
                await see_two_leaders_go(product, llama, tmp_path)


def is_held(status: Json) -> bool:
    return (status.get("hold") or {}).get("code") == "CalmWindow"


async def see_two_leaders_go(product: Product, llama: Workload, folder: Path) -> None:
    cluster = product.cluster
    await cluster.wait_until(partial(read_state, product, llama), bool, what="the state is kept")
    begun_s, failed = await read_calm(product, llama), await list_failed_reads(llama)
    first = await find_leader(product)
    assert first is not None
    (second,) = [adapter for adapter in product.adapters if adapter is not first]
    direct = await open_direct_client(cluster, second, folder)
    await wait_for_number(direct, llama, 3)
    told, asked = partial(ask_number, cluster.client, llama), llama.read_replicas
    async with sampling(told=told, second=partial(ask_number, direct, llama), asked=asked) as samples:
        killed_s = time.time()
        first.process.kill()
        assert await wait_for_leader(product, second) - killed_s <= TAKEOVER_S
        await wait_for_saved(product, llama)
        assert await read_calm(product, llama) == begun_s
    first.process.start()
    await product.wait_ready()
    direct = await open_direct_client(cluster, first, folder)
    await wait_for_number(direct, llama, 3)
    async with sampling(told=told, first=partial(ask_number, direct, llama), asked=asked) as more:
        await asyncio.to_thread(second.process.stop)
        assert await find_leader(product) is not second  # who is asked to end gives the lease up
        await wait_for_leader(product, first)
        await wait_for_saved(product, llama)
        assert await read_calm(product, llama) == begun_s
        await llama.wait_for_decision(is_held, what="it is held within its calm window")
    for name, sample in [*samples.items(), *more.items()]:
        assert sample.numbers == ["3"], name
        may_fail = name == "told"  # by what a replica had in hand when it was killed
        assert sample.failed_looks <= may_fail, (name, sample.failures)
    assert len(await list_failed_reads(llama)) <= len(failed) + 1


async def wait_for_leader(product: Product, wanted: AdapterReplica) -> float:
    """Return when `wanted` took the lease [Unix s], once it has."""

    async def look() -> Json:
        found: Json = (await product.cluster.client.get(LEASES, product.namespace, NAME))["spec"]
        return found

    spec = await product.cluster.wait_until(
        look, lambda it: it.get("holderIdentity") == wanted.name, what=f"{wanted.name} leads"
    )
    return parse_time_s(spec["acquireTime"])


async def read_state(product: Product, workload: Workload) -> Json:
    key = ModelKey(workload.namespace, "chat")
    name = get_state_name(Installation(product.namespace, NAME), key)
    return await product.cluster.client.get(CONFIG_MAPS, product.namespace, name)


async def read_calm(product: Product, workload: Workload) -> float:
    """Return since when there is no gap in what is remembered of the need [Unix s]."""
    state, lost = decode_state(json.loads((await read_state(product, workload))["data"]["state.json"]))
    assert not lost
    (model,) = state.models.values()
    assert model.stabilization.begun_s is not None
    return model.stabilization.begun_s


async def wait_for_saved(product: Product, workload: Workload) -> None:
    """Return when whoever leads now has kept its memory."""
    before = (await read_state(product, workload))["metadata"]["resourceVersion"]
    await product.cluster.wait_until(
        partial(read_state, product, workload),
        lambda it: it["metadata"]["resourceVersion"] != before,
        what="the state is kept",
    )
