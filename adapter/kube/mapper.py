"""From kinds, as people write them, to paths, as the API serves them, by asking it. Nothing else is cached here."""

from __future__ import annotations

import re

from adapter.errors import BadDocument, NotFound
from adapter.kube.client import Json, KubeClient
from adapter.kube.resource import Resource

_API_VERSION = re.compile(r"(?:(?P<group>[a-z0-9]+(?:[.-][a-z0-9]+)*)/)?(?P<version>[a-z][a-z0-9]*)", re.ASCII)


class ResourceMapper:
    """Finds kinds by API discovery; an answer is kept for good, a missing kind is looked for again each time."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._found: dict[tuple[str, str], Resource] = {}

    async def find(self, api_version: str, kind: str) -> Resource:
        """Return the resource of ``apiVersion`` and ``kind``.

        Raises
        ------
        NotFound
            When the cluster does not serve it, or no cluster could.
        AdapterError
            As `KubeClient.get` does; `BadDocument` for an unreadable answer.
        """
        if (api_version, kind) not in self._found:
            self._found.update(await self._discover(api_version))
        try:
            return self._found[api_version, kind]
        except KeyError:
            raise NotFound(f"the cluster serves no {kind} of {api_version}") from None

    async def _discover(self, api_version: str) -> dict[tuple[str, str], Resource]:
        """Return all kinds of one group and version."""
        found = _API_VERSION.fullmatch(api_version)  # it becomes part of a path, and anybody may have written it
        if found is None:
            return {}
        group, version = found["group"] or "", found["version"]
        probe = f"/apis/{group}/{version}" if group else f"/api/{version}"
        document = await self._client.request("GET", probe)
        try:
            return {
                (api_version, row["kind"]): Resource(group, version, row["name"], row["kind"], row["namespaced"])
                for row in document["resources"]
                if _is_kind(row, api_version)
            }
        except (KeyError, TypeError, AttributeError) as cause:
            raise BadDocument(f"GET {probe}: no list of resources: {cause!r}") from cause


def _is_kind(row: Json, api_version: str) -> bool:
    """Return whether a row tells of objects of that group and version, not of a subresource or another's kind."""
    told = f"{row['group']}/{row['version']}" if row.get("group") else row.get("version") or api_version
    return "/" not in row["name"] and told == api_version
