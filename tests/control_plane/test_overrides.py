"""What a person decides instead of us: followed, told in status, pages and events, and not forgotten by a restart."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adapter.errors import Denied
from adapter.kube.client import Json
from tests.control_plane.asking import read_page, wait_for_number, wait_for_refusal_to_tell
from tests.control_plane.cluster import Cluster
from tests.control_plane.fake_gateway import open_fake_gateway
from tests.control_plane.fake_kubelet import FakeKubelet, open_kubelet
from tests.control_plane.fake_nodes import FakeNode
from tests.control_plane.gateway_models import make_gateway_model, make_variant, to_rate_per_s
from tests.control_plane.product import Product, open_product
from tests.control_plane.workloads import MODEL, PREFIX, Workload, told_of
from tests.deploy.chart import Helm

ACCELERATOR = {f"{PREFIX}accelerator": "L40S"}


async def test_shadow_pause_and_pin_are_told_everywhere_and_outlast_a_restart(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    namespace = await cluster.create_namespace("chat")
    llama, other, shy = (Workload(cluster, namespace, name) for name in ("llama", "other", "shy"))
    for workload in (llama, other):
        await workload.create(annotations=ACCELERATOR)
    await shy.create(4, annotations={**MODEL, f"{PREFIX}model": "shy", f"{PREFIX}override": "shadow"})
    override = {"mode": "pin", "replicas": 2, "by": "operations"}
    variants = [make_variant("other")]
    second = {"name": "other", "namespace": namespace, "override": override, "variants": variants}
    async with open_fake_gateway() as gateway, open_kubelet(FakeKubelet(cluster.client), [FakeNode("node")]):
        gateway.set_rate(namespace, "chat", to_rate_per_s(2))
        values = {"config": {"models": [make_gateway_model(namespace, gateway.url), second]}}
        async with open_product(cluster, helm, tmp_path, values=values) as product:
            with told_of(product):
                await product.start()
                for workload in (llama, other):
                    await workload.wait_for_ready(2)
                status = await other.wait_for_decision(lambda it: "override" in it, what="it is overridden")
                assert status["override"] == {**override, "source": "configuration"}
                assert (await read_line(product, "other"))["override"]["by"] == "operations"

                await llama.annotate(override="pin=5", override_by="ada")
                await llama.wait_for_ready(5)
                await check_told(product, llama, "pin", "Pinned", "pinned at 5 replicas by ada")
                await llama.annotate(override="pause")
                await check_told(product, llama, "pause", "Paused", "paused at 5 replicas by ada")
                await restart(product, namespace)
                await check_told(product, llama, "pause", "Paused", "paused at 5 replicas by ada")
                for workload, number in ((llama, 5), (other, 2)):
                    await wait_for_number(cluster.client, workload, number)
                    assert await workload.read_replicas() == number
                await check_told(product, shy, "shadow", "Shadow", "4 replicas would be published")
                assert await shy.read_replicas() == 4

                await llama.annotate(override="shadow", override_by=None)
                await check_told(product, llama, "shadow", "Shadow", "in shadow (annotation), 2 replicas would be")
                await wait_for_refusal_to_tell(cluster.client, llama, "in shadow")
                assert await llama.read_replicas() == 5

                ends = datetime.now(UTC) + timedelta(seconds=20.0)  # enough for a slow machine to follow before
                await llama.annotate(override="pin=3", override_until=ends.strftime("%Y-%m-%dT%H:%M:%SZ"))
                await llama.wait_for_replicas(3)
                await llama.wait_for_event("OverrideEnded", "pin=3")
                await llama.wait_for_replicas(2)


async def check_told(product: Product, workload: Workload, mode: str, code: str, message: str) -> None:
    """Check that an override is told in status, events and pages, with `message` as the reason."""

    def is_told(status: Json) -> bool:
        told = status["reason"]
        return status.get("override", {}).get("mode") == mode and told["code"] == code and message in told["message"]

    status = await workload.wait_for_decision(is_told, what=f"{code}: {message}")
    await workload.wait_for_event(code, f"overridden: {mode}")

    def is_shown(line: Json) -> bool:
        shown = (line["override"] or {}).get("mode"), line["reason"]["code"], line["planned_replicas"]
        return shown == (mode, code, status["plannedReplicas"])

    await product.cluster.wait_until(
        lambda: read_line(product, workload.name), is_shown, what=f"the page of decisions shows {mode}"
    )

    async def list_samples() -> list[str]:
        page = (await read_page(product.adapters[0], "/metrics")).splitlines()
        return [it for it in page if it.startswith("variant_autoscaler_override_info{") and workload.name in it]

    await product.cluster.wait_until(
        list_samples,
        lambda shown: len(shown) == 1 and f'mode="{mode}"' in shown[0],
        what=f"the page of metrics shows {mode}",
    )


async def restart(product: Product, namespace: str) -> None:
    """End the adapter as Kubernetes does, start it, and return when it has decided again."""
    (adapter,) = product.adapters
    await asyncio.to_thread(adapter.process.stop)
    adapter.process.start()
    await product.wait_ready()

    async def look() -> int:
        return int((json.loads(await read_page(product.adapters[0], "/v1/decisions")))["passes"])

    await product.cluster.wait_until(look, lambda passes: passes >= 3, what="it has decided again")

    async def is_believed() -> bool:
        """Ask until the API server has a connection that began when it was known whom to believe."""
        with suppress(Denied):
            await product.read_number(namespace, "llama")
            return True
        return False

    await product.cluster.wait_until(is_believed, bool, what="the API is served again")


async def read_line(product: Product, deployment: str) -> Json:
    """Return what the page of decisions says of a workload."""
    document = json.loads(await read_page(product.adapters[0], "/v1/decisions"))
    lines: list[Json] = [line for model in document["models"] for line in model["variants"]]
    (found,) = (line for line in lines if line["deployment"] == deployment)
    return found
