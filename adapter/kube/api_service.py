"""Whose the external metrics API of this cluster is: ours is kept in order, somebody else's is never touched.

The name of the object follows from group and version, so a cluster has one owner of it. It makes none, since that is
the chart's, and serves nothing itself.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from adapter.clock import Clock
from adapter.errors import AdapterError, Conflict, NotFound
from adapter.kube.client import Json, KubeClient
from adapter.kube.events import EventWriter, ObjectReference
from adapter.kube.json_fields import get_condition, get_text, is_true
from adapter.kube.resource import API_SERVICES
from adapter.telemetry import log_event

NAME = "v1beta1.external.metrics.k8s.io"
POLL_S = 10.0
HURRY_S = 0.5


class Ownership(StrEnum):
    """Who has the API."""

    UNKNOWN = "Unknown"  # not looked yet, or may not look
    ABSENT = "Absent"
    OURS = "Ours"
    FOREIGN = "Foreign"


_ABSENT = "nobody serves the external metrics API of this cluster: helm upgrade brings it back"

_MEANINGS = {
    Ownership.ABSENT: _ABSENT,
    Ownership.FOREIGN: "our numbers reach nobody through it; it is left alone, and pages go on",
}
_LEVELS = {Ownership.ABSENT: "warning", Ownership.FOREIGN: "error"}


@dataclass(frozen=True, slots=True)
class ApiServiceState:
    """What was seen at the last look.

    Attributes
    ----------
    ownership
        Who has the API.
    owner
        ``namespace/name`` of the Service it leads to, "" when there is none.
    ca_bundle
        The authorities by which API servers verify that Service [PEM], None when it names none.
    is_trusted
        Whether those are the authorities we want there; None when we want none in particular, or it is not ours.
    is_available
        Condition ``Available``, None when it says nothing.
    message
        Why it is not available, what brings it back where there is none, or why nothing can be said or done.
    """

    ownership: Ownership = Ownership.UNKNOWN
    owner: str = ""
    ca_bundle: bytes | None = None
    is_trusted: bool | None = None
    is_available: bool | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class ApiServiceOptions:
    """What ours looks like.

    Attributes
    ----------
    namespace, service
        The Service in front of our replicas.
    manage
        Whether we may write: keep its authorities up to date where it is ours.
    names_authorities
        Whether it has to name authorities of our making.
    poll_s
        How often to look [s]; sooner at first while authorities of our making are not named there yet.
    """

    namespace: str
    service: str
    manage: bool = True
    names_authorities: bool = False
    poll_s: float = POLL_S

    @property
    def owner(self) -> str:
        """``namespace/name`` of our Service."""
        return f"{self.namespace}/{self.service}"


class ApiServiceKeeper:
    """Looks at the APIService again and again, and writes to it where it is ours.

    Our account needs ``get`` and ``patch`` on this APIService.

    Parameters
    ----------
    get_ca_bundle
        Tells the authorities [PEM] by which callers should verify us, None when somebody else sees to that.
    is_leader
        Whether this replica writes; all of them look.
    on_change
        Called with the state whenever it changes, for metrics and conditions; must not raise.
    events
        Where the leader tells people, about our Service, that somebody else has the APIService; None tells nobody.
    """

    def __init__(
        self,
        client: KubeClient,
        clock: Clock,
        options: ApiServiceOptions,
        *,
        get_ca_bundle: Callable[[], bytes | None] = lambda: None,
        is_leader: Callable[[], bool] = lambda: True,
        on_change: Callable[[ApiServiceState], None] = lambda _state: None,
        events: EventWriter | None = None,
    ) -> None:
        self._client, self._clock, self._options = client, clock, options
        self._get_ca_bundle, self._is_leader, self._on_change = get_ca_bundle, is_leader, on_change
        self._events = events
        self._failure = ""
        self.state = ApiServiceState()

    async def run(self) -> None:
        """Look, and write where that is ours to do, until cancelled; no failure ends it."""
        hurry_s = HURRY_S
        while True:
            await self.look()
            hurry_s = HURRY_S if self._is_settled() else 2.0 * hurry_s
            await self._clock.sleep(self._options.poll_s if self._is_settled() else min(hurry_s, self._options.poll_s))

    def _is_settled(self) -> bool:
        """Whether nothing is known to be missing that we could see to soon: callers wait for our authorities."""
        is_ours = self.state.ownership is not Ownership.FOREIGN and self._options.names_authorities
        return not is_ours or self.state.is_trusted is True

    async def look(self) -> ApiServiceState:
        """Look once, write what is due, and return what was seen then."""
        failure, seen = "", self.state
        try:
            found = await self._find()
            seen = self._read(found)
            if self._options.manage and self._is_leader():
                seen = self._read(await self._keep(found, seen))
        except Conflict:
            pass  # somebody was faster: the next look shows what became of it
        except AdapterError as cause:
            failure = str(cause)
        if failure and failure != self._failure:
            log_event("api_service_failed", level="warning", name=NAME, why=failure)
        self._failure = failure
        self._tell(replace(seen, message=failure or seen.message))
        if self.state.ownership is Ownership.FOREIGN and self._events is not None and self._is_leader():
            await self._warn(self._events)
        return self.state

    async def _warn(self, events: EventWriter) -> None:
        """Say who has the APIService; said again and again, it is one event that counts."""
        service = ObjectReference("v1", "Service", self._options.namespace, self._options.service)
        message = f"{NAME} leads to {self.state.owner}: {_MEANINGS[Ownership.FOREIGN]}"
        await events.write(service, "ApiServiceNotOurs", message, is_warning=True, action="Serve")

    def _read(self, found: Json | None) -> ApiServiceState:
        return read_api_service(found, self._options.owner, self._get_ca_bundle())

    async def _find(self) -> Json | None:
        try:
            return await self._client.get(API_SERVICES, None, NAME)
        except NotFound:
            return None

    async def _keep(self, found: Json | None, seen: ApiServiceState) -> Json | None:
        """Return the object after writing what is due: nothing at all where there is none, or it is another's."""
        wanted = self._get_ca_bundle()
        if found is None or seen.ownership is not Ownership.OURS or seen.is_trusted is not False or wanted is None:
            return found
        patch = {
            "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},  # as long as it still is ours
            "spec": {"caBundle": base64.b64encode(wanted).decode(), "insecureSkipTLSVerify": None},
        }
        patched = await self._client.patch(API_SERVICES, None, NAME, patch)
        log_event("api_service_trusts", name=NAME, authorities=wanted.count(b"-----BEGIN CERTIFICATE-----"))
        return patched

    def _tell(self, state: ApiServiceState) -> None:
        if state == self.state:
            return
        before, self.state = self.state, state
        if state.ownership is not before.ownership or state.owner != before.owner:
            log_event(
                "api_service_ownership",
                level=_LEVELS.get(state.ownership, "info"),
                name=NAME,
                ownership=state.ownership.value,
                owner=state.owner,
                meaning=_MEANINGS.get(state.ownership, ""),
            )
        self._on_change(state)


def read_api_service(found: Json | None, owner: str, ca_bundle: bytes | None = None) -> ApiServiceState:
    """Return what the APIService `found` (None where there is none) tells to the Service `owner` (``namespace/name``).

    Parameters
    ----------
    ca_bundle
        The authorities it should name [PEM]; None when any will do.
    """
    if found is None:
        return ApiServiceState(Ownership.ABSENT, message=_ABSENT)
    spec = found.get("spec") or {}
    service = spec.get("service")
    leads_to = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else ""
    bundle = _decode(spec.get("caBundle"))
    is_ours = leads_to == owner
    is_available, message = _read_condition(found)
    return ApiServiceState(
        ownership=Ownership.OURS if is_ours else Ownership.FOREIGN,
        owner=leads_to or "the API server itself",
        ca_bundle=bundle,
        is_trusted=bundle == ca_bundle if is_ours and ca_bundle is not None else None,
        is_available=is_available,
        message=message,
    )


def _read_condition(found: Json) -> tuple[bool | None, str]:
    condition = get_condition(found, "Available")
    if condition is None:
        return None, ""
    status = is_true(condition)
    return status, "" if status else f"{get_text(condition, 'reason')}: {get_text(condition, 'message')}".strip(": ")


def _decode(text: object) -> bytes | None:
    """Return the authorities, None for none; what cannot be read is not what anybody wants, hence b""."""
    if not isinstance(text, str) or not text:
        return None
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return b""
