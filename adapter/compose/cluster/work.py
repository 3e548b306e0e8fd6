"""What one replica does in a cluster: watch, serve what was told, and decide while it holds the lease."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from adapter.clock import Clock
from adapter.cluster import Trouble
from adapter.compose.cluster.api import ClusterApi
from adapter.compose.cluster.identity import ReplicaIdentity, read_identity
from adapter.compose.cluster.parts import ClusterParts
from adapter.compose.cluster.publisher import ClusterPublisher, to_actuation_options
from adapter.config.load import ConfigurationWatcher
from adapter.config.schema import KubernetesConfig
from adapter.controller import Controller
from adapter.errors import AdapterError
from adapter.external_metrics.app import Check
from adapter.external_metrics.security import ApiSecurity
from adapter.kube.actuation import ActuationOptions, Actuator
from adapter.kube.client import KubeClient, open_kube_client
from adapter.kube.decisions import DecisionReader, DecisionWatch, DecisionWriter, Installation
from adapter.kube.discovery import ClusterWatch, to_discovery_options
from adapter.kube.events import EventWriter
from adapter.kube.lease import LeaderElector
from adapter.kube.mapper import ResourceMapper
from adapter.kube.state_store import KubeStateStore
from adapter.store import DecisionStore
from adapter.telemetry import Telemetry, log_event
from optimizer import decide
from optimizer.domain import ModelDecision, WorkloadRef

VIEW_AGE_S = 10.0
"""Which workloads are claimed may be known as of so long ago [s]; it only tells "not yet" from "unknown"."""

CATCH_UP_S = 3.0
"""What was missed while cut off comes right after a watch is open again, and is shown within this time [s]."""

SYNC_S = 30.0
"""A leader that does not know its cluster within this time says so, and goes on trying [s]."""


class ClusterWork:
    """Everything that runs in one replica beside its servers.

    Parameters
    ----------
    watcher
        Looks at the configuration file.
    client, clock
        The cluster, and the time.
    identity
        Who we are there.
    store
        What this replica serves.
    telemetry
        Our own metrics.
    """

    def __init__(
        self,
        watcher: ConfigurationWatcher,
        client: KubeClient,
        clock: Clock,
        *,
        identity: ReplicaIdentity,
        store: DecisionStore,
        telemetry: Telemetry,
    ) -> None:
        self._watcher, self._client, self._clock = watcher, client, clock
        self._identity, self._store, self._telemetry = identity, store, telemetry
        self._started = watcher.current  # what of it holds until the next start is taken from here
        configuration = self._started.configuration
        self._kubernetes = configuration.kubernetes
        self._namespaces = configuration.discovery.namespaces
        self._mapper = ResourceMapper(client)
        self._watch = ClusterWatch(
            client, clock, to_discovery_options(watcher.current.configuration), mapper=self._mapper
        )
        self._installation = Installation(identity.namespace, identity.installation)
        self._decisions = DecisionWatch(client, clock, self._installation, self._namespaces)
        self._reader = DecisionReader(self._decisions, clock, self._show)
        self._elector = _make_elector(client, clock, identity, self._kubernetes)
        telemetry.set_leader(False)
        store.withhold_while(self._find_isolation)
        writer = f"{identity.installation}/{identity.replica}"
        self._events = EventWriter(client, clock, instance=writer) if self._kubernetes.events else None
        self._api: ClusterApi | None = None
        served = configuration.get_external_metrics()
        if served is not None:
            self._api = ClusterApi(
                watcher.current,
                served,
                client,
                clock,
                identity=identity,
                is_leader=self._is_leader,
                on_ownership=lambda state: telemetry.set_api_ownership(state.ownership.value),
                events=self._events,
            )
            telemetry.show_certificate(self._api.get_certificate_expiry_s)

    @property
    def security(self) -> ApiSecurity | None:
        """What stands before the external metrics API, None where that is not served."""
        return None if self._api is None else self._api.security

    async def run(self) -> None:
        """Do all of it until canceled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch.run())
            tasks.create_task(self._reader.run())
            if self._api is not None:
                tasks.create_task(self._api.run())
            tasks.create_task(self._lead() if self._elector is None else self._elector.run(self._lead))

    def find_obstacle(self) -> str | None:
        """Return why this replica should not be asked yet, None when it may."""
        if not self._decisions.is_synced:
            return f"decisions not read yet: {self._decisions.failure or 'no answer so far'}"
        isolation = self._find_isolation()
        if isolation is not None:
            return isolation
        checks: Sequence[Check] = () if self._api is None else self._api.security.checks
        return next((problem for check in checks if (problem := check()) is not None), None)

    def _find_isolation(self) -> str | None:
        """Return why other replicas may know newer numbers than this one, None when it hears of every change.

        A leader that cannot renew its lease stops deciding after as long, and another one may then tell new numbers.
        """
        now_s, limit_s = self._clock.now_s(), self._kubernetes.leader_election.renew_s
        told_s, gaps_s = self._decisions.behind_since_s, list(self._decisions.last_gaps_s)
        heard_s = now_s if told_s is None else told_s
        if self._elector is not None:
            heard_s = min(heard_s, self._elector.heard_s)
            gaps_s.append(self._elector.last_gap_s)
        if now_s - heard_s > limit_s:
            return f"cut off from the API server for {now_s - heard_s:.0f} s: what was told here may not be the newest"
        if any(end_s - begin_s > limit_s and now_s - end_s < CATCH_UP_S for begin_s, end_s in gaps_s):
            return "catching up with what was told while this replica was cut off from the API server"
        return None

    async def _lead(self) -> None:
        """Decide until canceled, then keep what is remembered."""
        self._telemetry.set_leader(True)
        states = KubeStateStore(
            self._client,
            self._clock,
            self._installation,
            namespaces=self._namespaces,
            interval_s=self._kubernetes.state_interval_s,
        )
        try:
            await self._wait_until_known()
            writer = self._build_writer()
            async with ClusterParts(
                self._watcher,
                self._watch,
                self._clock,
                self._telemetry,
                find_refused=writer.find_refused,
                get_zeroed_by=self._decisions.get_zeroed_by,
                patches_zero=self._kubernetes.patch_zero,
            ) as parts:
                await self._build_controller(parts, writer, states).run()
        finally:
            self._telemetry.set_leader(False)
            try:
                await states.flush()
            except AdapterError as failure:
                log_event("state_not_kept", level="warning", error=str(failure))

    async def _wait_until_known(self) -> None:
        """Return when what was told before is known; nothing may be decided earlier."""
        while not self._decisions.is_synced:
            try:
                await self._decisions.wait_synced(SYNC_S)
            except AdapterError as failure:
                log_event("not_deciding", level="warning", error=str(failure))
        records = await self._decisions.read_records()  # what is served may not show them yet
        self._watch.recall({record.decision.workload: record.model_key.model_id for record in records})

    def _build_writer(self) -> DecisionWriter:
        return DecisionWriter(
            self._client, self._clock, self._decisions, events=self._events, holder=self._identity.replica
        )

    def _build_controller(self, parts: ClusterParts, writer: DecisionWriter, states: KubeStateStore) -> Controller:
        def get_options() -> ActuationOptions:
            scaled = parts.merged.scaled if parts.merged is not None else ()
            return to_actuation_options(self._started, scaled, self._watch.kubernetes_minor)

        publisher = ClusterPublisher(
            self._store,
            parts,
            self._decisions,
            writer=writer,
            actuator=Actuator(self._client, self._mapper, self._clock),
            get_options=get_options,
            is_leader=self._is_leader,
            clock=self._clock,
        )
        deciding = partial(decide, policies=self._started.policies)
        return Controller(parts, deciding, publisher, states=states, clock=self._clock, telemetry=self._telemetry)

    def _is_leader(self) -> bool:
        return self._elector is None or self._elector.is_leader

    def _show(self, models: tuple[ModelDecision, ...]) -> None:
        """Serve what everybody was told; workloads that are claimed and not decided about are known as such."""
        told = {line.workload for model in models for line in model.variants}
        claimed = (
            [facts.workload for facts in self._watch.get_view(max_age_s=VIEW_AGE_S).variants]
            if self._watch.is_synced
            else []
        )
        self._store.show(models, tuple(workload for workload in claimed if workload not in told))


@asynccontextmanager
async def open_cluster_work(
    watcher: ConfigurationWatcher, clock: Clock, store: DecisionStore, telemetry: Telemetry
) -> AsyncIterator[ClusterWork]:
    """Yield the work of one replica, which somebody has to run.

    Raises
    ------
    Refused
        When there is no cluster, or the credentials cannot be used.
    """
    kubernetes = watcher.current.configuration.kubernetes
    async with open_kube_client(watcher.current.resolve(kubernetes.kubeconfig)) as client:
        identity = read_identity(kubernetes)
        yield ClusterWork(watcher, client, clock, identity=identity, store=store, telemetry=telemetry)


@asynccontextmanager
async def open_cluster_parts(
    watcher: ConfigurationWatcher, clock: Clock, telemetry: Telemetry
) -> AsyncIterator[ClusterParts]:
    """Yield the parts of passes that only look, once the cluster is known.

    Raises
    ------
    Refused
        When there is no cluster, or the credentials cannot be used.
    Unreachable
        When it does not become known; the text tells why.
    """
    kubernetes = watcher.current.configuration.kubernetes
    async with open_kube_client(watcher.current.resolve(kubernetes.kubeconfig)) as client:
        watch = ClusterWatch(client, clock, to_discovery_options(watcher.current.configuration))
        async with ClusterParts(
            watcher,
            watch,
            clock,
            telemetry,
            find_refused=_refuse_nothing,
            get_zeroed_by=_recall_nothing,
            patches_zero=kubernetes.patch_zero,
        ) as parts:
            running = asyncio.create_task(watch.run())
            try:
                await watch.wait_synced(SYNC_S)
                yield parts
            finally:
                running.cancel()
                await asyncio.wait({running})


async def _refuse_nothing(_workloads: Iterable[WorkloadRef]) -> tuple[Trouble, ...]:
    """Return nothing: whoever only looks takes nothing from anybody."""
    return ()


async def _recall_nothing() -> dict[WorkloadRef, str]:
    """Return nothing: whoever looks once has recorded nothing, and judges no standstill to last."""
    return {}


def _make_elector(
    client: KubeClient, clock: Clock, identity: ReplicaIdentity, kubernetes: KubernetesConfig
) -> LeaderElector | None:
    election = kubernetes.leader_election
    if not election.enabled:
        return None
    return LeaderElector(
        client,
        clock,
        namespace=identity.namespace,
        name=identity.installation,
        identity=identity.replica,
        lease_s=election.lease_s,
        renew_s=election.renew_s,
        retry_s=election.retry_s,
    )
