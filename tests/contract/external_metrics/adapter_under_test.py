"""Any adapter behind a URL, asked as its real callers ask it; or, where none is named, ours, opened for the test."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from adapter.clock import ScaledClock
from adapter.kube.reviews import KubeReviewer
from tests.builders.fake_kube_api import open_fake_kube_api
from tests.builders.review_tables import ReviewTables
from tests.builders.secured_api import NAME, open_secured_api

GROUP = "/apis/external.metrics.k8s.io"
VERSION = f"{GROUP}/v1beta1"
METRIC = "deployment_replicas"

HPA_ACCEPT = "application/vnd.kubernetes.protobuf, */*"
KUBECTL_GET_ACCEPT = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
KUBECTL_DISCOVERY_ACCEPT = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)
MANAGER_ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
OLD_MANAGER_ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True)
class AdapterUnderTest:
    """One adapter.

    Attributes
    ----------
    url, tls, server_name
        Where it is and how it is verified; `tls` None for plain HTTP.
    token
        Bearer token of somebody who may read everything, "" for none.
    namespace, deployment
        A workload about which it has a number; "" when none is named, then what needs one is skipped.
    authenticates
        Whether it asks who asks.
    """

    url: str
    session: aiohttp.ClientSession
    tls: ssl.SSLContext | None
    server_name: str | None
    token: str
    namespace: str
    deployment: str

    @property
    def authenticates(self) -> bool:
        return bool(self.token)

    @property
    def metric_path(self) -> str:
        return f"{VERSION}/namespaces/{self.namespace}/{METRIC}"

    async def get(
        self,
        path: str,
        *,
        accept: str | None = None,
        method: str = "GET",
        is_known: bool = True,
        headers: Sequence[tuple[str, str]] = (),
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return the answer to a request with the token, or without where `is_known` is not set."""
        full = list(headers)
        if accept is not None:
            full.append(("Accept", accept))
        if is_known and self.token:
            full.append(("Authorization", f"Bearer {self.token}"))
        async with self.session.request(
            method,
            self.url + path,
            params=query,
            headers=full,
            ssl=self.tls if self.tls is not None else True,
            server_hostname=self.server_name,
            skip_auto_headers=["Accept", "User-Agent"],
        ) as response:
            answer = Answer(response.status, response.headers, await response.read())
        assert "Retry-After" not in answer.headers, "clients obey it, inside one of HPA's few workers"
        return answer

    async def get_metric(self, selector: str, *, accept: str | None = HPA_ACCEPT, **query: str) -> Answer:
        """Return the answer to what HPA asks."""
        return await self.get(self.metric_path, accept=accept, query={"labelSelector": selector, **query})


@dataclass(frozen=True)
class Target:
    """An adapter somewhere, as options and environment name it."""

    url: str
    ca_file: str
    server_name: str
    token: str
    series: str


@asynccontextmanager
async def open_target(target: Target) -> AsyncIterator[AdapterUnderTest]:
    """Yield the adapter that somebody named."""
    tls = ssl.create_default_context(cafile=target.ca_file or None) if target.url.startswith("https") else None
    token = Path(target.token[1:]).read_text().strip() if target.token.startswith("@") else target.token
    namespace, _, deployment = target.series.partition("/")
    async with aiohttp.ClientSession() as session:
        yield AdapterUnderTest(
            target.url.rstrip("/"), session, tls, target.server_name or None, token, namespace, deployment
        )


@asynccontextmanager
async def open_our_own() -> AsyncIterator[AdapterUnderTest]:
    """Yield an adapter of ours, guarded as in a cluster, where the token ``contract`` may do everything."""
    async with open_fake_kube_api() as cluster, cluster.open_client() as client:
        tables = ReviewTables(cluster)
        tables.users["contract"] = {"username": "contract", "groups": ["testers"]}
        tables.is_allowed = lambda spec: spec["user"] == "contract"
        async with (
            open_secured_api(KubeReviewer(client, ScaledClock.starting_now())) as api,
            aiohttp.ClientSession() as session,
        ):
            tls = ssl.create_default_context(cadata=api.authorities.serving.pem)
            tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
            url = f"https://127.0.0.1:{api.port}"
            yield AdapterUnderTest(url, session, tls, NAME, "contract", "prod", "llama")
