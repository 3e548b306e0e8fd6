"""Asks what consumers and people see of the product: its API, one replica's own, its pages, the events of HPAs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.request import urlopen

from adapter.errors import Unreachable
from adapter.kube.client import Json, KubeClient
from adapter.kube.resource import API_SERVICES, EVENTS, LEASES
from tests.control_plane.cluster import Cluster
from tests.control_plane.product import API_SERVICE, NAME, AdapterReplica, Product
from tests.control_plane.waiting import wait_until
from tests.control_plane.workloads import Workload

GROUP_PATH = "/apis/external.metrics.k8s.io/v1beta1"
_CANNOT_READ = ("FailedGetExternalMetric", "FailedComputeMetricsReplicas")


async def ask_number(client: KubeClient, workload: Workload) -> int:
    """Return the number of `workload` as whoever `client` asks tells it to an HPA."""
    path = f"{GROUP_PATH}/namespaces/{workload.namespace}/deployment_replicas"
    answer = await client.request("GET", path, query={"labelSelector": f"deployment={workload.name}"})
    (item,) = answer["items"]
    return int(item["value"])


async def wait_for_number(client: KubeClient, workload: Workload, number: int) -> None:
    """Return once whoever `client` asks tells `number`: every replica hears of it in its own time."""
    what = f"{number} is told for {workload.name}"
    await wait_until(partial(ask_number, client, workload), lambda told: told == number, what=what)


async def wait_for_refusal_to_tell(client: KubeClient, workload: Workload, part: str) -> None:
    """Return once whoever `client` asks gives no number, with `part` in what it says instead."""

    async def look() -> str:
        try:
            return f"{await ask_number(client, workload)} is told"
        except Unreachable as refusal:
            return str(refusal)

    await wait_until(look, lambda said: part in said, what=f"no number is told for {workload.name}: {part}")


async def open_direct_client(cluster: Cluster, adapter: AdapterReplica, folder: Path) -> KubeClient:
    """Return a client of one replica, past the API server, for somebody who may everything.

    The replica is verified as the API server does it: by the authorities that the APIService names.
    """
    found = await cluster.client.get(API_SERVICES, None, API_SERVICE)
    document = json.loads(cluster.control_plane.admin_kubeconfig.read_text(encoding="utf-8"))
    server = f"https://localhost:{adapter.api_port}"
    authority = found["spec"]["caBundle"]
    document["clusters"][0]["cluster"] = {"server": server, "certificate-authority-data": authority}
    file = folder / f"{adapter.name}-{adapter.api_port}.kubeconfig"
    file.write_text(json.dumps(document), encoding="utf-8")
    return await cluster.open_client(file)


async def read_page(adapter: AdapterReplica, path: str) -> str:
    """Return a page of one replica.

    Raises
    ------
    Unreachable
        When it has no such page, or cannot be reached.
    """

    def fetch() -> str:
        try:
            with urlopen(f"{adapter.pages_url}{path}", timeout=30.0) as answer:
                return str(answer.read().decode())
        except OSError as failure:
            raise Unreachable(f"{adapter.name}{path}: {failure}") from failure

    return await asyncio.to_thread(fetch)


async def count_passes(adapter: AdapterReplica) -> int:
    """Return how many passes of one replica went well."""
    name = 'variant_autoscaler_cycles_total{outcome="ok"} '
    lines = (await read_page(adapter, "/metrics")).splitlines()
    return next((int(float(line.removeprefix(name))) for line in lines if line.startswith(name)), 0)


async def find_leader(product: Product) -> AdapterReplica | None:
    """Return the replica that the lease names, None while it names nobody."""
    lease = await product.cluster.client.get(LEASES, product.namespace, NAME)
    holder = lease["spec"].get("holderIdentity")
    return next((adapter for adapter in product.adapters if adapter.name == holder), None)


async def list_failed_reads(workload: Workload) -> list[str]:
    """Return what the HPA of `workload` has told of reads that failed, since it exists."""
    found = (await workload.cluster.client.list(EVENTS, workload.namespace))["items"]
    about = ("HorizontalPodAutoscaler", workload.name)
    told = (it for it in found if (it["regarding"]["kind"], it["regarding"]["name"]) == about)
    return [it["note"] for it in told if it["reason"] in _CANNOT_READ]


def cannot_read(part: str = "") -> Callable[[Json], bool]:
    """Return whether an HPA says that it cannot read its metric, with `part` in what it says."""

    def is_told(autoscaler: Json) -> bool:
        conditions = autoscaler.get("status", {}).get("conditions") or []
        active: Json = next((it for it in conditions if it["type"] == "ScalingActive"), {})
        is_failing = (active.get("status"), active.get("reason")) == ("False", "FailedGetExternalMetric")
        return is_failing and part in active["message"]

    return is_told
