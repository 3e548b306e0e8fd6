"""The whole product behind a real API server: who may read, whose the API is, and certificates that change.

Its clock runs fast where it looks at something every half minute.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from adapter.errors import Denied, NotFound
from adapter.external_metrics.issuing import issue_serving, make_serving_names
from adapter.external_metrics.renewal import SERVING_LIFE_S, from_data, to_data
from adapter.kube.client import Json, KubeClient, PatchType
from adapter.kube.resource import API_SERVICES, SECRETS
from tests.control_plane.asking import GROUP_PATH, ask_number, read_page
from tests.control_plane.cluster import Cluster
from tests.control_plane.product import API_SERVICE, NAME, AdapterReplica, Product, apply_rendered, open_product
from tests.control_plane.quick_clock import QuickClock
from tests.control_plane.sampling import sampling
from tests.control_plane.served_adapter import RBAC, get_metric_path, grant_readers
from tests.control_plane.workloads import Workload, get_condition, told_of
from tests.deploy.chart import Helm

CLOCK = QuickClock(10.0, behind_s=3600.0)
SECRET = f"{NAME}-certificate"


async def test_only_who_may_read_is_told_a_number(cluster: Cluster, helm: Helm, tmp_path: Path) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    await llama.create(1)
    await llama.pin(3)
    async with open_product(cluster, helm, tmp_path) as product:
        with told_of(product):
            await product.start()
            await llama.wait_for_replicas(3)  # HPA may, by the chart
            alice = await cluster.open_client(cluster.control_plane.write_kubeconfig("alice", ("dev",)))
            with pytest.raises(Denied, match="alice"):
                await ask_number(alice, llama)
            await grant_readers(cluster, "readers", [{"kind": "Group", "apiGroup": RBAC, "name": "dev"}])
            await cluster.wait_until(partial(ask_if_allowed, alice, llama), lambda it: it == 3, what="alice may read")
            with pytest.raises(NotFound, match="known there: llama"):
                await ask_number(alice, Workload(cluster, llama.namespace, "qwen"))
            with pytest.raises(NotFound, match="no metric 'queue_length'"):
                await cluster.client.request("GET", f"{GROUP_PATH}/namespaces/{llama.namespace}/queue_length")
            forged = {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"}
            assert await knock(product.adapters[0], get_metric_path(llama.namespace, "llama"), forged) == 401


async def ask_if_allowed(client: KubeClient, workload: Workload) -> int | str:
    try:
        return await ask_number(client, workload)
    except Denied as denial:
        return str(denial)


async def knock(adapter: AdapterReplica, path: str, headers: dict[str, str]) -> int:
    """Return the status that somebody gets who comes directly, with `headers` and nothing else."""
    url = f"https://127.0.0.1:{adapter.api_port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers, ssl=trust_anybody()) as answer:
        return answer.status


def trust_anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def test_an_api_that_somebody_else_has_is_left_alone_until_it_is_given_to_us(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    await llama.create(1)
    await llama.pin(3)
    values = {"config": CLOCK.make_config()}
    foreign = await cluster.create(API_SERVICES, None, make_foreign_api())
    async with open_product(
        cluster, helm, tmp_path, replicas=2, values=values, clock=CLOCK.make(), owns_api=False
    ) as product:
        with told_of(product):
            for adapter in product.adapters:
                adapter.process.start()
            await product.wait_ready()
            await see_it_left_alone(product, llama, foreign)
            await apply_rendered(cluster, product.rendered, product.namespace, product.service.port)
            await product.wait_available()
            await llama.wait_for_replicas(3)
            for adapter in product.adapters:
                await wait_for_ownership(product, adapter, "Ours")
            found = await cluster.client.get(API_SERVICES, None, API_SERVICE)
            assert not found["spec"].get("insecureSkipTLSVerify")


def make_foreign_api() -> Json:
    return {
        "metadata": {"name": API_SERVICE},
        "spec": {
            "group": "external.metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"namespace": "keda", "name": "keda-operator-metrics-apiserver", "port": 443},
        },
    }


async def see_it_left_alone(product: Product, llama: Workload, foreign: Json) -> None:
    await llama.wait_for_planned(3)
    for adapter in product.adapters:
        await wait_for_ownership(product, adapter, "Foreign")
        await product.cluster.wait_until(
            partial(read_page, adapter, f"/metrics/{llama.namespace}/llama"),
            bool,
            what=f"{adapter.name} shows a number",
        )
        (said,) = [line for line in adapter.process.read_end(400).splitlines() if '"api_service_ownership"' in line]
        event = json.loads(said)
        assert (event["level"], event["owner"]) == ("error", "keda/keda-operator-metrics-apiserver")
    found = await product.cluster.client.get(API_SERVICES, None, API_SERVICE)
    assert found["spec"] == foreign["spec"]
    assert await llama.read_replicas() == 1


async def wait_for_ownership(product: Product, adapter: AdapterReplica, wanted: str) -> None:
    line = f'variant_autoscaler_api_ownership_info{{ownership="{wanted}"}} 1'
    await product.cluster.wait_until(
        partial(read_page, adapter, "/metrics"), lambda page: line in page, what=f"{adapter.name} shows {wanted}"
    )


async def test_a_certificate_that_goes_and_one_that_ends_are_noticed_by_nobody(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    await llama.create(1)
    await llama.pin(3)
    values = {"config": CLOCK.make_config()}
    async with open_product(cluster, helm, tmp_path, replicas=2, values=values, clock=CLOCK.make()) as product:
        with told_of(product):
            await product.start()
            await llama.wait_for_replicas(3)
            available, told = partial(read_available, cluster), partial(ask_number, cluster.client, llama)
            async with sampling(available=available, told=told, asked=llama.read_replicas) as samples:
                first = await read_secret(product)
                await cluster.delete(SECRETS, product.namespace, SECRET)
                await wait_for_secret(product, lambda it: it == first, what="what was shown is kept again")

                ending = make_ending(first, product.namespace)
                encoded = {key: base64.b64encode(value).decode() for key, value in ending.items()}
                patch = {"data": encoded}
                await cluster.client.patch(SECRETS, product.namespace, SECRET, patch, kind=PatchType.MERGE)
                known = (first["tls.crt"], ending["tls.crt"])
                renewed = await wait_for_secret(
                    product, lambda it: it.get("tls.crt") not in (*known, None), what="a new certificate is made"
                )
                for adapter in product.adapters:
                    await wait_for_shown(product, adapter, renewed["tls.crt"])
                await samples["told"].wait_for_looks(20)
                await samples["available"].wait_for_looks(20)
            assert {name: sample.seen for name, sample in samples.items()} == {
                "available": ["True"],
                "told": ["3"],
                "asked": ["3"],
            }


async def read_available(cluster: Cluster) -> str:
    found = await cluster.client.get(API_SERVICES, None, API_SERVICE)
    return str(get_condition(found["status"], "Available").get("status"))


async def read_secret(product: Product) -> dict[str, bytes]:
    """Return what the Secret of the certificate holds, {} while there is none."""
    try:
        found = await product.cluster.client.get(SECRETS, product.namespace, SECRET)
    except NotFound:
        return {}
    return {key: base64.b64decode(value) for key, value in found["data"].items()}


async def wait_for_secret(
    product: Product, is_done: Callable[[dict[str, bytes]], object], *, what: str
) -> dict[str, bytes]:
    return await product.cluster.wait_until(partial(read_secret, product), is_done, what=what)


def make_ending(data: dict[str, bytes], namespace: str) -> dict[str, bytes]:
    """Return the same with a certificate of which more than two thirds of the life are over."""
    bundle, now_s = from_data(data), time.time() - CLOCK.behind_s
    names = make_serving_names(NAME, namespace)
    serving = issue_serving(bundle.authority, names, now_s - 0.75 * SERVING_LIFE_S, SERVING_LIFE_S)
    return {**to_data(bundle), "tls.crt": serving.chain_pem, "tls.key": serving.key_pem}


async def wait_for_shown(product: Product, adapter: AdapterReplica, chain_pem: bytes) -> None:
    """Return when a replica shows the certificate `chain_pem`."""

    async def look() -> bytes:
        _, writer = await asyncio.open_connection("127.0.0.1", adapter.api_port, ssl=trust_anybody())
        try:
            shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return shown
        finally:
            writer.close()

    wanted = ssl.PEM_cert_to_DER_cert(chain_pem.decode())
    await product.cluster.wait_until(look, lambda shown: shown == wanted, what=f"{adapter.name} shows it")
