"""The product in a real cluster: the chart's own objects applied, its replicas as processes on loopback.

The chart's Deployment is the only object left out, since no container can run here; its account, rights, configuration
and APIService are those that are installed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import yaml

from adapter.kube.client import Json
from adapter.kube.mapper import ResourceMapper
from adapter.kube.resource import API_SERVICES
from tests.builders.ports import choose_ports
from tests.control_plane.cluster import Cluster
from tests.control_plane.fake_service import FakeService, open_fake_service
from tests.control_plane.server_process import ServerProcess
from tests.deploy.chart import ROOT, Helm, Rendered

API_SERVICE = "v1beta1.external.metrics.k8s.io"
NAME = "variant-autoscaler"
_NOT_APPLIED = frozenset({"Deployment", "Service"})

FAST_VALUES: Json = {
    "config": {
        "decision": {"period": "1s", "calm_window": 0, "stale_after": "5s", "actuation_delay": "1s"},
        "collection": {"jitter": 0, "timeout": "2s"},
        "publishing": {"max_decision_age": "20s"},
        "listen": {"drain": "1s"},
        "accelerators": {"L40S": {"cost_per_hour": 0.79}, "A100": {"cost_per_hour": 1.39}},
        "service_classes": {"interactive": {"ttft": "2s", "itl": "50ms", "percentile": 95}},
        "default_service_class": "interactive",
    }
}
"""Values of the chart for tests: a pass every second, nothing waited for that a test need not wait for."""


@dataclass(frozen=True, slots=True)
class AdapterReplica:
    """One replica of the adapter.

    Attributes
    ----------
    name
        As a pod of it would be called.
    process
        Started, killed and paused by tests.
    pages_url
        Base address of its pages.
    api_port
        Port of its external metrics API.
    """

    name: str
    process: ServerProcess
    pages_url: str
    api_port: int

    async def is_ready(self) -> bool:
        """Whether it says so."""
        return await asyncio.to_thread(_is_ok, f"{self.pages_url}/readyz")


@dataclass(frozen=True, slots=True)
class Product:
    """An installation of the product.

    Attributes
    ----------
    namespace
        Where it is installed.
    adapters
        Its replicas.
    service
        Stands before them.
    rendered
        What the chart made.
    kubeconfig
        Credentials of its service account.
    """

    cluster: Cluster
    namespace: str
    adapters: tuple[AdapterReplica, ...]
    service: FakeService
    rendered: Rendered
    kubeconfig: Path

    async def start(self) -> None:
        """Start every replica, and return when the API server finds them available."""
        for adapter in self.adapters:
            adapter.process.start()
        await self.wait_ready()
        await self.wait_available()

    async def wait_ready(self) -> None:
        """Return when every replica is ready."""
        await asyncio.gather(*(asyncio.to_thread(adapter.process.wait_until_ready) for adapter in self.adapters))

    async def wait_available(self, status: str = "True") -> None:
        """Return when the condition Available of the APIService has `status`."""
        await self.cluster.wait_for(
            API_SERVICES,
            None,
            API_SERVICE,
            lambda found: _get_condition(found, "Available").get("status") == status,
            what=f"APIService Available={status}",
        )

    async def read_metric(self, namespace: str, deployment: str) -> Json:
        """Return what the API server answers for our metric, as HPA asks for it."""
        path = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/deployment_replicas"
        return await self.cluster.client.request("GET", path, query={"labelSelector": f"deployment={deployment}"})

    async def read_number(self, namespace: str, deployment: str) -> int:
        """Return the number that HPA is told."""
        (item,) = (await self.read_metric(namespace, deployment))["items"]
        return int(item["value"])

    def read_logs(self) -> str:
        """Return the end of every replica's log."""
        return "\n".join(f"--- {adapter.name}\n{adapter.process.read_end(60)}" for adapter in self.adapters)


@asynccontextmanager
async def open_product(
    cluster: Cluster,
    helm: Helm,
    folder: Path,
    *,
    replicas: int = 1,
    values: Mapping[str, Any] | None = None,
    clock: str | None = None,
    namespace: str | None = None,
    owns_api: bool = True,
) -> AsyncIterator[Product]:
    """Yield an installed product whose replicas are not started yet; they are gone afterwards.

    Parameters
    ----------
    cluster, helm
        Where it is installed, and with what.
    folder
        For configuration files and logs.
    replicas
        How many.
    values
        Of the chart, laid over `FAST_VALUES`.
    clock
        ``START,SPEED,WALL`` as `variant-autoscaler run --clock` takes it.
    namespace
        Where to install it; a new one by default.
    owns_api
        Whether the APIService is applied.
    """
    home = namespace or await cluster.create_namespace("autoscaler")
    rendered = helm.render(merge(FAST_VALUES, values or {}), release=NAME, namespace=home)
    ports = choose_ports(2 * replicas)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(open_fake_service([("127.0.0.1", port) for port in ports[:replicas]]))
        await apply_rendered(cluster, rendered, home, service.port, owns_api=owns_api)
        kubeconfig = await cluster.write_service_account_kubeconfig(home, NAME)
        adapters = []
        for index in range(replicas):
            name = f"adapter-{index}"
            text = localize(rendered.get_configuration(), kubeconfig, ports[index], ports[replicas + index])
            file = folder / f"{home}-{name}.yaml"
            file.write_text(text, encoding="utf-8")
            process = make_process(folder, home, name, file, pages_port=ports[replicas + index], clock=clock)
            stack.callback(process.kill)
            adapters.append(AdapterReplica(name, process, f"http://127.0.0.1:{ports[replicas + index]}", ports[index]))
        yield Product(cluster, home, tuple(adapters), service, rendered, kubeconfig)


async def apply_rendered(
    cluster: Cluster, rendered: Rendered, namespace: str, port: int, *, owns_api: bool = True
) -> None:
    """Apply what the chart made, the Service leading to `port` of loopback."""
    mapper = ResourceMapper(cluster.client)
    await cluster.direct_service(namespace, NAME)
    # Kinds of a CRD can be found only once it is established, and rights must be there before they are bound.
    for found in sorted(rendered.objects, key=lambda item: item["kind"] != "CustomResourceDefinition"):
        kind = found["kind"]
        if kind in _NOT_APPLIED or (kind == "APIService" and not owns_api):
            continue
        body = {**found}
        if kind == "APIService":
            body["spec"] = {**found["spec"], "service": {**found["spec"]["service"], "port": port}}
        resource = await mapper.find(found["apiVersion"], kind)
        home = found["metadata"].get("namespace", namespace) if resource.namespaced else None
        await cluster.apply(resource, home, body)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid over it, mapping by mapping."""
    merged = dict(base)
    for key, value in over.items():
        inner = merged.get(key)
        merged[key] = merge(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return merged


def localize(text: str, kubeconfig: Path, api_port: int, pages_port: int) -> str:
    """Return the configuration with everything on loopback, and the account's credentials in a file."""
    configuration = yaml.safe_load(text)
    listen = configuration["listen"]
    listen["pages"] = {"host": "127.0.0.1", "port": pages_port}
    if listen.get("external_metrics"):
        listen["external_metrics"] |= {"host": "127.0.0.1", "port": api_port}
    configuration["kubernetes"]["kubeconfig"] = str(kubeconfig)
    return yaml.safe_dump(configuration)


def make_process(
    folder: Path, home: str, name: str, file: Path, *, pages_port: int, clock: str | None = None
) -> ServerProcess:
    """Return the process of one replica, configured by `file`, not started."""
    environment = [f"POD_NAME={name}", f"POD_NAMESPACE={home}", f"PYTHONPATH={ROOT}"]
    command = ["/usr/bin/env", *environment, sys.executable, "-m", "adapter", "run", "--config", str(file)]
    if clock is not None:
        command += ["--clock", clock]
    log = folder / f"{home}-{name}.{os.getpid()}.log"
    return ServerProcess(f"{home}/{name}", command, log, lambda: _is_ok(f"http://127.0.0.1:{pages_port}/readyz"))


def _is_ok(url: str) -> bool:
    try:
        with urlopen(url, timeout=2.0) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _get_condition(found: Json, kind: str) -> Json:
    conditions = (found.get("status") or {}).get("conditions") or []
    return next((entry for entry in conditions if entry.get("type") == kind), {})
