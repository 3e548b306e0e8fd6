"""The Secret in which all replicas keep the certificate they share. It knows bytes, and no certificates."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from adapter.errors import BadDocument, NotFound
from adapter.kube.client import Json, KubeClient
from adapter.kube.resource import SECRETS


class ServingSecret:
    """One Secret, written by whoever is first: its resourceVersion, or its name, keeps all others from writing over it.

    Our account needs ``get`` and ``update`` on it, and ``create`` where nobody else makes it.
    """

    def __init__(self, client: KubeClient, namespace: str, name: str) -> None:
        self._client, self._namespace, self._name = client, namespace, name
        self._found: Json = {}

    async def load(self) -> tuple[Mapping[str, bytes], str] | None:
        """Return data and version, None when there is no such Secret.

        Raises
        ------
        AdapterError
            When it cannot be read.
        """
        try:
            found = await self._client.get(SECRETS, self._namespace, self._name)
        except NotFound:
            return None
        self._found = found
        try:
            data = {
                str(key): base64.b64decode(value, validate=True) for key, value in (found.get("data") or {}).items()
            }
        except (binascii.Error, ValueError, TypeError) as cause:
            raise BadDocument(f"Secret {self._namespace}/{self._name} cannot be read: {cause}") from cause
        return data, str(found["metadata"]["resourceVersion"])

    async def create(self, data: Mapping[str, bytes]) -> None:
        """Make the Secret; `Conflict` when there is one by now."""
        body: Json = {
            "apiVersion": SECRETS.api_version,
            "kind": SECRETS.kind,
            "metadata": {
                "name": self._name,
                "namespace": self._namespace,
                "labels": {"app.kubernetes.io/managed-by": "variant-autoscaler"},
            },
            "type": "kubernetes.io/tls",
            "data": _encode(data),
        }
        await self._client.create(SECRETS, self._namespace, body)

    async def replace(self, data: Mapping[str, bytes], version: str) -> None:
        """Write the data of the Secret, leave its labels and type; `Conflict` when it is not at `version` any more."""
        metadata = {**self._found.get("metadata", {}), "resourceVersion": version}
        metadata.pop("managedFields", None)
        body = {**self._found, "metadata": metadata, "data": _encode(data)}
        await self._client.replace(SECRETS, self._namespace, self._name, body)


def _encode(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}
