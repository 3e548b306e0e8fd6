"""Whether the claim of another installation on a workload still stands. It reads heartbeats and writes nothing.

The VariantDecision of a workload belongs to whoever made it: its name comes from the workload alone, and the API makes
one object of a name. A claim ends `CLAIM_ENDS_S` after the last sign of life of its installation, or when its object is
deleted; whoever wants the workload then takes the object over. Where that cannot be told, the claim stands.
"""

from __future__ import annotations

from adapter.clock import Clock
from adapter.errors import AdapterError, BadDocument, NotFound
from adapter.kube.client import Json, KubeClient
from adapter.kube.decisions.decode import decode_installation
from adapter.kube.decisions.heartbeat import HEARTBEAT_NAME, decode_heartbeat
from adapter.kube.decisions.installation import Installation
from adapter.kube.resource import CONFIG_MAPS
from adapter.kube.wire_times import parse_time_s

CLAIM_ENDS_S = 300.0
"""Without a sign of life for so long an installation has lost its claims [s]."""

_LOOK_AGAIN_S = 30.0


class ClaimRegister:
    """Tells whose claims stand; each heartbeat is read at most every half minute.

    Parameters
    ----------
    client, clock
        Reads heartbeats, and tells how old they are.
    installation
        Whose own claims always stand.
    """

    def __init__(self, client: KubeClient, clock: Clock, installation: Installation) -> None:
        self._client, self._clock, self._installation = client, clock, installation
        self._seen: dict[str, tuple[float, Json | AdapterError | None]] = {}

    async def find_obstacle(self, item: Json) -> str | None:
        """Return why the VariantDecision `item` must be left to its owner, None where it is ours or may become so."""
        owner = decode_installation(item)
        if owner is None or owner == self._installation:
            return None
        standing = await self._find_standing(owner, _get_claimed_at_s(item))
        return None if standing is None else f"installation {owner} decides about it already: {standing}"

    async def _find_standing(self, owner: Installation, claimed_at_s: float) -> str | None:
        found = await self._look(owner.namespace)
        try:
            heartbeat = None if isinstance(found, AdapterError) else decode_heartbeat(found, owner.name)
        except BadDocument as failure:
            found, heartbeat = failure, None
        if isinstance(found, AdapterError):
            return f"whether it still does cannot be told ({found})"
        alive_s = claimed_at_s if heartbeat is None else max(claimed_at_s, heartbeat.last_pass_s)
        age_s = self._clock.now_s() - alive_s
        return None if age_s > CLAIM_ENDS_S else f"its last sign of life is {max(age_s, 0.0):.0f} s old"

    async def _look(self, namespace: str) -> Json | AdapterError | None:
        now_s = self._clock.now_s()
        looked_s, found = self._seen.get(namespace, (-float("inf"), None))
        if now_s - looked_s >= _LOOK_AGAIN_S:
            found = await self._fetch(namespace)
            self._seen[namespace] = (now_s, found)
        return found

    async def _fetch(self, namespace: str) -> Json | AdapterError | None:
        try:
            return await self._client.get(CONFIG_MAPS, namespace, HEARTBEAT_NAME)
        except NotFound:
            return None
        except AdapterError as failure:
            return failure


def _get_claimed_at_s(item: Json) -> float:
    """Return when something was last written of `item` by its owner [Unix s], as far as it says."""
    times = (item["metadata"].get("creationTimestamp"), (item.get("status") or {}).get("decidedAt"))
    return max((parse_time_s(text) for text in times if text), default=0.0)
