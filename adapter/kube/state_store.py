"""Keeping the memory of deciding in the cluster: a ConfigMap per LLM, and one for the fleet. It decides nothing.

What was published is kept at once. What noise moves at every pass waits: for a calm window that changed, for
`interval_s`, and for the pace that all waiting writes together keep, so that many LLMs do not burden the API server;
where there are so many that the pace is slower than the interval, the oldest goes first. `flush` writes the rest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from adapter.clock import Clock
from adapter.errors import AdapterError, Conflict, NotFound
from adapter.kube.client import FIELD_MANAGER, Json, KubeClient
from adapter.kube.decisions.installation import INSTALLATION_LABEL, Installation
from adapter.kube.decisions.many import try_each
from adapter.kube.decisions.pace import WritePace
from adapter.kube.decisions.published import fetch_published
from adapter.kube.resource import CONFIG_MAPS
from adapter.kube.state_changes import Gist, has_calm_changed, summarize
from optimizer import State, decode_state, encode_state, recall_decisions
from optimizer.domain import ModelKey, Reason, ReasonCode

CONTENT_LABEL = "variant-autoscaler.io/content"
"""Label of what a ConfigMap of ours holds: ``state``."""
FORGET_S = 3600.0
"""An LLM that was not decided about for so long is forgotten for good [s]."""

_MODEL_ANNOTATION = "variant-autoscaler.io/model"
_DATA_KEY = "state.json"


@dataclass(slots=True)
class _Slot:
    """What is known of one ConfigMap.

    Attributes
    ----------
    version
        Its version; None where it must be asked for, "" where there is no ConfigMap.
    gist
        Of the state in it, None where it holds none of an LLM, or none that can be read.
    saved_round, saved_s
        Which of the calls of `save` is in it, and when it was written [Unix s]; 0 for none of ours.
    wanted_s
        When its part was last asked to be kept [Unix s].
    """

    version: str | None = ""
    gist: Gist | None = None
    saved_round: int = 0
    saved_s: float = 0.0
    wanted_s: float = 0.0


class KubeStateStore:
    """Keeps the state of one installation; only the replica that decides may use it.

    Every write names the version it is based on, so that a replica which no longer leads writes over nothing new.

    Parameters
    ----------
    client, clock
        Reads and writes, and times writes.
    installation
        Whose state it is; the ConfigMaps lie in its namespace.
    namespaces
        Where its decisions lie; () means everywhere.
    interval_s
        Longest time between two writes of one LLM [s], as far as the pace allows.
    """

    def __init__(
        self,
        client: KubeClient,
        clock: Clock,
        installation: Installation,
        *,
        namespaces: tuple[str, ...] = (),
        interval_s: float = 300.0,
    ) -> None:
        self._client, self._clock, self._installation = client, clock, installation
        self._namespaces, self._interval_s = namespaces, interval_s
        self._pace = WritePace()
        self._slots: dict[str, _Slot] = {}
        self._latest, self._round = State(), 0

    async def load(self) -> tuple[State, tuple[Reason, ...]]:
        """Return the state kept last with the numbers published last, and why anything of it was lost.

        An LLM whose ConfigMap cannot be read begins afresh, but for its numbers.

        Raises
        ------
        AdapterError
            When nobody can tell now.
        """
        query = {"labelSelector": f"{INSTALLATION_LABEL}={self._installation.label},{CONTENT_LABEL}=state"}
        listed = await self._client.list(CONFIG_MAPS, self._installation.namespace, query=query)
        published = await fetch_published(self._client, self._installation, self._namespaces)
        state, reasons, now_s = State(), list[Reason](), self._clock.now_s()
        self._slots, self._round = {}, 0
        for item in listed["items"]:
            part, lost = _decode(item)
            reasons += lost
            gists = [summarize(part, key) for key in part.models]
            slot = _Slot(item["metadata"]["resourceVersion"], gists[0] if gists else None, wanted_s=now_s)
            self._slots[item["metadata"]["name"]] = slot
            state = State({**state.models, **part.models}, part.fleet if part.fleet != State().fleet else state.fleet)
        self._latest = recall_decisions(state, published)
        return self._latest, tuple(reasons)

    async def save(self, state: State) -> None:
        """Keep of `state` what must be kept now.

        Raises
        ------
        AdapterError
            The first reason why not everything could be kept; the next save tries again.
        """
        self._latest = state
        self._round += 1
        now_s = self._clock.now_s()
        names = self._name_parts(state)
        for name in names:
            self._slots.setdefault(name, _Slot()).wanted_s = now_s
        failures = await self._write_all(self._list_due(state, names, now_s))
        failures += await self._forget(names, now_s)
        if failures:
            raise failures[0]

    async def flush(self) -> None:
        """Keep everything that was asked to be kept and was not yet.

        Raises
        ------
        AdapterError
            The first reason why that could not be done.
        """
        names = self._name_parts(self._latest)
        unsaved = [name for name in names if name in self._slots and self._slots[name].saved_round < self._round]
        failures = await self._write_all([(name, names[name]) for name in unsaved])
        if failures:
            raise failures[0]

    def _name_parts(self, state: State) -> dict[str, ModelKey | None]:
        """Return the names of the ConfigMaps that hold `state`, and which LLM each is about, None for the fleet."""
        return {get_state_name(self._installation, key): key for key in (None, *state.models)}

    def _list_due(
        self, state: State, names: Mapping[str, ModelKey | None], now_s: float
    ) -> list[tuple[str, ModelKey | None]]:
        """Return what is to be written now: all that was published, and of the rest what the pace allows."""
        at_once, waiting = [], []
        for name, key in names.items():
            slot = self._slots[name]
            gist = None if key is None else summarize(state, key)
            has_changed = gist is not None and slot.gist is not None and has_calm_changed(slot.gist, gist)
            if gist is not None and (slot.gist is None or slot.gist.planned != gist.planned):
                at_once.append((name, key))
            elif has_changed or now_s - slot.saved_s >= self._interval_s:
                waiting.append((not has_changed, slot.saved_s, name, key))
        waiting.sort(key=lambda entry: entry[:3])
        return at_once + [(name, key) for *_, name, key in waiting if self._pace.take(now_s)]

    async def _write_all(self, parts: Sequence[tuple[str, ModelKey | None]]) -> list[AdapterError]:
        outcomes = await try_each(self._write, parts)
        return [outcome for outcome in outcomes if isinstance(outcome, AdapterError)]

    async def _write(self, part: tuple[str, ModelKey | None]) -> None:
        """Write the part of the latest state that belongs into one ConfigMap."""
        (name, key), state, saved_round, slot = part, self._latest, self._round, self._slots[part[0]]
        body = self._encode(name, key, state)
        try:
            if slot.version is None:
                slot.version = await self._fetch_version(name)
            if slot.version:
                slot.version = await self._patch(name, body, slot.version)
            if not slot.version:
                slot.version = _get_version(await self._client.create(CONFIG_MAPS, self._installation.namespace, body))
        except Conflict:
            slot.version = None  # somebody else wrote it: look again before the next try
            raise
        slot.saved_round, slot.saved_s = saved_round, self._clock.now_s()
        slot.gist = None if key is None else summarize(state, key)

    async def _patch(self, name: str, body: Json, version: str) -> str:
        """Write over `version` and return the new one, "" where the ConfigMap is gone."""
        guarded = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        try:
            return _get_version(await self._client.patch(CONFIG_MAPS, self._installation.namespace, name, guarded))
        except NotFound:
            return ""

    async def _fetch_version(self, name: str) -> str:
        try:
            return _get_version(await self._client.get(CONFIG_MAPS, self._installation.namespace, name))
        except NotFound:
            return ""

    def _encode(self, name: str, key: ModelKey | None, state: State) -> Json:
        part = State({}, state.fleet) if key is None else State({key: state.models[key]})
        annotations = {} if key is None else {_MODEL_ANNOTATION: f"{key.namespace}/{key.model_id}"}
        labels = {
            "app.kubernetes.io/managed-by": FIELD_MANAGER,
            INSTALLATION_LABEL: self._installation.label,
            CONTENT_LABEL: "state",
        }
        text = json.dumps(encode_state(part), allow_nan=False, separators=(",", ":"))
        return {
            "apiVersion": CONFIG_MAPS.api_version,
            "kind": CONFIG_MAPS.kind,
            "metadata": {"name": name, "labels": labels, "annotations": annotations},
            "data": {_DATA_KEY: text},
        }

    async def _forget(self, names: Container[str], now_s: float) -> list[AdapterError]:
        """Delete what nobody has asked to keep for long."""
        old = [name for name, slot in self._slots.items() if name not in names and now_s - slot.wanted_s >= FORGET_S]
        return [outcome for outcome in await try_each(self._delete, old) if isinstance(outcome, AdapterError)]

    async def _delete(self, name: str) -> None:
        if self._slots[name].version != "":
            with contextlib.suppress(NotFound):
                await self._client.delete(CONFIG_MAPS, self._installation.namespace, name)
        del self._slots[name]


def get_state_name(installation: Installation, key: ModelKey | None) -> str:
    """Return the name of the ConfigMap for the memory of `key`, None for the fleet's."""
    if key is None:
        return f"{installation.name}-state-fleet"
    identity = f"{key.namespace}/{key.model_id}"
    return f"{installation.name}-state-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def _decode(item: Json) -> tuple[State, tuple[Reason, ...]]:
    """Return what a ConfigMap holds, and what of it is lost."""
    name = f"ConfigMap {item['metadata']['namespace']}/{item['metadata']['name']}"
    try:
        document = json.loads((item.get("data") or {})[_DATA_KEY])
    except (KeyError, ValueError, TypeError, RecursionError) as cause:
        about = (item["metadata"].get("annotations") or {}).get(_MODEL_ANNOTATION, "the fleet")
        message = f"state of {about} begins afresh: {name}: {type(cause).__name__}: {cause}"
        return State(), (Reason(ReasonCode.STATE_LOST, message),)
    state, reasons = decode_state(document)
    return state, tuple(Reason(reason.code, f"{reason.message} ({name})") for reason in reasons)


def _get_version(item: Json) -> str:
    version: str = item["metadata"]["resourceVersion"]
    return version
