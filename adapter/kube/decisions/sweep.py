"""Which of our objects nobody needs any more. It deletes nothing, and never finds any because data are missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from adapter.cluster import ClusterView
from adapter.kube.client import Json
from adapter.kube.decisions.installation import get_object_name

GONE_S = 60.0
"""A variant must have been away for so long before its object goes too [s]: labels and watches may flicker."""

Place = tuple[str, str]


class Sweep:
    """Remembers since when variants are away."""

    def __init__(self) -> None:
        self._gone_since_s: dict[Place, float] = {}

    def find_needless(
        self, objects: Iterable[Json], kept: Collection[Place], view: ClusterView, now_s: float
    ) -> tuple[Json, ...]:
        """Return which of `objects` may be deleted at `now_s` [Unix s]: refusals that are over, and variants long gone.

        Parameters
        ----------
        objects
            All of ours.
        kept
            Namespace and name of those that this pass wants.
        view
            What is claimed. While it is behind the cluster, or the workload is claimed, a decision stays.
        """
        left = {place: item for item in objects if (place := _get_place(item)) not in kept}
        claimed = (
            {(facts.workload.namespace, get_object_name(facts.workload)) for facts in view.variants} if left else ()
        )
        needless, gone_since_s = [], {}
        for place, item in left.items():
            if "plannedReplicas" not in (item.get("status") or {}):
                needless.append(item)
            elif view.inventory.reason is None and place not in claimed:
                gone_since_s[place] = self._gone_since_s.get(place, now_s)
                if now_s - gone_since_s[place] >= GONE_S:
                    needless.append(item)
        self._gone_since_s = gone_since_s
        return tuple(needless)


def _get_place(item: Json) -> Place:
    return item["metadata"]["namespace"], item["metadata"]["name"]
