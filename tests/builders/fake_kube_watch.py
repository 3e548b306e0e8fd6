"""One watch of `FakeKubeApi`: which changes it sees, and as what. It opens no connection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from adapter.kube.resource import Resource
from tests.builders.fake_kube_patches import Json, is_field_selected, is_selected
from tests.builders.fake_kube_store import Change


@dataclass
class Watch:
    """Events on their way to one watcher, None for its good end; a silent one has lost the way for ever."""

    resource: Resource
    namespace: str | None
    query: Mapping[str, str]
    events: asyncio.Queue[Json | None] = field(default_factory=asyncio.Queue)
    transport: asyncio.Transport | None = None
    is_silent: bool = False

    def offer(self, event: Json | None) -> None:
        """Send an event on its way."""
        if not self.is_silent:
            self.events.put_nowait(event)

    def hear(self, change: Change) -> None:
        """Take note of a change; what no longer matches the selectors is deleted for this watcher."""
        if change.resource != self.resource:
            return
        is_in = change.type != "DELETED" and self._sees(change.item)
        was_in = change.before is not None and self._sees(change.before)
        if is_in:
            self.offer({"type": "MODIFIED" if was_in else "ADDED", "object": change.item})
        elif was_in:
            self.offer({"type": "DELETED", "object": change.item})

    def _sees(self, item: Json) -> bool:
        return self.namespace in (None, item["metadata"].get("namespace")) and is_wanted(item, self.query)


def is_wanted(item: Json, query: Mapping[str, str]) -> bool:
    """Return whether an object matches the selectors of a request."""
    labels = item["metadata"].get("labels") or {}
    fields = query.get("fieldSelector", "")
    return is_selected(labels, query.get("labelSelector", "")) and is_field_selected(item, fields)
