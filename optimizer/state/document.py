"""State to and from a plain, versioned JSON document. It reads and writes no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optimizer.domain import ModelKey, Reason, ReasonCode
from optimizer.errors import InvalidInput
from optimizer.state.memory import FleetState, ModelState, State
from optimizer.state.plain import Json, from_plain, to_plain

VERSION = 1
"""Of the document; raised with every change that an older reader would misread."""


def encode_state(state: State) -> dict[str, Any]:
    """Return `state` as a plain JSON document: ``{"version": 1, "fleet": {...}, "models": [{...}, ...]}``.

    The entry of one LLM stays below 64 kB, so that it fits beside its object wherever states are kept.
    """
    models = [{"key": to_plain(key), "state": to_plain(model)} for key, model in sorted(state.models.items())]
    return {"version": VERSION, "fleet": to_plain(state.fleet), "models": models}


def decode_state(document: object) -> tuple[State, tuple[Reason, ...]]:
    """Return the state that `document` tells, and a reason for every part that is begun afresh instead.

    ``decode_state(encode_state(state)) == (state, ())``. A document of another version, or that is none, gives a fresh
    state; a broken entry makes only its LLM begin afresh. Nothing is raised.
    """
    if not isinstance(document, Mapping):
        return State(), (_lost("state", "it is no JSON object"),)
    if document.get("version") != VERSION:
        return State(), (_lost("state", f"its version is {document.get('version')!r}, this reader knows {VERSION}"),)
    reasons: list[Reason] = []
    fleet = FleetState()
    try:
        fleet = from_plain(FleetState, document.get("fleet"))
    except InvalidInput as cause:
        reasons.append(_lost("state of the fleet", str(cause)))
    entries = document.get("models")
    if not isinstance(entries, list):
        return State({}, fleet), (*reasons, _lost("states of all models", "they are no JSON array"))
    models: dict[ModelKey, ModelState] = {}
    for index, entry in enumerate(entries):
        try:
            key, model = _decode_model(entry)
            models[key] = model
        except InvalidInput as cause:
            reasons.append(_lost(f"state of model {_name_entry(entry, index)}", str(cause)))
    return State(models, fleet), tuple(reasons)


def _decode_model(entry: Json) -> tuple[ModelKey, ModelState]:
    if not isinstance(entry, dict):
        raise InvalidInput("entry", "a JSON object", entry)
    return from_plain(ModelKey, entry.get("key")), from_plain(ModelState, entry.get("state"))


def _name_entry(entry: Json, index: int) -> str:
    key = entry.get("key") if isinstance(entry, dict) else None
    if isinstance(key, dict):
        return f"{key.get('namespace')}/{key.get('model_id')}"
    return f"number {index}"


def _lost(what: str, why: str) -> Reason:
    return Reason(ReasonCode.STATE_LOST, f"{what} begins afresh: {why}")
