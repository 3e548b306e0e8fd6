"""What an examination looks at: one cluster, one installation of ours in it, one moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from adapter.clock import Clock
from adapter.cluster import ClusterView
from adapter.errors import AdapterError
from adapter.kube.client import Json, KubeClient, open_kube_client
from adapter.kube.discovery import ClusterWatch, DiscoveryOptions
from adapter.kube.resource import PODS, SERVICES
from optimizer.domain import WorkloadRef

OUR_LABEL = "app.kubernetes.io/name=variant-autoscaler"
SYNC_S = 20.0
"""Time to learn what runs in the cluster [s]."""

_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Installation:
    """Where an adapter runs.

    Attributes
    ----------
    namespace, service
        Of the Service that answers for the external metrics API.
    account
        Its service account, "" when that could not be found out.
    """

    namespace: str
    service: str
    account: str = ""

    @property
    def user(self) -> str:
        """The name under which it calls the API server, "" when unknown."""
        return f"system:serviceaccount:{self.namespace}:{self.account}" if self.account else ""


@dataclass(frozen=True, slots=True)
class Look:
    """One examination.

    Attributes
    ----------
    client
        The cluster, with the rights of whoever examines.
    installation
        The adapter; None when no Service could be found.
    view
        Workloads, pods and followers as the examiner may see them.
    failures
        What of the cluster the examiner may not see.
    now_s
        The time of the examination [Unix s].
    max_decision_age_s
        Age from which a decision counts as old [s].
    """

    client: KubeClient
    installation: Installation | None
    view: ClusterView
    failures: tuple[str, ...]
    now_s: float
    max_decision_age_s: float


@asynccontextmanager
async def open_look(
    clock: Clock,
    *,
    kubeconfig: Path | None = None,
    context: str | None = None,
    service: tuple[str, str] | None = None,
    namespaces: tuple[str, ...] = (),
    max_decision_age_s: float = 120.0,
) -> AsyncIterator[Look]:
    """Yield a look at a cluster.

    Parameters
    ----------
    clock
        The time.
    kubeconfig, context
        Which cluster, with whose rights; as kubectl finds them by default.
    service
        Namespace and name of our Service; found by its label when not given.
    namespaces
        Where to look for workloads; () means everywhere.
    max_decision_age_s
        Age from which a decision counts as old [s].

    Raises
    ------
    Refused
        When there is no cluster to talk to.
    """
    async with open_kube_client(kubeconfig, context) as client:
        watch = ClusterWatch(client, clock, DiscoveryOptions(namespaces=namespaces))
        running = asyncio.create_task(watch.run())
        try:
            await _wait_synced(watch, clock)
            installation = await _find_installation(client, service)
            yield Look(client, installation, watch.get_view(), watch.failures, clock.now_s(), max_decision_age_s)
        finally:
            running.cancel()
            await asyncio.wait({running})


def name(workload: WorkloadRef) -> str:
    """Return how a workload is called in findings."""
    return f"{workload.kind} {workload.namespace}/{workload.name}"


async def _wait_synced(watch: ClusterWatch, clock: Clock) -> None:
    """Return when the cluster is known, or will not be."""
    deadline_s = clock.now_s() + SYNC_S
    while not watch.is_synced and clock.now_s() < deadline_s:
        await clock.sleep(_LOOK_EVERY_S)


async def _find_installation(client: KubeClient, given: tuple[str, str] | None) -> Installation | None:
    """Return where the adapter runs: as given, else the only Service that bears our label."""
    try:
        if given is not None:
            found = await client.get(SERVICES, *given)
        else:
            services = (await client.list(SERVICES, query={"labelSelector": OUR_LABEL})).get("items") or []
            if len(services) != 1:
                return None
            found = services[0]
    except AdapterError:
        return None if given is None else Installation(*given)
    about = found["metadata"]
    return Installation(about["namespace"], about["name"], await _find_account(client, found))


async def _find_account(client: KubeClient, service: Json) -> str:
    selector = (service.get("spec") or {}).get("selector") or {}
    if not selector:
        return ""
    query = {"labelSelector": ",".join(f"{key}={value}" for key, value in sorted(selector.items())), "limit": "1"}
    try:
        pods = (await client.list(PODS, service["metadata"]["namespace"], query=query)).get("items") or []
    except AdapterError:
        return ""
    return str(pods[0]["spec"].get("serviceAccountName", "")) if pods else ""
