"""What was decided when, in the words of the decisions page, for those who look at a demo afterwards. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Document = dict[str, Any]


class Timeline:
    """Keeps one entry per decision about each LLM."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str, float]] = set()
        self._entries: list[Document] = []

    def note(self, decisions: Mapping[str, Any], begin_s: float) -> None:
        """Keep what `decisions` has that was not seen yet; offsets count from `begin_s` [s]."""
        for model in decisions["models"]:
            identity = (model["namespace"], model["model"], model["decided_at_s"])
            if identity not in self._seen:
                self._seen.add(identity)
                self._entries.append(_to_entry(model, begin_s))

    def to_json(self) -> list[Document]:
        """Return the entries in the order of time."""
        return self._entries


def _to_entry(model: Mapping[str, Any], begin_s: float) -> Document:
    return {
        "offset_s": model["decided_at_s"] - begin_s,
        "model": model["model"],
        "demand_per_s": model["demand_per_s"]["value"],
        "forecast_per_s": model["forecast_per_s"]["value"],
        "need_per_s": model["need_per_s"],
        "cost_per_hour": model["cost_per_hour"],
        "reason": model["reason"]["code"],
        "variants": {
            line["deployment"]: {
                "capacity_per_s": line["capacity_per_s"]["value"],
                **{f"{name}_replicas": line[f"{name}_replicas"] for name in ("planned", "requested", "ready")},
            }
            for line in model["variants"]
        },
    }
