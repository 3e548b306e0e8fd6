"""A cluster as one test sees it: the API as admin, namespaces of its own, and everything swept away afterwards."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from adapter.errors import Conflict, NotFound
from adapter.kube.client import Json, KubeClient, PatchType, open_kube_client
from adapter.kube.resource import NAMESPACES, SERVICES, Resource
from tests.control_plane.control_plane import ControlPlane
from tests.control_plane.sweeping import sweep
from tests.control_plane.waiting import PATIENCE_S, wait_until

T = TypeVar("T")

SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
_FIELD_MANAGER = "test"


class Cluster:
    """What a test does to the cluster.

    Attributes
    ----------
    client
        The API, as admin.
    control_plane
        The processes.
    """

    def __init__(self, client: KubeClient, control_plane: ControlPlane, numbers: Iterable[int]) -> None:
        self.client = client
        self.control_plane = control_plane
        self._numbers = iter(numbers)
        self._ending = AsyncExitStack()

    async def close(self) -> None:
        """Close every client that was opened here."""
        await self._ending.aclose()

    async def create_namespace(self, prefix: str = "test", labels: Mapping[str, str] | None = None) -> str:
        """Create a namespace that no other test had, and return its name."""
        name = f"{prefix}-{next(self._numbers)}"
        await self.make_namespace(name, labels)
        return name

    async def make_namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Create the namespace `name`."""
        await self.client.create(
            NAMESPACES,
            None,
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}},
        )

    async def create(self, resource: Resource, namespace: str | None, body: Json) -> Json:
        """Create an object and return it as stored; apiVersion and kind are filled in."""
        return await self.client.create(
            resource, namespace, {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        )

    async def apply(self, resource: Resource, namespace: str | None, body: Json) -> Json:
        """Apply an object on the server's side, as ``kubectl apply --server-side`` does, and return it as stored."""
        full = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        path = resource.get_path(namespace, str(full["metadata"]["name"]))
        query = {"fieldManager": _FIELD_MANAGER, "force": "true"}
        return await self.client.request("PATCH", path, query=query, body=full, content_type=PatchType.APPLY.value)

    async def delete(self, resource: Resource, namespace: str | None, name: str) -> None:
        """Delete an object and what it owns, if it is there."""
        try:
            await self.client.request(
                "DELETE", resource.get_path(namespace, name), query={"propagationPolicy": "Background"}
            )
        except NotFound:
            return

    async def wait_until(
        self,
        look: Callable[[], Awaitable[T]],
        is_done: Callable[[T], object],
        *,
        what: str,
        timeout_s: float = PATIENCE_S,
    ) -> T:
        """Return the first result of `look` that `is_done` accepts; see `tests.control_plane.waiting`."""
        return await wait_until(look, is_done, what=what, timeout_s=timeout_s)

    async def wait_for(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        is_done: Callable[[Json], object],
        *,
        what: str,
        timeout_s: float = PATIENCE_S,
    ) -> Json:
        """Return an object once `is_done` accepts it."""

        async def look() -> Json:
            return await self.client.get(resource, namespace, name)

        return await wait_until(look, is_done, what=what, timeout_s=timeout_s)

    async def open_client(self, kubeconfig: Path) -> KubeClient:
        """Return a client with other credentials, closed with the test."""
        return await self._ending.enter_async_context(open_kube_client(kubeconfig))

    async def write_service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Return credentials of a service account, which is made when it is not there; valid for an hour."""
        with suppress(Conflict):
            await self.create(SERVICE_ACCOUNTS, namespace, {"metadata": {"name": name}})
        return self.control_plane.write_token_kubeconfig(
            f"sa-{namespace}-{name}", await self.mint_token(namespace, name)
        )

    async def mint_token(self, namespace: str, name: str, *, audiences: Iterable[str] = (), life_s: int = 3600) -> str:
        """Return a token of a service account that exists; life_s >= 600."""
        spec = {"expirationSeconds": life_s, **({"audiences": list(audiences)} if audiences else {})}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = SERVICE_ACCOUNTS.get_path(namespace, name, "token")
        return str((await self.client.request("POST", path, body=body))["status"]["token"])

    async def direct_service(self, namespace: str, name: str, host: str = "localhost") -> None:
        """Make a Service that leads to `host`: an APIService that names it, with the real port, is sent there."""
        await self.apply(
            SERVICES, namespace, {"metadata": {"name": name}, "spec": {"type": "ExternalName", "externalName": host}}
        )


_NUMBERS = itertools.count(1)


@asynccontextmanager
async def open_cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    """Yield the cluster for one test, then sweep away what the test left."""
    async with open_kube_client(control_plane.admin_kubeconfig) as client:
        cluster = Cluster(client, control_plane, _NUMBERS)
        try:
            yield cluster
        finally:
            await cluster.close()
            control_plane.start()
            await sweep(client)
