"""Discovery from the configuration: a fixed list of pod addresses per workload. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapter.inventory import Inventory, PodEntry, WorkloadEntry
from optimizer.domain import PodKey, PodPhase, WorkloadRef


@dataclass(frozen=True, slots=True)
class StaticDiscovery:
    """Pods that somebody wrote down.

    Nobody tells how many replicas were asked for, so `requested_replicas` is unknown; whether a pod really serves shows
    when its page is fetched.

    Attributes
    ----------
    urls
        Base addresses of the pods of each workload.
    """

    urls: Mapping[WorkloadRef, tuple[str, ...]]

    async def fetch_inventory(self) -> Inventory:
        """Return the inventory the configuration tells."""
        return Inventory(tuple(_to_entry(workload, urls) for workload, urls in self.urls.items()))


def _to_entry(workload: WorkloadRef, urls: tuple[str, ...]) -> WorkloadEntry:
    pods = tuple(PodEntry(PodKey(workload.namespace, url), url, PodPhase.READY) for url in urls)
    return WorkloadEntry(workload, None, pods)
