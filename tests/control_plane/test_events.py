"""Events on workloads tell of changes, each once; while nothing changes nothing is told, whatever is wrong."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

from adapter.kube.client import Json
from adapter.kube.events import REPORTING_CONTROLLER
from adapter.kube.resource import EVENTS, VARIANT_DECISIONS
from tests.control_plane.asking import count_passes
from tests.control_plane.autoscalers import make_autoscaler
from tests.control_plane.cluster import Cluster
from tests.control_plane.fake_gateway import open_fake_gateway
from tests.control_plane.gateway_models import make_gateway_model, to_rate_per_s
from tests.control_plane.product import Product, open_product
from tests.control_plane.workloads import MODEL, PREFIX, Workload, told_of
from tests.deploy.chart import Helm

QUIET_PASSES = 20
TRIES = 5


async def test_twenty_quiet_passes_tell_nothing_and_a_change_is_told_once(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    namespace = await cluster.create_namespace("chat")
    llama, lost, odd = (Workload(cluster, namespace, name) for name in ("llama", "lost", "odd"))
    async with open_fake_gateway() as gateway:
        gateway.set_rate(namespace, "chat", to_rate_per_s(3))
        config = {"models": [make_gateway_model(namespace, gateway.url)]}
        await llama.create(1)
        other = {**MODEL, f"{PREFIX}model": "other", f"{PREFIX}override": "pin=2"}
        await lost.create(2, {**other, f"{PREFIX}variant": "lost"}, make_autoscaler("lost", tolerance=None))
        await odd.create(2, {**other, f"{PREFIX}variant": "odd", f"{PREFIX}min-replicas": "many"})
        async with open_product(cluster, helm, tmp_path, values={"config": config}) as product:
            with told_of(product):
                await product.start()
                await llama.wait_for_replicas(3)
                await llama.wait_for_condition("Following", "True")
                await lost.wait_for_decision(is_lost_by_tolerance_alone, what="only its tolerance is in the way")
                await odd.wait_for_condition("Following", "True")
                await odd.wait_for_condition("Troubled", "True", "min-replicas")
                await settle(product, namespace)
                await nothing_is_told_while_nothing_changes(product, namespace)

                before = await count_told(cluster, namespace)
                gateway.set_rate(namespace, "chat", to_rate_per_s(4))
                await llama.wait_for_replicas(4)
                await llama.wait_for_event("ScaleUp", "planned replicas 3 -> 4")
                await wait_for_passes(product, QUIET_PASSES // 4)
                assert await list_new(cluster, namespace, before) == [("llama", "ScaleUp")]

                before = await count_told(cluster, namespace)
                await odd.annotate(min_replicas=None)
                await llama.pin(5)
                await llama.wait_for_replicas(5)
                await odd.wait_for_condition("Troubled", "False")
                await wait_for_passes(product, QUIET_PASSES // 4)
                assert await list_new(cluster, namespace, before) == [("llama", "Pinned"), ("llama", "Pinned")]


def is_lost_by_tolerance_alone(status: Json) -> bool:
    return [entry["code"] for entry in status["obstacles"]] == ["ToleranceAboveZero"]


async def settle(product: Product, namespace: str) -> None:
    """Return when some passes in a row had nothing to write: the first calm window is over by then."""

    async def look() -> bool:
        before = await list_versions(product.cluster, namespace)
        await wait_for_passes(product, QUIET_PASSES // 4)
        return await list_versions(product.cluster, namespace) == before

    await product.cluster.wait_until(look, bool, what="nothing changes any more")


async def nothing_is_told_while_nothing_changes(product: Product, namespace: str) -> None:
    """See that many passes in a row tell and write nothing; a machine that stands still meanwhile is a change."""
    cluster, news = product.cluster, list[str]()
    for _ in range(TRIES):
        told, versions = await count_told(cluster, namespace), await list_versions(cluster, namespace)
        await wait_for_passes(product, QUIET_PASSES)
        more = await count_told(cluster, namespace) - told
        if not more and await list_versions(cluster, namespace) == versions:
            return
        news.append(f"told: {dict(more)}")
        await wait_for_passes(product, QUIET_PASSES // 4)
    raise AssertionError(f"something was told or written every time: {news}")


async def wait_for_passes(product: Product, count: int) -> None:
    look = partial(count_passes, product.adapters[0])
    wanted = await look() + count
    await product.cluster.wait_until(look, lambda passes: passes >= wanted, what=f"{count} further passes")


async def count_told(cluster: Cluster, namespace: str) -> Counter[tuple[str, str, str]]:
    """Return how often what was told about which workload: name, reason, note."""
    found = (await cluster.client.list(EVENTS, namespace))["items"]
    told = Counter[tuple[str, str, str]]()
    for event in found:
        if event.get("reportingController") == REPORTING_CONTROLLER:
            count = (event.get("series") or {}).get("count", 1)
            told[event["regarding"]["name"], event["reason"], event["note"]] += count
    return told


async def list_new(cluster: Cluster, namespace: str, before: Counter[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """Return what was told since: name and reason."""
    new = await count_told(cluster, namespace) - before
    return sorted((name, reason) for name, reason, _ in new.elements())


async def list_versions(cluster: Cluster, namespace: str) -> dict[str, str]:
    """Return the versions of all decisions by name: none changes unless it is written."""
    items: list[Json] = (await cluster.client.list(VARIANT_DECISIONS, namespace))["items"]
    return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}
