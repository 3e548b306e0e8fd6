"""Brings one VariantDecision object to what is wanted, whoever else wrote it meanwhile. It knows no decisions.

An object of another installation whose claim stands is left alone. Every write names the version it is based on, so
that nobody who was faster is written over unseen. A later decision that somebody else wrote stays for one pass more: a
replica that no longer leads and wakes up in the middle of a pass has no other, and cannot turn the number back.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass

from adapter.errors import BadDocument, Conflict, NotFound
from adapter.kube.client import Json, KubeClient
from adapter.kube.decisions.change import Change, compare_status
from adapter.kube.decisions.claims import ClaimRegister
from adapter.kube.decisions.decode import decode_installation
from adapter.kube.decisions.installation import Installation
from adapter.kube.decisions.watch import DecisionWatch
from adapter.kube.resource import VARIANT_DECISIONS
from adapter.kube.wire_times import parse_time_s
from optimizer.domain import WorkloadRef

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """What an object should be.

    Attributes
    ----------
    workload
        Whom it is about.
    head
        The object without its status.
    make_status
        From the status that stands there, {} for none, to the one that should.
    decided_at_s
        When the decision in it was made [Unix s]; infinite where it carries none of its own.
    """

    workload: WorkloadRef
    head: Json
    make_status: Callable[[Json], Json]
    decided_at_s: float = math.inf

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and name of the object."""
        return self.head["metadata"]["namespace"], self.head["metadata"]["name"]


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a wish.

    Attributes
    ----------
    before, after
        The status that stood there, {} for none, and the one that does now.
    writes
        Requests that wrote.
    inherited_from
        Whose object it was until now, None where it was ours or new.
    obstacle
        Why the object was left to somebody else, None where it was not.
    """

    before: Json
    after: Json
    writes: int = 0
    inherited_from: Installation | None = None
    obstacle: str | None = None


class ObjectKeeper:
    """Reads what a watch knows, and what it wrote itself where the watch is not there yet.

    Parameters
    ----------
    client
        Writes.
    watch
        Knows the objects.
    claims
        Tells which of them must be left alone.
    """

    def __init__(self, client: KubeClient, watch: DecisionWatch, claims: ClaimRegister) -> None:
        self._client, self._watch, self._claims = client, watch, claims
        self._ahead: dict[tuple[str, str], Json] = {}
        self._gone: dict[tuple[str, str], str] = {}
        self._written: dict[tuple[str, str], str] = {}
        self._spared: dict[tuple[str, str], str] = {}

    def find(self, place: tuple[str, str]) -> Json | None:
        """Return the newest known version of an object, None where there is none."""
        watched, ahead = self._watch.get_object(*place), self._ahead.get(place)
        if place in self._gone and (watched is None or watched["metadata"]["uid"] != self._gone[place]):
            del self._gone[place]  # the watch has caught up
        if place in self._gone:
            watched = None
        if ahead is None or (watched is not None and _get_version(watched) >= _get_version(ahead)):
            self._ahead.pop(place, None)
            return watched
        return ahead

    def judge(self, wish: Wish) -> Change:
        """Return how much there is to write for `wish`; an object of somebody else is all to write."""
        present = self.find(wish.place)
        if present is None or _join_head(present, wish.head) is not None:
            return Change.FACTS
        status = _get_status(present)
        return compare_status(status, wish.make_status(status))

    async def keep(self, wish: Wish) -> Kept:
        """Bring the object to what `wish` says, and return what was done.

        Raises
        ------
        AdapterError
            When it cannot be done now.
        """
        for _ in range(_ATTEMPTS):
            present = self.find(wish.place)
            obstacle = None if present is None else await self._claims.find_obstacle(present)
            if obstacle is not None:
                return Kept({}, {}, obstacle=obstacle)
            self._spare_later(wish, present)
            try:
                return await self._write(wish, present)
            except Conflict:
                await self._look(wish.place)
        raise Conflict(f"VariantDecision {'/'.join(wish.place)}: others write faster")

    async def remove(self, item: Json) -> None:
        """Delete an object, if it is still there.

        Raises
        ------
        AdapterError
            When it cannot be done now.
        """
        place = item["metadata"]["namespace"], item["metadata"]["name"]
        with contextlib.suppress(NotFound):
            await self._client.delete(VARIANT_DECISIONS, *place)
        self._forget(place, item)

    async def _write(self, wish: Wish, present: Json | None) -> Kept:
        before = _get_status(present or {})
        owner, writes = None if present is None else decode_installation(present), 0
        if present is None:
            present = await self._client.create(VARIANT_DECISIONS, wish.place[0], wish.head)
            writes += 1
        elif (joined := _join_head(present, wish.head)) is not None:
            present = await self._replace(wish, joined)
            writes += 1
        self._note(wish.place, present)
        after = wish.make_status(before)
        if compare_status(_get_status(present), after) is not Change.NONE:
            self._note(wish.place, await self._replace(wish, {**present, "status": after}, "status"))
            writes += 1
        is_inherited = owner is not None and owner != decode_installation(wish.head)
        return Kept(before, after, writes, owner if is_inherited else None)

    async def _replace(self, wish: Wish, body: Json, subresource: str | None = None) -> Json:
        try:
            return await self._client.replace(VARIANT_DECISIONS, *wish.place, body, subresource)
        except NotFound as cause:
            raise Conflict(f"VariantDecision {'/'.join(wish.place)} is gone") from cause

    def _note(self, place: tuple[str, str], item: Json) -> None:
        """Remember what we wrote, which the watch may learn later."""
        self._ahead[place] = item
        self._written[place] = item["metadata"]["resourceVersion"]

    def _spare_later(self, wish: Wish, present: Json | None) -> None:
        """Raise Conflict the first time that somebody else's later decision is found in place of an older one."""
        if present is None or _get_decided_at_s(present) <= wish.decided_at_s:
            return
        version = present["metadata"]["resourceVersion"]
        if version in (self._written.get(wish.place), self._spared.get(wish.place)):
            return
        self._spared[wish.place] = version
        raise Conflict(f"VariantDecision {'/'.join(wish.place)}: somebody else decided later")

    async def _look(self, place: tuple[str, str]) -> None:
        """Ask what the object is now, since what we know is older."""
        try:
            self._ahead[place] = await self._client.get(VARIANT_DECISIONS, *place)
        except NotFound:
            self._forget(place, self.find(place))

    def _forget(self, place: tuple[str, str], item: Json | None) -> None:
        """Remember that `item` is gone, which the watch may learn later."""
        for known in (self._ahead, self._written, self._spared):
            known.pop(place, None)
        if item is not None:
            self._gone[place] = item["metadata"]["uid"]


def _join_head(present: Json, head: Json) -> Json | None:
    """Return `present` with labels, owner and spec of `head`, None where it has them."""
    about, wanted = present["metadata"], head["metadata"]
    labels = {**(about.get("labels") or {}), **wanted["labels"]}
    owners = wanted["ownerReferences"] or about.get("ownerReferences") or []
    have = (about.get("labels") or {}, about.get("ownerReferences") or [], present.get("spec"))
    if have == (labels, owners, head["spec"]):
        return None
    return {**present, "metadata": {**about, "labels": labels, "ownerReferences": owners}, "spec": head["spec"]}


def _get_status(item: Json) -> Json:
    status: Json = item.get("status") or {}
    return status


def _get_decided_at_s(item: Json) -> float:
    try:
        return parse_time_s(_get_status(item).get("decidedAt"))
    except BadDocument:
        return -math.inf


def _get_version(item: Json) -> int:
    """Return the version as a number, which it is in every API server, so that the newer of two can be told."""
    version = str(item["metadata"].get("resourceVersion", ""))
    return int(version) if version.isdecimal() else 0
