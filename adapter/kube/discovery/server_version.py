"""Which version of Kubernetes the API server is, asked for now and then: clusters are upgraded under us."""

from __future__ import annotations

import re

from adapter.clock import Clock
from adapter.errors import AdapterError, BadDocument
from adapter.kube.client import KubeClient

_AGAIN_S = 5.0
_PERIOD_S = 600.0


class ServerVersion:
    """Keeps the minor version: 37 for 1.37."""

    def __init__(self, client: KubeClient, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self.minor: int | None = None

    async def run(self) -> None:
        """Ask until canceled; no failure ends it."""
        while True:
            try:
                self.minor = await self.fetch_minor()
                wait_s = _PERIOD_S
            except AdapterError:
                wait_s = _AGAIN_S  # the watches say what is wrong with the server
            await self._clock.sleep(wait_s)

    async def fetch_minor(self) -> int:
        """Return the minor version of the server.

        Raises
        ------
        AdapterError
            As `KubeClient.request` does; `BadDocument` for an unreadable answer.
        """
        document = await self._client.request("GET", "/version")
        found = re.match(r"\d+", str(document.get("minor", "")))
        if found is None:
            raise BadDocument(f"/version tells no minor version: {document!r}")
        return int(found[0])
