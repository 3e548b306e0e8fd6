"""The scale subresource: how many replicas are asked for, how many exist. It knows no kinds and decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from adapter.errors import BadDocument
from adapter.kube.client import Json, KubeClient
from adapter.kube.resource import Resource


@dataclass(frozen=True, slots=True)
class Scale:
    """What ``/scale`` of one object says.

    Attributes
    ----------
    spec_replicas
        Asked for.
    status_replicas
        Existing, ready or not.
    selector
        Label selector of its pods, "" where the object tells none.
    resource_version
        Of the object at that moment.
    """

    spec_replicas: int
    status_replicas: int
    selector: str
    resource_version: str = ""


async def read_scale(client: KubeClient, resource: Resource, namespace: str, name: str) -> Scale:
    """Return the scale of one object.

    Raises
    ------
    AdapterError
        As `KubeClient` does; `NotFound` also where the kind has no scale, `BadDocument` for an unreadable answer.
    """
    return _decode(await client.get(resource, namespace, name, "scale"))


async def patch_scale(
    client: KubeClient, resource: Resource, namespace: str, name: str, replicas: int, *, seen: Scale | None = None
) -> Scale:
    """Ask for `replicas` and return the scale as stored.

    With `seen` only if the object has not changed since then, in whatever field: else `Conflict`.

    Raises
    ------
    AdapterError
        As `read_scale`.
    """
    body: Json = {"spec": {"replicas": replicas}}
    if seen is not None:
        body["metadata"] = {"resourceVersion": seen.resource_version}
    return _decode(await client.patch(resource, namespace, name, body, subresource="scale"))


def _decode(document: Json) -> Scale:
    """Read a Scale; numbers that are zero and texts that are empty are left out on the wire."""
    try:
        spec, status = document.get("spec") or {}, document.get("status") or {}
        return Scale(
            int(spec.get("replicas", 0)),
            int(status.get("replicas", 0)),
            str(status.get("selector", "")),
            str(document["metadata"]["resourceVersion"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as cause:
        raise BadDocument(f"an answer of /scale cannot be read: {cause!r}") from cause
