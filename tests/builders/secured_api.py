"""Our API as a cluster meets it: TLS on loopback, the cluster's authorities, and callers of every kind."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from adapter.external_metrics import ApiSecurity, Reviewer, ServingMaterial, build_external_metrics_app
from adapter.external_metrics.key_pair import KeyPair
from adapter.store import DecisionStore
from tests.builders.authorities import Authority, make_client_context
from tests.builders.decisions import ManualClock, make_model_decision, make_store, make_variant_decision

NAME = "autoscaler.system.svc"
VERSION = "/apis/external.metrics.k8s.io/v1beta1"
METRIC = f"{VERSION}/namespaces/prod/deployment_replicas?labelSelector=deployment%3Dllama"
DISCOVERY_ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
Headers = Sequence[tuple[str, str]]


class SwitchedCertificate:
    """A source of certificates that gives what the test puts in."""

    poll_s = 10.0

    def __init__(self, pair: KeyPair) -> None:
        self.pair = pair

    async def load(self) -> ServingMaterial:
        return ServingMaterial(self.pair)


@dataclass
class ClusterAuthorities:
    """Who vouches for whom in one cluster, and the ConfigMap that says so."""

    serving: Authority = field(default_factory=lambda: Authority("serving"))
    clients: Authority = field(default_factory=lambda: Authority("cluster"))
    proxies: Authority = field(default_factory=lambda: Authority("front-proxy-ca"))

    def __post_init__(self) -> None:
        self.aggregator = self.proxies.issue("front-proxy-client")

    def to_settings(self, **changes: object) -> dict[str, str]:
        """Return the data of the ConfigMap; `changes` by key, underscores for dashes, lists for lists."""
        data: dict[str, object] = {
            "client-ca-file": self.clients.pem,
            "requestheader-client-ca-file": self.proxies.pem,
            "requestheader-allowed-names": ["front-proxy-client"],
            "requestheader-username-headers": ["X-Remote-User"],
            "requestheader-uid-headers": ["X-Remote-Uid"],
            "requestheader-group-headers": ["X-Remote-Group"],
            "requestheader-extra-headers-prefix": ["X-Remote-Extra-"],
        }
        data |= {key.replace("_", "-"): value for key, value in changes.items()}
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in data.items()}


@dataclass
class SecuredApi:
    """One server of ours and the way to it."""

    port: int
    security: ApiSecurity
    source: SwitchedCertificate
    authorities: ClusterAuthorities
    store: DecisionStore
    clock: ManualClock

    async def get(
        self,
        path: str = METRIC,
        *,
        headers: Headers = (),
        shows: KeyPair | None = None,
        method: str = "GET",
        accept: str | None = "application/vnd.kubernetes.protobuf, */*",
        name: str = NAME,
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Return status, body and headers of a request over a connection of its own."""
        tls = make_client_context(self.authorities.serving.pem, shows)
        full = [*headers] if accept is None else [*headers, ("Accept", accept)]
        async with (
            aiohttp.ClientSession(skip_auto_headers=["Accept", "User-Agent"]) as session,
            session.request(
                method, f"https://127.0.0.1:{self.port}{path}", headers=full, ssl=tls, server_hostname=name
            ) as response,
        ):
            text = await response.read()
            assert "Retry-After" not in response.headers
            is_json = response.headers.get("Content-Type", "").startswith("application/json")
            return response.status, json.loads(text) if text and is_json else text.decode(), response.headers

    async def ask_as_proxy(
        self, path: str = METRIC, user: str = "alice", groups: Sequence[str] = (), **more: Any
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Ask as the aggregator does for `user`."""
        headers = [("X-Remote-User", user), *(("X-Remote-Group", group) for group in groups)]
        return await self.get(path, headers=headers, shows=self.authorities.aggregator, **more)


@asynccontextmanager
async def open_secured_api(reviewer: Reviewer | None, *, knows_proxies: bool = True) -> AsyncIterator[SecuredApi]:
    """Yield the API, its settings read unless told otherwise, its certificate loaded, its clock at the present."""
    authorities, clock = ClusterAuthorities(), ManualClock(time.time())
    source = SwitchedCertificate(authorities.serving.issue_server(NAME))
    store = make_store(make_model_decision(make_variant_decision("llama", 4), decided_at_s=clock.time_s - 5.0))
    security = ApiSecurity(source, clock, NAME, reviewer)
    await security.certificate.refresh()
    if knows_proxies:
        security.use_proxy_settings(authorities.to_settings())
    app = build_external_metrics_app(store, clock, 600.0, middlewares=security.middlewares, checks=security.checks)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=security.ssl_context).start()
        yield SecuredApi(runner.addresses[0][1], security, source, authorities, store, clock)
    finally:
        await runner.cleanup()
