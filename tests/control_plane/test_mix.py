"""Three variants of one LLM under simulated load: the mix follows the demand, and what was promised is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import numpy as np

from adapter.demo.options import DemoOptions
from adapter.demo.request_log import Fate
from adapter.demo.scenarios import Arrival, Scenario, ScenarioName
from adapter.kube.client import Json
from adapter.kube.resource import DEPLOYMENTS
from optimizer.domain import ModelKey
from tests.control_plane.cluster import Cluster
from tests.control_plane.fleet_cluster import FleetCluster, FleetClusterOptions, open_fleet_cluster
from tests.control_plane.product import open_product
from tests.control_plane.workloads import Workload, told_of
from tests.deploy.chart import Helm

DEMO = DemoOptions(models=("llama-70b",), startup_s=2.0)
H100, RTX, A100 = "h100-tp2-fp8", "rtx6000-tp2-fp8", "a100-tp4"
LIMITS = [
    {"name": "h100", "accelerators": ["H100"], "amount": 2},
    {"name": "rtx", "accelerators": ["RTX-PRO-6000"], "amount": 4},
    {"name": "a100", "accelerators": ["A100"], "amount": 16},
]
"""One replica of the quickest, which is the cheapest per request; two of the next; four where it is dear."""


class Tide:
    """Requests at a rate that a test sets [1/s], alike enough that a few of them tell what the others will be."""

    def __init__(self, rate_per_s: float) -> None:
        self.rate_per_s = rate_per_s

    def iterate(self, key: ModelKey, begin_s: float, generator: np.random.Generator) -> Iterator[Arrival]:
        """Yield arrivals without end, each a moment before it is due."""
        offset_s = begin_s
        while True:
            offset_s += float(generator.uniform(0.5, 1.5)) / self.rate_per_s
            yield Arrival(offset_s, key, int(generator.integers(700, 1000)), int(generator.integers(120, 180)))

    def to_scenario(self, key: ModelKey) -> Scenario:
        """Return it as a story."""
        return Scenario(
            ScenarioName.MIX,
            "what the test asks for",
            period_s=1e9,
            opening_rates_per_s={key: self.rate_per_s},
            goes_to_zero=False,
            iterate=lambda begin_s, generator: self.iterate(key, begin_s, generator),
        )


async def test_three_variants_shift_their_mix_with_the_demand_and_the_promise_is_kept(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    tide = Tide(5.0)
    may_go = cluster.control_plane.version.takes_zero  # else no HPA goes below one
    least, many = (0, 4) if may_go else (1, 2)
    async with AsyncExitStack() as stack:
        key = ModelKey(await cluster.create_namespace("fleet"), "meta-llama/Llama-3.1-70B-Instruct")
        options = FleetClusterOptions(DEMO, key.namespace, scenario=tide.to_scenario(key))
        fleet = await stack.enter_async_context(open_fleet_cluster(cluster, options))
        decision = {"calm_window": "4s"}
        values = {"config": {"decision": decision, "limits": LIMITS, **fleet.make_configuration()}}
        product = await stack.enter_async_context(open_product(cluster, helm, tmp_path, values=values))
        stack.enter_context(told_of(product))
        await product.start()
        playing = asyncio.create_task(fleet.play())
        stack.push_async_callback(end, playing)
        await wait_for_mix(cluster, fleet, lambda *mix: mix == (1, least, least), "the cheapest for little demand")
        tide.rate_per_s = 10.5
        await wait_for_mix(
            cluster, fleet, lambda h100, rtx, a100: (h100, rtx) == (1, 2) and a100 >= 1, "all three for more"
        )
        (dear,) = (workload for workload in fleet.workloads if workload.variant.name == A100)
        await Workload(cluster, key.namespace, dear.ref.name).annotate(cost_per_hour="0.5")
        await wait_for_mix(
            cluster, fleet, lambda h100, rtx, a100: h100 + rtx <= 2 and a100 >= many, "more of what became cheap"
        )
        judged = fleet.log.judged[key]
        assert judged.ratio is not None
        assert judged.ratio >= 0.97
        assert not any(record.fate in (Fate.FAILED, Fate.REFUSED) for record in fleet.log.records)


async def wait_for_mix(
    cluster: Cluster, fleet: FleetCluster, is_wanted: Callable[[int, int, int], bool], what: str
) -> None:
    """Return when the replicas on H100, RTX and A100 are as wanted: asked for, there, and ready."""
    variants = {workload.ref.name: workload.variant.name for workload in fleet.workloads}

    async def look() -> dict[str, set[int]]:
        found = (await cluster.client.list(DEPLOYMENTS, fleet.namespace))["items"]
        return {variants[it["metadata"]["name"]]: count_replicas(it) for it in found}

    def is_done(seen: Mapping[str, set[int]]) -> bool:
        mix = [counts.pop() for counts in (set(seen[name]) for name in (H100, RTX, A100)) if len(counts) == 1]
        return len(mix) == 3 and is_wanted(*mix)

    await cluster.wait_until(look, is_done, what=what)


def count_replicas(deployment: Json) -> set[int]:
    """Return the replicas asked for, there and ready, which are one number when nothing is under way."""
    status = deployment["status"]
    return {deployment["spec"]["replicas"], status.get("replicas", 0), status.get("readyReplicas", 0)}


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task, and raise what broke it before."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
