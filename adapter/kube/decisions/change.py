"""Whether a status says something new, and of what weight. It decides about no write.

A message that differs only in its figures says nothing new: figures move at every pass, objects need not.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any

from adapter.kube.client import Json

_COUNTS = "plannedReplicas proposedReplicas requestedReplicas observedReplicas readyReplicas".split()
_VALUES = [*_COUNTS, *"replicaCostPerHour costPerHour capacityOrigin routing override zeroedBy".split()]
_REASONS = "reason modelReason hold".split()
_FIGURE = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


class Change(IntEnum):
    """What of a status is new; the greater the heavier."""

    NONE = 0
    WORDS = 1  # the same fact in other words: it can wait
    FACTS = 2


def compare_status(before: Json, after: Json) -> Change:
    """Return what `after` says beyond `before`; either may be {}."""
    if _list_facts(before) != _list_facts(after):
        return Change.FACTS
    return Change.NONE if _list_words(before) == _list_words(after) else Change.WORDS


def _list_facts(status: Json) -> list[Any]:
    return [
        *(status.get(field) for field in _VALUES),
        *((status.get(field) or {}).get("code") for field in _REASONS),
        "capacityPerSecond" in status,
        [entry.get("code") for entry in status.get("obstacles", [])],
        sorted((entry["type"], entry["status"], entry["reason"]) for entry in status.get("conditions", [])),
    ]


def _list_words(status: Json) -> list[str]:
    texts = [(status.get(field) or {}).get("message", "") for field in _REASONS]
    for entry in status.get("obstacles", []):
        texts += [entry.get("message", ""), entry.get("remedy", "")]
    texts += [entry.get("message", "") for entry in sorted(status.get("conditions", []), key=_get_type)]
    return [_FIGURE.sub("#", text) for text in texts]


def _get_type(condition: Json) -> str:
    return str(condition["type"])
