"""What an examination looks at: one cluster, one installation of ours in it, one moment. It reads and asks, no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from adapter.clock import Clock
from adapter.cluster import ClusterView
from adapter.config.schema import ModelConfig, VariantConfig
from adapter.config.translate import to_workload_ref
from adapter.doctor.asking import attempt, list_everywhere
from adapter.doctor.configuration import Configured, fetch_configuration
from adapter.doctor.installation import Installation, find_installation
from adapter.doctor.question import NumberQuestion, fetch_questions
from adapter.errors import AdapterError, BadDocument, Denied, Unreachable
from adapter.external_metrics.wire import GROUP_VERSION
from adapter.kube.api_service import NAME as API_SERVICE
from adapter.kube.client import Json, KubeClient, open_kube_client
from adapter.kube.decisions import Installation as Claimant
from adapter.kube.decisions.decode import decode_installation, decode_object
from adapter.kube.decisions.record import DecisionRecord
from adapter.kube.discovery import ClusterWatch
from adapter.kube.followers import find_bounds
from adapter.kube.json_fields import get_condition, get_object
from adapter.kube.resource import API_SERVICES, VARIANT_DECISIONS
from adapter.merging import Merged, merge
from optimizer.domain import Reason, WorkloadRef

SYNC_S = 20.0
"""Time to learn what runs in the cluster [s]."""

DENIED_S = 3.0
"""The same where something is refused: what is not known by then will not be [s]."""

_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Look:
    """One examination.

    Attributes
    ----------
    client
        The cluster, with the rights of whoever examines.
    now_s
        The time of the examination by the API server's clock [Unix s].
    kubernetes_minor
        Version of the API server, 37 for 1.37; 0 when unknown.
    installation
        The adapter, or why it is not known which one is ours.
    configured
        What it is told.
    api_service
        The APIService of external metrics, or why it cannot be read.
    api_failure
        What went wrong when something was asked through it, None when it answered.
    decisions
        VariantDecision objects of all installations, or why they cannot be read.
    view
        Workloads, pods and followers as the examiner may see them.
    gap
        Why `view` is not whole, None when it is.
    failures
        What of the cluster the examiner may not see.
    merged
        Configuration and view joined as the adapter joins them; None where either is not known.
    questions
        What HPAs ask our API for.
    """

    client: KubeClient
    now_s: float
    kubernetes_minor: int
    installation: Installation | str
    configured: Configured
    api_service: Json | AdapterError
    api_failure: AdapterError | None
    decisions: tuple[Json, ...] | AdapterError
    view: ClusterView
    gap: Reason | None
    failures: tuple[str, ...]
    merged: Merged | None
    questions: tuple[NumberQuestion, ...]

    @property
    def is_api_available(self) -> bool | None:
        """Whether the API server reaches whoever serves external metrics; None when it says nothing.

        On older clusters (1.34) the condition says nothing of certificates: what is asked through it does.
        """
        if isinstance(self.api_service, AdapterError):
            return None
        if isinstance(self.api_failure, Unreachable):
            return False
        status = (get_condition(self.api_service, "Available") or {}).get("status")
        return {"True": True, "False": False}.get(str(status))

    @property
    def api_complaint(self) -> str:
        """What the API server says of whoever serves external metrics, "" when it does not complain."""
        if isinstance(self.api_service, AdapterError) or self.is_api_available:
            return ""
        condition = get_condition(self.api_service, "Available") or {}
        said = f"{condition.get('reason', '')}: {condition.get('message', '')}"
        if condition.get("status") == "True":
            return f"the condition says Available, but asked through it the API server says: {self.api_failure}"
        return f"not Available: {said}"

    @property
    def api_owner(self) -> str:
        """``namespace/name`` of the Service that serves external metrics, "" when unknown or none."""
        if isinstance(self.api_service, AdapterError):
            return ""
        service = get_object(self.api_service, "spec", "service")
        return f"{service.get('namespace')}/{service.get('name')}" if service else ""

    @property
    def claimant(self) -> Claimant | None:
        """The installation as its objects name it, None when it is not known."""
        if isinstance(self.installation, str):
            return None
        told, known = self.configured.configuration.kubernetes, self.configured.is_known
        namespace = (told.namespace if known else None) or self.installation.namespace
        return Claimant(namespace, told.installation if known else self.installation.service)

    def list_own_decisions(self) -> list[Json]:
        """Return the VariantDecision objects of the installation; of all where it is not known."""
        listed = () if isinstance(self.decisions, AdapterError) else self.decisions
        claimant = self.claimant
        return [item for item in listed if claimant is None or decode_installation(item) == claimant]

    def read_records(self) -> dict[WorkloadRef, DecisionRecord]:
        """Return what was decided, by workload; what cannot be read is left out."""
        records = {}
        for item in self.list_own_decisions():
            try:
                record = decode_object(item)
            except BadDocument:
                continue
            if record is not None:
                records[record.decision.workload] = record
        return records

    def find_variant(self, workload: WorkloadRef) -> tuple[ModelConfig, VariantConfig] | None:
        """Return what is in force of configuration and labels about a workload, None where it is not known."""
        if self.merged is None:
            return None
        listed = self.merged.loaded.configuration.iterate_variants()
        found = ((model, variant) for _, model, variant in listed if to_workload_ref(model, variant) == workload)
        return next(found, None)


@asynccontextmanager
async def open_look(
    clock: Clock,
    *,
    kubeconfig: Path | None = None,
    context: str | None = None,
    service: tuple[str, str] | None = None,
    namespaces: tuple[str, ...] = (),
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
        Where to look for workloads; () means where the adapter does.

    Raises
    ------
    Refused
        When there is no cluster to talk to, or it refuses the credentials.
    Unreachable
        When it does not answer.
    NotFound
        When `service` is not there.
    """
    async with open_kube_client(kubeconfig, context) as client:
        yield await take_look(client, clock, service=service, namespaces=namespaces)


async def take_look(
    client: KubeClient,
    clock: Clock,
    *,
    service: tuple[str, str] | None = None,
    namespaces: tuple[str, ...] = (),
) -> Look:
    """Return a look by way of `client`; parameters and failures as in `open_look`."""
    try:
        server_s = await client.fetch_time_s()
    except Unreachable as cause:
        raise Unreachable(f"the cluster does not answer: {cause}") from cause
    except Denied as cause:
        raise Denied(f"the cluster refuses your credentials: {cause}") from cause
    api_service = await attempt(client.get(API_SERVICES, None, API_SERVICE))
    answer = await attempt(client.request("GET", f"/apis/{GROUP_VERSION}"))
    installation = await find_installation(client, service, api_service)
    configured = await fetch_configuration(client, None if isinstance(installation, str) else installation)
    options = configured.get_discovery_options(namespaces)
    watch = ClusterWatch(client, clock, options)
    watch.claim(configured.list_claims(), options.accelerators)
    running = asyncio.create_task(watch.run())
    try:
        await _wait_until_known(watch, clock)
        view, failures, minor = watch.get_view(), watch.failures, watch.kubernetes_minor
    finally:
        running.cancel()
        await asyncio.wait({running})
    now_s = clock.now_s() if server_s is None else server_s
    return Look(
        client=client,
        now_s=now_s,
        kubernetes_minor=minor,
        installation=installation,
        configured=configured,
        api_service=api_service,
        api_failure=answer if isinstance(answer, AdapterError) else None,
        decisions=await attempt(list_everywhere(client, VARIANT_DECISIONS, options.namespaces)),
        view=view,
        gap=view.inventory.reason,
        failures=failures,
        merged=_merge(configured, view, now_s) if view.inventory.reason is None else None,
        questions=await fetch_questions(client, view, options.namespaces),
    )


async def _wait_until_known(watch: ClusterWatch, clock: Clock) -> None:
    """Return when the cluster is known, or will not be."""
    start_s = clock.now_s()
    while not watch.is_synced and clock.now_s() - start_s < (DENIED_S if watch.failures else SYNC_S):
        await clock.sleep(_LOOK_EVERY_S)
    if watch.is_synced:
        await watch.refresh_unwatched()


def _merge(configured: Configured, view: ClusterView, now_s: float) -> Merged | None:
    """Return what the adapter makes of its configuration and the cluster, None where its configuration is not known."""
    if not configured.is_known:
        return None
    patches_zero = configured.configuration.kubernetes.patch_zero
    bounds: Mapping[WorkloadRef, tuple[int, int | None]] = {
        workload: find_bounds(followers, patches_zero=patches_zero) for workload, followers in view.followers.items()
    }
    return merge(configured.loaded, view, bounds=bounds, now_s=now_s)
