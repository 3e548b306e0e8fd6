"""A release that real Helm manages in a real cluster. It runs Helm, and knows nothing of what the chart is for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.chart import CHART, Helm


@dataclass(frozen=True, slots=True)
class HelmRelease:
    """One release of the chart.

    Attributes
    ----------
    helm
        Runs.
    kubeconfig
        Whose cluster, and as whom.
    name, namespace
        Of the release.
    folder
        What Helm writes for itself goes there.
    """

    helm: Helm
    kubeconfig: Path
    name: str
    namespace: str
    folder: Path

    async def install(self, values: Mapping[str, Any]) -> str:
        """Install the chart, and return what Helm shows."""
        return await self._run("install", self.name, str(CHART), "--values", "-", values=values)

    async def upgrade(self, values: Mapping[str, Any], *flags: str) -> str:
        """Upgrade to `values`, all of them given anew, and return what Helm shows."""
        arguments = ("upgrade", self.name, str(CHART), "--reset-values", "--values", "-", *flags)
        return await self._run(*arguments, values=values)

    async def uninstall(self) -> str:
        """Take the release away, and return what Helm shows."""
        return await self._run("uninstall", self.name, "--wait")

    async def _run(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        place = ("--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace)
        home = {key: str(self.folder) for key in ("HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
        return await asyncio.to_thread(
            self.helm.run, *arguments, *place, stdin=yaml.safe_dump(dict(values or {})), environment=home
        )
