"""Reads fields of JSON objects (dicts) that may hold anything: what is missing or of another type counts as absent."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from adapter.errors import BadDocument
from adapter.kube.client import Json
from adapter.kube.quantity import parse_quantity

_parse_quantity = lru_cache(maxsize=1024)(parse_quantity)  # a cluster writes few different ones


def get_field(document: object, *path: str) -> Any:
    """Return what stands at `path`, None where nothing does."""
    for key in path:
        if not isinstance(document, dict):
            return None
        document = document.get(key)
    return document


def get_object(document: object, *path: str) -> Json:
    """Return the object at `path`, empty where there is none."""
    value = get_field(document, *path)
    return value if isinstance(value, dict) else {}


def get_objects(document: object, *path: str) -> tuple[Json, ...]:
    """Return the objects of the list at `path`, leaving out whatever else stands in it."""
    value = get_field(document, *path)
    return tuple(entry for entry in value if isinstance(entry, dict)) if isinstance(value, list) else ()


def get_text(document: object, *path: str) -> str:
    """Return the text at `path`, "" where there is none."""
    value = get_field(document, *path)
    return value if isinstance(value, str) else ""


def get_count(document: object, *path: str) -> int | None:
    """Return the whole number at `path`, None where there is none."""
    value = get_field(document, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def get_quantity(document: object, *path: str) -> float | None:
    """Return the quantity at `path` as a number, None where there is none that can be read."""
    value = get_field(document, *path)
    try:
        return _parse_quantity(value) if isinstance(value, str) else parse_quantity(value)
    except BadDocument:
        return None


def get_texts(document: object, *path: str) -> dict[str, str]:
    """Return the members of the object at `path` that are texts, such as annotations."""
    return {key: value for key, value in get_object(document, *path).items() if isinstance(value, str)}


def get_condition(document: object, condition_type: str) -> Json | None:
    """Return the condition of that type in ``status.conditions``, None where there is none."""
    return next(
        (entry for entry in get_objects(document, "status", "conditions") if entry.get("type") == condition_type), None
    )


def is_true(condition: Mapping[str, Any] | None) -> bool | None:
    """Return the status of a condition, None when it is unknown or absent."""
    return {"True": True, "False": False}.get(get_text(condition, "status"))
