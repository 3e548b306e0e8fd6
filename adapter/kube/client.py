"""One connection to the Kubernetes API: verbs on plain JSON objects, failures mapped once. It caches nothing.

Objects are plain dicts, as the API sends them: any kind works, known to this program or not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from kubernetes_asyncio.client import ApiClient, Configuration
from kubernetes_asyncio.config import ConfigException, kube_config, load_incluster_config, load_kube_config

from adapter import __version__
from adapter.errors import Conflict, Denied, Expired, NotFound, Refused, Unreachable
from adapter.kube.resource import Resource

Json: TypeAlias = dict[str, Any]

FIELD_MANAGER = "variant-autoscaler"
REQUEST_S = 10.0
"""Longest time for one answer [s], watches excepted."""

_YamlError = kube_config.yaml.YAMLError  # type: ignore[attr-defined]  # the library lets its reader's errors through

_SILENCE_S = 330.0
"""A watch ends by itself after five minutes; one that is silent for longer is dead [s]."""


class PatchType(StrEnum):
    """How the body of a patch is meant."""

    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    JSON = "application/json-patch+json"
    APPLY = "application/apply-patch+yaml"


class KubeClient:
    """The verbs of the API.

    Every method raises, of `adapter.errors`: `Unreachable` (nobody answered, too slowly, or the server is overloaded:
    try again), `Denied` (401, 403), `NotFound` (404), `Conflict` (409), `Expired` (410), `Refused` (all else).
    """

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str | None = None,
        accept: str = "application/json",
        timeout_s: float = REQUEST_S,
    ) -> Json:
        """Return the JSON object that `method` on `path` answers."""
        headers = {"Accept": accept}
        text, _ = await self._exchange(
            method, path, query, headers=headers, body=body, content_type=content_type, timeout_s=timeout_s
        )
        return _decode(method, path, text)

    async def fetch_text(self, path: str, *, timeout_s: float = REQUEST_S) -> bytes:
        """Return what GET on `path` answers, whatever it is: the API server hands on pages of pods, too."""
        text, _ = await self._exchange("GET", path, None, headers={"Accept": "*/*"}, timeout_s=timeout_s)
        return text

    async def fetch_time_s(self) -> float | None:
        """Return the API server's time [Unix s], in whole seconds; None where its answers do not tell it."""
        _, headers = await self._exchange(
            "GET", "/version", None, headers={"Accept": "application/json"}, timeout_s=REQUEST_S
        )
        try:
            return parsedate_to_datetime(headers["Date"]).timestamp()
        except (KeyError, ValueError):
            return None

    async def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        *,
        headers: dict[str, str],
        timeout_s: float,
        body: object = None,
        content_type: str | None = None,
    ) -> tuple[bytes, Mapping[str, str]]:
        """Return body and headers of a good answer."""
        if content_type is not None:
            headers["Content-Type"] = content_type
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._call(method, path, query, headers=headers, body=body)
                try:
                    text = await response.read()
                finally:
                    response.release()
        except TimeoutError as cause:
            raise Unreachable(f"{method} {path}: no answer within {timeout_s:g} s") from cause
        except (aiohttp.ClientError, OSError) as cause:
            raise Unreachable(f"{method} {path}: {type(cause).__name__}: {cause}") from cause
        _raise_for_status(method, path, response.status, text)
        return bytes(text), response.headers

    async def get(self, resource: Resource, namespace: str | None, name: str, subresource: str | None = None) -> Json:
        """Return one object."""
        return await self.request("GET", resource.get_path(namespace, name, subresource))

    async def list(
        self, resource: Resource, namespace: str | None = None, *, query: Mapping[str, str] | None = None
    ) -> Json:
        """Return the list object of `namespace`, or of all for None; ``items`` holds the objects."""
        return await self.request("GET", resource.get_path(namespace), query=query, timeout_s=60.0)

    async def create(self, resource: Resource, namespace: str | None, body: Json) -> Json:
        """Create `body` and return it as stored."""
        return await self.request(
            "POST", resource.get_path(namespace), query={"fieldManager": FIELD_MANAGER}, body=body
        )

    async def replace(
        self, resource: Resource, namespace: str | None, name: str, body: Json, subresource: str | None = None
    ) -> Json:
        """Replace an object; its ``resourceVersion`` guards against writing over others."""
        path = resource.get_path(namespace, name, subresource)
        return await self.request("PUT", path, query={"fieldManager": FIELD_MANAGER}, body=body)

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: object,
        *,
        subresource: str | None = None,
        kind: PatchType = PatchType.MERGE,
        force: bool = False,
    ) -> Json:
        """Patch an object and return it as stored; `force` takes fields over, for `PatchType.APPLY` only."""
        query = {"fieldManager": FIELD_MANAGER}
        if force:
            query["force"] = "true"
        path = resource.get_path(namespace, name, subresource)
        return await self.request("PATCH", path, query=query, body=body, content_type=kind.value)

    async def delete(self, resource: Resource, namespace: str | None, name: str) -> None:
        """Delete an object."""
        await self.request("DELETE", resource.get_path(namespace, name))

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        query: Mapping[str, str] | None = None,
        on_open: Callable[[], None] | None = None,
    ) -> AsyncGenerator[Json]:
        """Yield the events of a watch, ``{"type": ..., "object": ...}``, until the server ends it.

        `on_open` is called once the server has agreed, which may be long before the first event.
        """
        path = resource.get_path(namespace)
        full = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": "300", **(query or {})}
        try:
            async with asyncio.timeout(REQUEST_S):
                response = await self._call("GET", path, full, headers={"Accept": "application/json"})
            try:
                if response.status != 200:
                    _raise_for_status("WATCH", path, response.status, await response.read())
                if on_open is not None:
                    on_open()
                while line := await asyncio.wait_for(response.content.readline(), _SILENCE_S):
                    if line.strip():
                        yield _decode("WATCH", path, line)
            finally:
                response.close()
        except TimeoutError as cause:
            raise Unreachable(f"WATCH {path}: silent") from cause
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as cause:  # the latter: endless lines
            raise Unreachable(f"WATCH {path}: {type(cause).__name__}: {cause}") from cause

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        *,
        headers: dict[str, str],
        body: object = None,
    ) -> Any:
        return await self._api.call_api(
            path,
            method,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
        )


@asynccontextmanager
async def open_kube_client(kubeconfig: Path | None = None, context: str | None = None) -> AsyncIterator[KubeClient]:
    """Yield a client: for the cluster `kubeconfig` names, else the one this pod runs in, else the user's usual one.

    Raises
    ------
    Refused
        When no cluster is named anywhere, or the credentials cannot be used.
    """
    configuration = Configuration()
    if kubeconfig is not None and not kubeconfig.exists():
        raise Refused(f"no such file: {kubeconfig}")
    try:
        await _load(configuration, kubeconfig, context)
    except (ConfigException, _YamlError, OSError, ValueError, KeyError, TypeError) as cause:
        raise Refused(f"no Kubernetes cluster to talk to: {cause}") from cause
    async with ApiClient(configuration) as api:
        api.user_agent = f"variant-autoscaler/{__version__}"
        yield KubeClient(api)


async def _load(configuration: Configuration, kubeconfig: Path | None, context: str | None) -> None:
    if kubeconfig is None and context is None:
        try:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            return
        except ConfigException:
            pass  # not in a pod
    name = str(kubeconfig or kube_config.KUBE_CONFIG_DEFAULT_LOCATION)
    if not any(Path(path).expanduser().exists() for path in name.split(kube_config.ENV_KUBECONFIG_PATH_SEPARATOR)):
        raise ConfigException(f"no such file: {name}")
    await load_kube_config(config_file=name, context=context, client_configuration=configuration)


def _raise_for_status(method: str, path: str, code: int, text: bytes) -> None:
    if 200 <= code <= 299:
        return
    message = f"{method} {path}: {code}: {_get_message(text)}"
    if code in (401, 403):
        raise Denied(message)
    if code == 404:
        raise NotFound(message)
    if code == 409:
        raise Conflict(message)
    if code == 410:
        raise Expired(message)
    if code == 429 or code >= 500:
        raise Unreachable(message)
    raise Refused(message)


def _get_message(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:200].decode("utf-8", "replace")


def _decode(method: str, path: str, text: bytes) -> Json:
    try:
        document = json.loads(text)
    except ValueError as cause:
        raise Unreachable(f"{method} {path}: the answer is not JSON: {cause}") from cause
    if not isinstance(document, dict):
        raise Unreachable(f"{method} {path}: the answer is no JSON object")
    return document
