"""Events on objects, for people to read: written once, counted when they come again. They never stop the caller."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from adapter.clock import Clock
from adapter.errors import AdapterError, NotFound
from adapter.kube.client import Json, KubeClient
from adapter.kube.resource import EVENTS
from adapter.kube.wire_times import render_micro_time
from adapter.telemetry import log_event

REPORTING_CONTROLLER = "variant-autoscaler.io/controller"
QUIET_S = 600.0
"""The same event is written again that long after the last time at the earliest [s]."""

MEMORY_EVENTS = 8192
"""So many different events are remembered; beyond that the oldest is forgotten, and may be written anew."""

_LONGEST_NOTE = 1024
_LONGEST_WORD = 128
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """The object that something is said about; `namespace` is None where its kind has none."""

    api_version: str
    kind: str
    namespace: str | None
    name: str
    uid: str = ""


_Saying: TypeAlias = tuple[ObjectReference, str, str]


@dataclass(slots=True)
class _Said:
    """What was written: under which name, when last [s], how often it has been said until now."""

    name: str
    written_s: float
    count: int = 1


class EventWriter:
    """Writes events of ``events.k8s.io/v1``.

    Parameters
    ----------
    instance
        Which of our processes speaks, such as the pod's name.
    """

    def __init__(self, client: KubeClient, clock: Clock, *, instance: str) -> None:
        self._client, self._clock, self._instance = client, clock, instance[:_LONGEST_WORD]
        self._said: OrderedDict[_Saying, _Said] = OrderedDict()
        self._failure: str | None = None

    async def write(
        self, about: ObjectReference, reason: str, message: str, *, is_warning: bool = False, action: str
    ) -> None:
        """Say `message` about an object, under a `reason` and for an `action` in UpperCamelCase.

        The same object, reason and message within `QUIET_S` is only counted. What goes wrong is logged when it begins
        and when it changes; the event is then as if it had never been asked for.
        """
        saying = (about, reason, message)
        said = self._said.get(saying)
        now_s = self._clock.now_s()
        if said is not None:
            said.count += 1
            if now_s - said.written_s < QUIET_S:
                return
        try:
            if said is None or not await self._bump(about, said, now_s):
                self._said.pop(saying, None)
                said = _Said(self._make_name(saying, now_s), now_s)
                self._remember(saying, said)
                await self._client.create(EVENTS, _get_home(about), self._make(said, saying, is_warning, action))
        except AdapterError as failure:
            self._said.pop(saying, None)
            self._report(about, str(failure))
            return
        said.written_s = now_s
        self._report(about, None)

    async def _bump(self, about: ObjectReference, said: _Said, now_s: float) -> bool:
        """Tell how often the event was said by now; return False when the cluster has forgotten it."""
        series = {"count": said.count, "lastObservedTime": render_micro_time(now_s)}
        try:
            await self._client.patch(EVENTS, _get_home(about), said.name, {"series": series})
        except NotFound:
            return False
        return True

    def _remember(self, saying: _Saying, said: _Said) -> None:
        self._said[saying] = said
        while len(self._said) > MEMORY_EVENTS:
            self._said.popitem(last=False)

    def _make_name(self, saying: _Saying, now_s: float) -> str:
        """Return a name that no other event has, and that begins with the object's."""
        about, reason, message = saying
        told = "\0".join((about.uid, about.kind, reason, message, self._instance, render_micro_time(now_s)))
        suffix = sha256(told.encode()).hexdigest()[:16]
        return f"{about.name[: _LONGEST_NAME - 17].rstrip('.-')}.{suffix}"

    def _make(self, said: _Said, saying: _Saying, is_warning: bool, action: str) -> Json:
        about, reason, message = saying
        regarding = {"apiVersion": about.api_version, "kind": about.kind, "name": about.name, "uid": about.uid}
        regarding["namespace"] = about.namespace or ""
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": said.name, "namespace": _get_home(about)},
            "eventTime": render_micro_time(said.written_s),
            "reportingController": REPORTING_CONTROLLER,
            "reportingInstance": self._instance,
            "action": action[:_LONGEST_WORD],
            "reason": reason[:_LONGEST_WORD],
            "regarding": {name: value for name, value in regarding.items() if value},
            "note": _shorten(message),
            "type": "Warning" if is_warning else "Normal",
        }

    def _report(self, about: ObjectReference, failure: str | None) -> None:
        if failure == self._failure:
            return
        self._failure = failure
        if failure is not None:
            log_event("event_failed", level="warning", object=f"{about.namespace}/{about.name}", error=failure)


def _get_home(about: ObjectReference) -> str:
    """Return the namespace of an event: the object's, and "default" for objects without one, as is the custom."""
    return about.namespace or "default"


def _shorten(message: str) -> str:
    """Return `message` within what a note may hold, in bytes of UTF-8."""
    encoded = message.encode()
    if len(encoded) <= _LONGEST_NOTE:
        return message
    return encoded[: _LONGEST_NOTE - 3].decode("utf-8", "ignore") + "…"
