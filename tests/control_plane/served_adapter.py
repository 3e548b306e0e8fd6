"""Our external metrics API in front of a real API server: its own service account, its real rights, real certificates.

Only what the API needs is here; numbers are put into its store by the test.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from adapter.external_metrics import (
    ApiSecurity,
    SelfSignedCertificate,
    build_external_metrics_app,
    make_serving_names,
)
from adapter.kube.api_service import NAME, ApiServiceKeeper, ApiServiceOptions
from adapter.kube.client import Json, KubeClient
from adapter.kube.json_fields import get_condition, is_true
from adapter.kube.proxy_settings import ProxySettingsWatch
from adapter.kube.resource import API_SERVICES
from adapter.kube.reviews import KubeReviewer
from adapter.kube.serving_secret import ServingSecret
from adapter.store import DecisionStore
from tests.builders.decisions import make_model_decision, make_variant_decision
from tests.builders.ports import choose_ports
from tests.control_plane.cluster import Cluster
from tests.control_plane.sweeping import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from tests.control_plane.waiting import wait_until

SERVICE = "adapter"
SECRET = "adapter-tls"
GROUP_PATH = "/apis/external.metrics.k8s.io/v1beta1"
RBAC = "rbac.authorization.k8s.io"
MAX_AGE_S = 1e6
"""Numbers are put here once, and clocks are moved on as often as it takes until others have caught up."""

CLUSTER_RULES: list[Json] = [
    {
        "apiGroups": ["apiregistration.k8s.io"],
        "resources": ["apiservices"],
        "resourceNames": [NAME],
        "verbs": ["get", "patch"],
    },
]
RULES: list[Json] = [
    {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [SECRET], "verbs": ["get", "update"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
]


class ShiftedClock:
    """The wall's time, moved by `shift_s` [s], which a test may change."""

    speed = 1.0

    def __init__(self, shift_s: float = 0.0) -> None:
        self.shift_s = shift_s

    def now_s(self) -> float:
        return time.time() + self.shift_s

    async def sleep(self, duration_s: float) -> None:
        await asyncio.sleep(max(duration_s, 0.0))

    async def sleep_until(self, time_s: float) -> None:
        await self.sleep(time_s - self.now_s())


@dataclass
class ServedAdapter:
    """One replica that serves."""

    namespace: str
    port: int
    security: ApiSecurity
    keeper: ApiServiceKeeper
    clock: ShiftedClock
    store: DecisionStore = field(default_factory=DecisionStore)

    def publish(self, namespace: str, **replicas: int) -> None:
        """Let these deployments of `namespace` have these numbers, decided now."""
        variants = [make_variant_decision(name, count, namespace=namespace) for name, count in replicas.items()]
        self.store.publish((make_model_decision(*variants, decided_at_s=time.time()),))

    async def ask(
        self, path: str, *, token: str = "", headers: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None
    ) -> tuple[int, Any]:
        """Return status and body of a direct request, past the API server."""
        context = tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=(self.security.certificate.trusted_pem or b"").decode())
        full = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        async with (
            aiohttp.ClientSession() as session,
            session.get(
                f"https://127.0.0.1:{self.port}{path}", headers=full, ssl=context, server_hostname="localhost"
            ) as response,
        ):
            return response.status, await response.json()


def get_metric_path(namespace: str, deployment: str) -> str:
    return f"{GROUP_PATH}/namespaces/{namespace}/deployment_replicas?labelSelector=deployment%3D{deployment}"


async def grant_readers(cluster: Cluster, name: str, subjects: Sequence[Json]) -> None:
    """Let `subjects` read our metric everywhere."""
    rules = [{"apiGroups": ["external.metrics.k8s.io"], "resources": ["deployment_replicas"], "verbs": ["get", "list"]}]
    await cluster.create(CLUSTER_ROLES, None, {"metadata": {"name": name}, "rules": rules})
    await bind_cluster_role(cluster, name, name, subjects)


async def bind_cluster_role(cluster: Cluster, name: str, role: str, subjects: Sequence[Json]) -> None:
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
    await cluster.create(
        CLUSTER_ROLE_BINDINGS, None, {"metadata": {"name": name}, "roleRef": reference, "subjects": list(subjects)}
    )


def make_api_service(namespace: str, port: int) -> Json:
    """Return the APIService as the chart makes it, leading to our Service in `namespace`; it names no authority yet."""
    return {
        "metadata": {"name": NAME},
        "spec": {
            "group": "external.metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"namespace": namespace, "name": SERVICE, "port": port},
        },
    }


async def wait_available(cluster: Cluster) -> Json:
    """Return the APIService once the API server calls it available and it names our authority.

    Kubernetes 1.34 calls it available without a look at the certificate.
    """

    def is_available(found: Json) -> bool:
        return is_true(get_condition(found, "Available")) is True and "caBundle" in found["spec"]

    what = "the APIService is available and names an authority"
    return await cluster.wait_for(API_SERVICES, None, NAME, is_available, what=what)


@asynccontextmanager
async def open_served_adapter(
    cluster: Cluster, issuing: ShiftedClock | None = None, *, owns_api: bool = True
) -> AsyncIterator[ServedAdapter]:
    """Yield a replica that serves with self-signed certificates and keeps the APIService in order, every 0.3 s.

    Certificates are made by the clock `issuing`; None means by the one of everything else. Without `owns_api` no
    APIService is made.
    """
    clock = ShiftedClock()
    (port,) = choose_ports(1)
    namespace = await cluster.create_namespace("autoscaler")
    await cluster.direct_service(namespace, SERVICE)
    if owns_api:
        await cluster.create(API_SERVICES, None, make_api_service(namespace, port))
    client = await cluster.open_client(await cluster.write_service_account_kubeconfig(namespace, "adapter"))
    await _grant(cluster, namespace)
    async with AsyncExitStack() as stack:
        adapter = _compose(client, clock, issuing or clock, namespace, port)
        watch = ProxySettingsWatch(client, clock, adapter.security.use_proxy_settings)
        for work in (watch.run(), adapter.keeper.run(), adapter.security.run()):
            task = asyncio.create_task(work)
            stack.push_async_callback(_end, task)
        app = build_external_metrics_app(
            adapter.store, clock, MAX_AGE_S, adapter.security.middlewares, adapter.security.checks
        )
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=120.0, shutdown_timeout=0.0)
        await runner.setup()
        assert runner.server is not None
        server = await asyncio.get_running_loop().create_server(
            runner.server, "127.0.0.1", port, ssl=adapter.security.ssl_context
        )
        stack.push_async_callback(_close, runner, server)

        async def look() -> list[str | None]:
            return [check() for check in adapter.security.checks]

        await wait_until(look, lambda missing: not any(missing), what="certificate and settings are there")
        yield adapter


def _compose(
    client: KubeClient, clock: ShiftedClock, issuing: ShiftedClock, namespace: str, port: int
) -> ServedAdapter:
    names = make_serving_names(SERVICE, namespace)
    source = SelfSignedCertificate(
        ServingSecret(client, namespace, SECRET), issuing, names, lambda: keeper.state.ca_bundle
    )
    security = ApiSecurity(source, clock, names[0], KubeReviewer(client, clock))
    options = ApiServiceOptions(namespace, SERVICE, names_authorities=True, poll_s=0.3)
    keeper = ApiServiceKeeper(client, clock, options, get_ca_bundle=lambda: security.certificate.trusted_pem)
    return ServedAdapter(namespace, port, security, keeper, clock)


async def _grant(cluster: Cluster, namespace: str) -> None:
    """Give our account what it needs and nothing more."""
    account = [{"kind": "ServiceAccount", "namespace": namespace, "name": "adapter"}]
    await bind_cluster_role(cluster, f"{namespace}-reviews", "system:auth-delegator", account)
    await cluster.create(CLUSTER_ROLES, None, {"metadata": {"name": namespace}, "rules": CLUSTER_RULES})
    await bind_cluster_role(cluster, namespace, namespace, account)
    await cluster.create(ROLES, namespace, {"metadata": {"name": "adapter"}, "rules": RULES})
    for where, name, role in (
        (namespace, "adapter", "adapter"),
        ("kube-system", f"{namespace}-proxies", "extension-apiserver-authentication-reader"),
    ):
        reference = {"apiGroup": RBAC, "kind": "Role", "name": role}
        binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": account}
        await cluster.create(ROLE_BINDINGS, where, binding)


async def _close(runner: web.AppRunner, server: asyncio.Server) -> None:
    """Close the server without losing track of anybody: who was just let in shakes hands before the doors are shut.

    API servers come all the time, and Python forgets to close a connection that it accepts while it closes a server.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    for _ in range(10):  # many rounds of the loop, also when the machine stood still meanwhile
        await asyncio.sleep(0.02)
    server.close()
    await runner.cleanup()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
