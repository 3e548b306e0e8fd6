"""Keeps the heartbeat: which decisions were told to everybody, and up to when they are right. It decides nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from adapter.errors import Conflict, NotFound
from adapter.kube.client import FIELD_MANAGER, Json, KubeClient
from adapter.kube.decisions.heartbeat import HEARTBEAT_NAME, Heartbeat, encode_heartbeat
from adapter.kube.decisions.installation import Installation
from adapter.kube.resource import CONFIG_MAPS
from optimizer.domain import ModelDecision, ModelKey


class HeartbeatWriter:
    """Remembers what was told, and writes one heartbeat a pass.

    Parameters
    ----------
    client
        Writes.
    installation
        Whose heartbeat it is.
    holder
        Name of this replica.
    """

    def __init__(self, client: KubeClient, installation: Installation, holder: str) -> None:
        self._client, self._installation, self._holder = client, installation, holder
        self._right_until_s: dict[ModelKey, float] = {}

    def compose(
        self,
        decisions: Iterable[ModelDecision],
        unwritten: Collection[ModelKey],
        told: Collection[ModelKey],
        now_s: float,
    ) -> Heartbeat:
        """Return the heartbeat of a pass.

        Parameters
        ----------
        decisions
            Of this pass.
        unwritten
            LLMs of which not every object says what was decided.
        told
            LLMs that have objects, decided about in this pass or not.
        now_s
            The time of writing [Unix s].
        """
        decided = {model.key: model.decided_at_s for model in decisions}
        newest_s = max(decided.values(), default=now_s)
        right, stale = dict[ModelKey, float](), dict[ModelKey, float | None]()
        for key in decided.keys() | set(told):
            right_s = self._right_until_s.get(key)
            if key in decided and key not in unwritten:
                right_s = decided[key]
            if right_s is not None:
                right[key] = right_s
            if right_s != newest_s:
                stale[key] = right_s
        self._right_until_s = right
        return Heartbeat(now_s, newest_s, stale, self._holder)

    async def write(self, heartbeat: Heartbeat) -> None:
        """Write `heartbeat` beside those of other installations in our namespace.

        Raises
        ------
        AdapterError
            When that cannot be done now.
        """
        data = {"data": {self._installation.name: encode_heartbeat(heartbeat)}}
        namespace = self._installation.namespace
        try:
            await self._client.patch(CONFIG_MAPS, namespace, HEARTBEAT_NAME, data)
        except NotFound:
            try:
                await self._client.create(CONFIG_MAPS, namespace, {**_HEAD, **data})
            except Conflict:  # another installation was faster
                await self._client.patch(CONFIG_MAPS, namespace, HEARTBEAT_NAME, data)


_HEAD: Json = {
    "apiVersion": CONFIG_MAPS.api_version,
    "kind": CONFIG_MAPS.kind,
    "metadata": {"name": HEARTBEAT_NAME, "labels": {"app.kubernetes.io/managed-by": FIELD_MANAGER}},
}
