"""A Kubernetes API in memory, over real HTTP on loopback: for quick tests, where the real one would take seconds.

    async with open_fake_kube_api() as api:
        async with api.open_client() as client:        # a KubeClient
            api.put(PODS, {...})                       # somebody else makes an object, status and all
            await client.list(PODS)

It knows no admission, no defaults, no controllers and no users. What it can do wrong on purpose: `fail`, `deny`,
`hang`, `lose_answers`, `drop_watches`, `silence_watches`, `send_error`, `forget_history`, `stop` and `start`,
`uninstall`.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate

from aiohttp import web
from kubernetes_asyncio.client import ApiClient, Configuration

from adapter.kube import resource as resources
from adapter.kube.client import KubeClient
from adapter.kube.resource import Resource
from tests.builders.fake_kube_calls import BREAKING, HANGING, LOSING, Call, Fault, ServedKinds
from tests.builders.fake_kube_patches import Json
from tests.builders.fake_kube_store import ApiFailure, FakeKubeStore, Key, is_built_in
from tests.builders.fake_kube_watch import Watch, is_wanted
from tests.builders.ports import choose_ports

ALL_RESOURCES = tuple(value for value in vars(resources).values() if isinstance(value, Resource))
START_S = 1_000_000.0


@dataclass
class FakeKubeApi:
    """One cluster's API.

    `calls` lists every request on objects; `reviewers` answer reviews, by kind; `pages` are what pods answer by way of
    the API, by path.
    """

    store: FakeKubeStore
    kinds: ServedKinds
    calls: list[Call] = field(default_factory=list)
    reviewers: dict[str, Callable[[Json], Json]] = field(default_factory=dict)
    pages: dict[str, bytes] = field(default_factory=dict)
    git_version: str = "v1.37.0"
    url: str = ""
    user: str = "system:serviceaccount:autoscaler:variant-autoscaler"
    expires_with_status: bool = False
    _faults: list[Fault] = field(default_factory=list)
    _watches: list[Watch] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    # --- What others do to the cluster ---------------------------------------------------------------------------
    def put(self, resource: Resource, body: Json, namespace: str | None = None) -> Json:
        """Make an object, status and all, or replace it; return it as stored."""
        about = body["metadata"]
        key = (about.get("namespace", namespace or "default") if resource.namespaced else "", about["name"])
        try:
            self.store.get(resource, key)
        except ApiFailure:
            return self.store.put(resource, key[0] or None, body)
        kept = self.store.replace(resource, key, {**body, "metadata": {**about, "resourceVersion": ""}})
        return (
            self.store.replace(resource, key, {**kept, **body, "metadata": {}}, "status") if "status" in body else kept
        )

    def change(self, resource: Resource, namespace: str | None, name: str, patch: Json) -> Json:
        """Merge `patch` into an object, status and all."""
        key = (namespace or "", name)
        kept = self.store.patch(resource, key, patch, "merge")
        return self.store.patch(resource, key, patch, "merge", subresource="status") if "status" in patch else kept

    def remove(self, resource: Resource, namespace: str | None, name: str) -> None:
        """Delete an object."""
        self.store.delete(resource, (namespace or "", name))

    def get(self, resource: Resource, namespace: str | None, name: str) -> Json:
        """Return an object as stored."""
        return self.store.get(resource, (namespace or "", name))

    def list(self, resource: Resource, namespace: str | None = None) -> list[Json]:
        """Return the objects as stored."""
        return self.store.list(resource, namespace)

    def install(self, resource: Resource, *, has_scale: bool = False) -> None:
        """Serve one more kind of object, as if its CRD had come."""
        if resource not in self.kinds.resources:
            self.kinds.resources.append(resource)
        if has_scale:
            self.kinds.scalable.add(resource)

    def uninstall(self, resource: Resource) -> None:
        """Serve a kind no more; its watches end, its objects are gone."""
        self.kinds.resources.remove(resource)
        for item in self.store.list(resource):
            self.store.delete(resource, (item["metadata"].get("namespace", ""), item["metadata"]["name"]))
        self.end_watches(resource)

    def count(self, verb: str, plural: str | None = None) -> int:
        """Return how many requests of `verb` came, on `plural` or on all."""
        return sum(call.verb == verb and plural in (None, call.plural) for call in self.calls)

    def count_writes(self) -> Counter[str]:
        """Return how many writes came, by plural."""
        return Counter(call.plural for call in self.calls if call.verb in ("create", "update", "patch", "delete"))

    # --- What goes wrong ---------------------------------------------------------------------------------------------
    def fail(
        self,
        code: int,
        *,
        verb: str | None = None,
        plural: str | None = None,
        message: str = "it went wrong",
        reason: str = "",
        times: int | None = None,
    ) -> None:
        """Answer matching requests with `code`; 0 breaks the connection instead.

        Discovery goes wrong only where `plural` is its path, such as ``apis/apps/v1``.
        """
        self._faults.append(Fault(code, verb, plural, message, reason, times))

    def hang(self, *, verb: str | None = None, plural: str | None = None, times: int | None = None) -> None:
        """Take matching requests and never answer."""
        self.fail(HANGING, verb=verb, plural=plural, times=times)

    def lose_answers(self, *, verb: str | None = None, plural: str | None = None, times: int | None = None) -> None:
        """Do what matching requests ask for, and break the connection instead of saying so."""
        self.fail(LOSING, verb=verb, plural=plural, times=times)

    def deny(self, verb: str, plural: str) -> None:
        """Take a right away from whoever asks."""
        self.fail(403, verb=verb, plural=plural, message="")

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self._faults.clear()

    def get_watches(self, resource: Resource | None = None) -> int:
        """Return how many watches are open, silent ones too."""
        return sum(resource in (None, watch.resource) for watch in self._watches)

    def send_bookmarks(self) -> None:
        """Tell every watch how far it is."""
        for watch in self._watches:
            about = {"resourceVersion": str(self.store.version)}
            item = {"kind": watch.resource.kind, "apiVersion": watch.resource.api_version, "metadata": about}
            watch.offer({"type": "BOOKMARK", "object": item})

    def end_watches(self, resource: Resource | None = None) -> None:
        """End watches in good order, as the API server does after `timeoutSeconds`."""
        for watch in self._watches:
            if resource in (None, watch.resource):
                watch.offer(None)

    def send_error(self, code: int, message: str = "it went wrong") -> None:
        """Tell every watch of an error, and end it."""
        for watch in self._watches:
            watch.offer({"type": "ERROR", "object": ApiFailure(code, message).to_status()})
            watch.offer(None)

    def drop_watches(self) -> None:
        """Break the connection of every watch."""
        for watch in self._watches:
            if watch.transport is not None:
                watch.transport.abort()

    def silence_watches(self) -> None:
        """Let the open watches hear nothing more, as if the other end had vanished without a word."""
        for watch in self._watches:
            watch.is_silent = True

    def forget_history(self) -> None:
        """Make every version so far too old to watch from, and every listing too old to go on with."""
        self.store.forget_history()

    async def stop(self) -> None:
        """Be away: connections break, new ones are refused."""
        self.drop_watches()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def start(self) -> None:
        """Be there, at the same address as before."""
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
        await self._runner.setup()
        # One that nobody else may have while it is stopped.
        port = int(self.url.rsplit(":", 1)[1]) if self.url else choose_ports(1)[0]
        await web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    @asynccontextmanager
    async def open_client(self) -> AsyncIterator[KubeClient]:
        """Yield a client of this API."""
        async with ApiClient(Configuration(host=self.url)) as api:
            yield KubeClient(api)

    # --- HTTP --------------------------------------------------------------------------------------------------------
    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            path = request.path.strip("/")
            if path == "version":
                major, minor = self.git_version.lstrip("v").split(".")[:2]
                version = {"major": major, "minor": minor, "gitVersion": self.git_version}
                return web.json_response(version, headers={"Date": formatdate(self.store.now_s(), usegmt=True)})
            if (document := self.kinds.discover(path)) is not None:
                await self._befall(request, Call("get", "", path, None, "", "", {}, None), only=path)
                return web.json_response(document)
            resource, call = await self.kinds.read(request)
            self.calls.append(call)
            is_answer_lost = await self._befall(request, call)
            if (page := self.pages.get(request.path)) is not None:
                return web.Response(body=page)
            if call.verb == "watch":
                return await self._watch(request, resource, call)
            code, item = self._do(resource, call, request.content_type)
            if is_answer_lost:
                await _break_off(request)
            return web.json_response(item, status=code)
        except ApiFailure as failure:
            return web.json_response(failure.to_status(), status=failure.code)

    async def _befall(self, request: web.Request, call: Call, only: str | None = None) -> bool:
        """Let go wrong what is to, `only` faults of this plural; return whether the answer is to be lost."""
        faults = (fault for fault in self._faults if only in (None, fault.plural))
        fault = next((fault for fault in faults if fault.takes(call)), None)
        if fault is None:
            return False
        if fault.code == HANGING:
            await asyncio.Event().wait()
        if fault.code == BREAKING:
            await _break_off(request)
        if fault.code != LOSING:
            raise ApiFailure(fault.code, fault.message or call.describe_denial(self.user), fault.reason)
        return True

    def _do(self, resource: Resource, call: Call, content_type: str) -> tuple[int, Json]:
        key = (call.namespace or "", call.name)
        manager = call.query.get("fieldManager", "")
        if call.verb == "list":
            return 200, self._list(resource, call)
        if call.verb == "delete":
            return 200, self.store.delete(resource, key)
        if call.subresource == "scale":
            return 200, self._scale(resource, key, call, manager)
        if call.verb == "get":
            return 200, self.store.get(resource, key)
        assert isinstance(call.body, dict | list)
        if call.verb == "patch" and "apply" in content_type:
            assert isinstance(call.body, dict)
            force = call.query.get("force") == "true"
            is_new = key not in {_get_key(item) for item in self.store.list(resource)}
            applied = self.store.apply(
                resource, key, call.body, manager=manager, force=force, subresource=call.subresource
            )
            return 201 if is_new else 200, applied
        if call.verb == "patch":
            sub = call.subresource
            return 200, self.store.patch(resource, key, call.body, content_type, subresource=sub, manager=manager)
        assert isinstance(call.body, dict)
        if call.verb == "update":
            return 200, self.store.replace(resource, key, call.body, call.subresource, manager)
        if resource.kind.endswith("Review"):
            return 201, {**call.body, "status": self.reviewers[resource.kind](call.body)}
        return 201, self.store.create(resource, call.namespace, call.body, manager)

    def _list(self, resource: Resource, call: Call) -> Json:
        items = [item for item in self.store.list(resource, call.namespace) if is_wanted(item, call.query)]
        about: Json = {"resourceVersion": str(self.store.version)}
        if token := call.query.get("continue"):
            after = json.loads(base64.urlsafe_b64decode(token))
            if after["version"] < self.store.oldest_version:
                raise ApiFailure(410, "The provided continue parameter is too old to display a consistent list result.")
            items = [item for item in items if list(_get_key(item)) > after["key"]]
            about["resourceVersion"] = str(after["version"])
        limit = int(call.query.get("limit", 0))
        if limit and len(items) > limit:
            items = items[:limit]
            after = {"version": int(about["resourceVersion"]), "key": list(_get_key(items[-1]))}
            about["continue"] = base64.urlsafe_b64encode(json.dumps(after).encode()).decode()
        return {
            "kind": f"{resource.kind}List",
            "apiVersion": resource.api_version,
            "metadata": about,
            "items": [_drop_kind(item) for item in items] if is_built_in(resource) else items,
        }

    def _scale(self, resource: Resource, key: Key, call: Call, manager: str) -> Json:
        if not self.kinds.has_scale(resource):
            raise ApiFailure(404, "the server could not find the requested resource")
        before = _to_scale(self.store.get(resource, key))
        if call.verb == "get":
            return before
        assert isinstance(call.body, dict)
        about = {"resourceVersion": call.body.get("metadata", {}).get("resourceVersion")}
        wanted = call.body.get("spec", {}).get("replicas", before["spec"].get("replicas", 0))
        if not isinstance(wanted, int) or wanted < 0:
            raise ApiFailure(422, "Scale is invalid: spec.replicas: must be greater than or equal to 0")
        patch = {"metadata": about if about["resourceVersion"] else {}, "spec": {"replicas": wanted}}
        return _to_scale(self.store.patch(resource, key, patch, "merge", manager=manager))

    async def _watch(self, request: web.Request, resource: Resource, call: Call) -> web.StreamResponse:
        watch = Watch(resource, call.namespace, call.query, transport=request.transport)
        error: Json | None = None
        try:
            past = self.store.since(resource, int(call.query.get("resourceVersion") or self.store.version))
        except ApiFailure as failure:
            if self.expires_with_status:
                raise
            past, error = (), failure.to_status()
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        for change in past:
            watch.hear(change)
        self._watches.append(watch)
        self.store.listeners.append(watch.hear)
        try:
            await response.prepare(request)
            if error is not None:
                await response.write(json.dumps({"type": "ERROR", "object": error}).encode() + b"\n")
                return response
            while (event := await watch.events.get()) is not None:
                await response.write(json.dumps(event).encode() + b"\n")
        except ConnectionError:
            pass  # the watcher went away
        finally:
            self._watches.remove(watch)
            self.store.listeners.remove(watch.hear)
        return response


async def _break_off(request: web.Request) -> None:
    """Break the connection; nothing comes after that."""
    assert request.transport is not None
    request.transport.abort()
    await asyncio.Event().wait()


def _get_key(item: Json) -> Key:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _drop_kind(item: Json) -> Json:
    """Return `item` as it stands in lists of built-in kinds: it does not say again what it is."""
    return {name: value for name, value in item.items() if name not in ("kind", "apiVersion")}


def _to_scale(item: Json) -> Json:
    spec, status = item.get("spec", {}), item.get("status", {})
    labels = spec.get("selector", {}).get("matchLabels", {}) if isinstance(spec.get("selector"), dict) else {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    names = ("name", "namespace", "uid", "resourceVersion")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: item["metadata"][name] for name in names},
        # Go leaves a zero out here
        "spec": {"replicas": spec["replicas"]} if spec.get("replicas", 1) else {},
        "status": {
            "replicas": status.get("replicas", 0),
            "selector": status.get("selector", status.get("hpaPodSelector", selector)),
        },
    }


@asynccontextmanager
async def open_fake_kube_api(
    *, without: Iterable[Resource] = (), now_s: Callable[[], float] = lambda: START_S
) -> AsyncIterator[FakeKubeApi]:
    """Yield a running API that serves every kind of `adapter.kube.resource` but those in `without`."""
    served = [resource for resource in ALL_RESOURCES if resource not in set(without)]
    api = FakeKubeApi(FakeKubeStore(now_s), ServedKinds(served))
    await api.start()
    try:
        yield api
    finally:
        await api.stop()
