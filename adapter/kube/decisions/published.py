"""Asking the cluster once for all decisions that everybody was told, as somebody who goes on from them must."""

from __future__ import annotations

from adapter.errors import BadDocument, NotFound
from adapter.kube.client import KubeClient
from adapter.kube.decisions.assemble import assemble_models
from adapter.kube.decisions.heartbeat import HEARTBEAT_NAME, Heartbeat, decode_heartbeat
from adapter.kube.decisions.installation import INSTALLATION_LABEL, Installation
from adapter.kube.decisions.reading import read_decision
from adapter.kube.resource import CONFIG_MAPS, VARIANT_DECISIONS
from adapter.telemetry import log_event
from optimizer.domain import ModelDecision


async def fetch_published(
    client: KubeClient, installation: Installation, namespaces: tuple[str, ...] = ()
) -> tuple[ModelDecision, ...]:
    """Return the decisions of `installation` in `namespaces`, () for all, as they stand in the cluster now.

    Raises
    ------
    AdapterError
        When nobody can tell now.
    """
    query = {"labelSelector": f"{INSTALLATION_LABEL}={installation.label}"}
    records = []
    for namespace in namespaces or (None,):
        for item in (await client.list(VARIANT_DECISIONS, namespace, query=query))["items"]:
            record = read_decision(item, installation)
            if record is not None:
                records.append(record)
    return assemble_models(records, await _fetch_heartbeat(client, installation))


async def _fetch_heartbeat(client: KubeClient, installation: Installation) -> Heartbeat | None:
    try:
        return decode_heartbeat(
            await client.get(CONFIG_MAPS, installation.namespace, HEARTBEAT_NAME), installation.name
        )
    except NotFound:
        return None
    except BadDocument as failure:
        log_event("heartbeat_unreadable", level="warning", error=str(failure))
        return None
