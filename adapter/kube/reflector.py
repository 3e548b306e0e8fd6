"""The objects of one kind as the cluster has them now, kept by list and watch. It decides and writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import TypeAlias

from adapter.clock import Clock
from adapter.errors import AdapterError, BadDocument, Denied, Expired, NotFound, Unreachable
from adapter.kube.backoff import Backoff, compute_spread_ratio
from adapter.kube.client import Json, KubeClient
from adapter.kube.patience import wait_within
from adapter.kube.resource import Resource
from adapter.telemetry import log_event

SILENCE_S = 100.0
"""A watch that says nothing for so long is dead [s]; the server is asked to end it before that."""

RESYNC_S = 1800.0
"""Everything is listed anew that often [s], in case an event was lost on the way."""

ABSENT_S = 60.0
"""What is optional and not there is asked for again that often [s]."""

WATCH_TRIES = 3
"""After so many watches in a row that brought nothing everything is listed anew: perhaps they stumble over an event."""

PAGE_OBJECTS = 500
"""Objects of one page of a list, so that neither side holds its breath for long."""

_Key: TypeAlias = tuple[str, str]  # namespace, "" where there is none, and name


class ObjectCache:
    """Lists, then watches, and starts over where that does not suffice; an API that is away leaves the last objects.

    Parameters
    ----------
    client, resource, namespace
        What to follow; every namespace for None.
    clock
        Measures silence and waits.
    query
        Selectors, such as ``{"fieldSelector": "metadata.name=x"}``.
    is_optional
        A kind that is not served (its CRD is missing), or may not be read, then counts as empty instead of unsynced,
        and is asked for again every `ABSENT_S`.
    on_change
        Called after the objects changed, and when they are known for the first time; must not raise.
    trim
        Makes what is kept of an object; by default all of it is.
    silence_s, resync_s
        See `SILENCE_S`, `RESYNC_S`.
    """

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        namespace: str | None = None,
        *,
        clock: Clock,
        query: Mapping[str, str] | None = None,
        is_optional: bool = False,
        on_change: Callable[[], None] | None = None,
        trim: Callable[[Json], Json] | None = None,
        silence_s: float = SILENCE_S,
        resync_s: float = RESYNC_S,
    ) -> None:
        self.resource, self.namespace = resource, namespace
        self._client, self._clock, self._query, self._is_optional = client, clock, dict(query or {}), is_optional
        self._on_change, self._trim = on_change or _do_nothing, trim or _keep_all
        self._silence_s, self._resync_s = silence_s, resync_s
        self._seed = f"{resource.get_path(namespace)} {self._query} {clock.now_s()!r}"
        self._backoff = Backoff(self._seed)
        self._objects: dict[_Key, Json] = {}
        self._versions: dict[_Key, str] = {}
        self._sorted: tuple[Json, ...] | None = ()
        self._version: str | None = None
        self._synced = asyncio.Event()
        self._heard_s = clock.now_s()
        self._relist_s = 0.0
        self._vain_watches = 0
        self._behind_since_s: float | None = self._heard_s
        self._last_gap_s = (self._heard_s, self._heard_s)
        self._failure: str | None = None

    @property
    def is_synced(self) -> bool:
        """Whether the objects were known once; they stay known when the API goes away."""
        return self._synced.is_set()

    @property
    def behind_since_s(self) -> float | None:
        """Since when [s] changes may be missing, None while they are followed."""
        return self._behind_since_s

    @property
    def last_gap_s(self) -> tuple[float, float]:
        """When changes were last missed, from and to [s]; what was missed comes right after."""
        return self._last_gap_s

    @property
    def failure(self) -> str | None:
        """What is wrong now, None while nothing is; a missing right is named with its verb and its resource."""
        return self._failure

    async def wait_synced(self, timeout_s: float) -> None:
        """Return once the objects are known.

        Raises
        ------
        Unreachable
            When that takes longer than `timeout_s` [s]; the text tells what is wrong.
        """
        try:
            await wait_within(self._clock, timeout_s, self._synced.wait())
        except TimeoutError as cause:
            why = self._failure or "no answer yet"
            raise Unreachable(f"{self._describe()} not known within {timeout_s:g} s: {why}") from cause

    def list(self) -> tuple[Json, ...]:
        """Return all objects by namespace and name; they are shared, so nobody may change them."""
        if self._sorted is None:
            self._sorted = tuple(item for _, item in sorted(self._objects.items(), key=lambda entry: entry[0]))
        return self._sorted

    def get(self, namespace: str | None, name: str) -> Json | None:
        """Return one object; the namespace is None where the kind has none."""
        return self._objects.get((namespace or "", name))

    async def run(self) -> None:
        """Follow the cluster until canceled; no failure ends it."""
        while True:
            wait_s = 0.0
            verb = "list"
            try:
                if self._version is None or self._clock.now_s() >= self._relist_s:
                    await self._relist()
                verb = "watch"
                opened_s = self._clock.now_s()
                await self._follow()
                if self._clock.now_s() - opened_s < 1.0:  # in good order, yet much too soon
                    wait_s = self._backoff.get_wait_s(self._clock.now_s())
            except AdapterError as failure:
                wait_s = self._take_failure(verb, failure)
            await self._clock.sleep(wait_s)

    async def _relist(self) -> None:
        """Ask for all objects; what is not among them is gone."""
        try:
            objects, versions, self._version = await self._fetch_all(PAGE_OBJECTS)
        except Expired:  # changed too much from one page to the next
            objects, versions, self._version = await self._fetch_all(None)
        is_change = versions != self._versions or not self.is_synced
        self._objects, self._versions, self._vain_watches = objects, versions, 0
        self._relist_s = self._clock.now_s() + self._resync_s * (0.75 + 0.25 * compute_spread_ratio(self._seed))
        self._take_touch()
        if is_change:
            self._take_change()

    async def _fetch_all(self, page_objects: int | None) -> tuple[dict[_Key, Json], dict[_Key, str], str]:
        """Return all objects, the version of each, and the version of the whole."""
        objects: dict[_Key, Json] = {}
        versions: dict[_Key, str] = {}
        query = self._query if page_objects is None else {**self._query, "limit": str(page_objects)}
        token = ""
        while True:
            page = await self._client.list(
                self.resource, self.namespace, query={**query, "continue": token} if token else query
            )
            try:
                found = {_get_key(item): self._name_kind(item) for item in page["items"] or ()}
                versions |= {key: _get_version(item) for key, item in found.items()}
                token, version = page["metadata"].get("continue", ""), page["metadata"]["resourceVersion"]
            except (KeyError, TypeError, AttributeError) as cause:
                raise BadDocument(f"the list of {self._describe()} is none: {cause!r}") from cause
            objects |= {key: self._trim(item) for key, item in found.items()}
            if not token:
                return objects, versions, version

    async def _follow(self) -> None:
        """Take the events of one watch until the server ends it."""
        watch_s = max(int(0.8 * self._silence_s / self._clock.speed), 1)
        query = {**self._query, "resourceVersion": self._version or "", "timeoutSeconds": str(watch_s)}
        events = self._client.watch(self.resource, self.namespace, query=query, on_open=self._take_touch)
        async with aclosing(events):
            while True:
                try:
                    event = await wait_within(self._clock, self._silence_s, anext(events, None))
                except TimeoutError as cause:
                    self._behind_since_s = self._heard_s
                    raise Unreachable(f"silent for {self._silence_s:g} s") from cause
                if event is None:
                    return
                self._take_event(event)

    def _take_event(self, event: Json) -> None:
        try:
            kind, item = event["type"], event["object"]
            if kind == "ERROR":
                _raise_for_error(item)
            version = _get_version(item)
            key = None if kind == "BOOKMARK" else _get_key(item)
        except (KeyError, TypeError) as cause:
            raise BadDocument(f"an event of {self._describe()} cannot be read: {cause!r}") from cause
        self._version, self._vain_watches = version, 0
        self._take_touch()
        if key is None:
            return
        if kind == "DELETED":
            self._objects.pop(key, None)
            self._versions.pop(key, None)
        else:
            self._objects[key], self._versions[key] = self._trim(self._name_kind(item)), version
        self._take_change()

    def _name_kind(self, item: Json) -> Json:
        """Return `item` with what lists of built-in kinds leave out."""
        if "kind" in item and "apiVersion" in item:
            return item
        return {"apiVersion": self.resource.api_version, "kind": self.resource.kind, **item}

    def _take_touch(self) -> None:
        """The API speaks to us: what it said last is how things are."""
        self._heard_s = self._clock.now_s()
        if self._behind_since_s is not None:
            self._last_gap_s = self._behind_since_s, self._heard_s
        self._behind_since_s = None
        self._report(None)

    def _take_change(self) -> None:
        self._sorted = None
        self._synced.set()
        self._on_change()

    def _take_failure(self, verb: str, failure: AdapterError) -> float:
        """Note what went wrong; return how long to wait before the next try [s]."""
        now_s = self._clock.now_s()
        self._vain_watches += verb == "watch"
        if isinstance(failure, (Expired, NotFound, BadDocument)) or self._vain_watches >= WATCH_TRIES:
            self._version = None
        if self._is_optional and isinstance(failure, (NotFound, Denied)):
            self._take_absence(self._describe_denial(verb, failure) if isinstance(failure, Denied) else None)
            return ABSENT_S * (0.75 + 0.25 * compute_spread_ratio(f"{self._seed} {now_s!r}"))
        if self._behind_since_s is None:
            self._behind_since_s = now_s
        if not isinstance(failure, Expired):  # that one is no trouble: a new list follows
            self._report(self._describe_denial(verb, failure) if isinstance(failure, Denied) else str(failure))
        return self._backoff.get_wait_s(now_s)

    def _take_absence(self, failure: str | None) -> None:
        """What is optional is not there, or not for us: then there is none."""
        self._version, self._behind_since_s = None, None
        self._report(failure)
        if self._objects or not self.is_synced:
            self._objects, self._versions = {}, {}
            self._take_change()

    def _describe_denial(self, verb: str, failure: Denied) -> str:
        group = f' in API group "{self.resource.group}"' if self.resource.group else ""
        scope = f" in namespace {self.namespace}" if self.namespace is not None else ""
        return f"the right to {verb} {self.resource.plural}{group}{scope} is missing: {failure}"

    def _describe(self) -> str:
        return self.resource.get_path(self.namespace)

    def _report(self, failure: str | None) -> None:
        """Log what is wrong when that begins, changes, and ends."""
        if failure == self._failure:
            return
        self._failure = failure
        if failure is None:
            log_event("watch_recovered", objects=self._describe())
        else:
            log_event("watch_failed", level="warning", objects=self._describe(), error=failure)


def _raise_for_error(status: Json) -> None:
    message = f"{status.get('code')}: {status.get('message')}"
    if status.get("code") == 410:
        raise Expired(message)
    if status.get("code") in (401, 403):
        raise Denied(message)
    raise Unreachable(message)


def _get_key(item: Json) -> _Key:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _get_version(item: Json) -> str:
    version = item["metadata"]["resourceVersion"]
    return str(version)


def _do_nothing() -> None:
    pass


def _keep_all(item: Json) -> Json:
    return item
