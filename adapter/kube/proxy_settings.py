"""Follows the ConfigMap in which the API server tells its extensions whom to believe. It hands it on and reads none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from adapter.clock import Clock
from adapter.kube.client import KubeClient
from adapter.kube.reflector import ObjectCache
from adapter.kube.resource import CONFIG_MAPS

NAMESPACE = "kube-system"
NAME = "extension-apiserver-authentication"


class ProxySettingsWatch:
    """Hands the data of the ConfigMap on, whenever they change; one that vanishes changes nothing.

    Our account needs ``list`` and ``watch`` on this one ConfigMap (Role ``extension-apiserver-authentication-reader``).

    Parameters
    ----------
    on_data
        Called with the data; must not raise.
    """

    def __init__(self, client: KubeClient, clock: Clock, on_data: Callable[[Mapping[str, str]], None]) -> None:
        self._on_data = on_data
        self._last: Mapping[str, str] | None = None
        self._cache = ObjectCache(
            client,
            CONFIG_MAPS,
            NAMESPACE,
            clock=clock,
            query={"fieldSelector": f"metadata.name={NAME}"},
            on_change=self._hand_on,
        )

    @property
    def failure(self) -> str | None:
        """What is wrong with the watch, None while nothing is."""
        return self._cache.failure

    async def run(self) -> None:
        """Follow the ConfigMap until cancelled."""
        await self._cache.run()

    def _hand_on(self) -> None:
        found = self._cache.get(NAMESPACE, NAME)
        data = None if found is None else found.get("data")
        if isinstance(data, dict) and data != self._last:
            self._last = {str(key): str(value) for key, value in data.items()}
            self._on_data(self._last)
