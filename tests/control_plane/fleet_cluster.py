"""The demo's LLMs in a real cluster: Deployments, HPAs, simulated engines as pods, a router before them, and load.

The autoscaler is not here: it is installed beside this, and sees it as it sees any cluster.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from adapter.clock import Clock, ScaledClock
from adapter.compose_demo.fleet_process import build_models, build_settings, estimate_replica_rates_per_s
from adapter.demo.catalog import DemoModel
from adapter.demo.engine_settings import EngineSettings
from adapter.demo.fleet import FleetWorkload, ReplicaBill
from adapter.demo.load import LoadGenerator
from adapter.demo.options import DemoOptions
from adapter.demo.request_log import RequestLog
from adapter.demo.scenarios import Scenario, build_scenario
from adapter.demo.status import to_status
from adapter.errors import Unreachable
from adapter.kube.client import Json
from adapter.kube.resource import DEPLOYMENTS, HORIZONTAL_POD_AUTOSCALERS
from adapter.router import Replica, Router, RouterSettings
from optimizer import InstanceAwareLeastLoad
from optimizer.domain import PodPhase, Settings, VariantKey, WorkloadRef
from tests.control_plane.autoscalers import make_autoscaler
from tests.control_plane.cluster import Cluster
from tests.control_plane.engines import run_engines
from tests.control_plane.fake_kubelet import FakeKubelet, open_kubelet
from tests.control_plane.fake_nodes import FakeNode
from tests.control_plane.fake_pod_life import FakePodLife, Stage
from tests.control_plane.fleet_models import make_configuration, make_nodes, make_variant_deployment, move_model

_LOOK_EVERY_WALL_S = 0.5
_STAGES = {
    PodPhase.STARTING: Stage.STARTING,
    PodPhase.READY: Stage.READY,
    PodPhase.TERMINATING: Stage.LEAVING,
}


@dataclass(frozen=True, slots=True)
class FleetClusterOptions:
    """What may differ.

    Attributes
    ----------
    demo
        LLMs, story, seed, start-up time; what it says of scaling and of the autoscaler is not for here.
    namespace
        Where the LLMs live; a new one when None.
    max_replicas
        Of each HPA.
    has_autoscalers
        Whether there are HPAs.
    nodes
        What there is; None for two nodes of each accelerator.
    scenario
        The story, None for that of `demo`.
    """

    demo: DemoOptions = DemoOptions(models=("llama-8b",))  # noqa: RUF009 - it is frozen
    namespace: str | None = None
    max_replicas: int = 12
    has_autoscalers: bool = True
    nodes: Sequence[FakeNode] | None = None
    scenario: Scenario | None = None


class FleetCluster:
    """A fleet in a cluster; made by `open_fleet_cluster`.

    Attributes
    ----------
    namespace
        Where the LLMs live.
    models
        The LLMs, as they are served there.
    settings
        The same with their prices, as the optimizer wants them.
    kubelet
        Runs the pods.
    router
        Front door of all LLMs; `router.url` is where completions are asked for.
    log
        What became of every request.
    workloads
        The Deployments.
    """

    def __init__(self, cluster: Cluster, namespace: str, options: FleetClusterOptions, clock: Clock) -> None:
        self.namespace = namespace
        self.models = tuple(move_model(model, namespace) for model in build_models(options.demo))
        self.settings: Settings = build_settings(options.demo, self.models)
        self._cluster = cluster
        self._options = options
        self._clock = clock
        self._rates_per_s = estimate_replica_rates_per_s(self.models)
        self._scenario = options.scenario or self._build_scenario()
        self.workloads = tuple(self._build_workload(model, key) for model in self.models for key in model.engines)
        self._engines: dict[str, EngineSettings] = {workload.ref.name: workload.engine for workload in self.workloads}
        self._requested = {workload.ref: workload.opening_replicas for workload in self.workloads}
        keys = [model.key for model in self.models]
        self.router = Router(RouterSettings(port=options.demo.router_port), keys, InstanceAwareLeastLoad, clock)
        self.log = RequestLog(
            {model.key: [slo for it in model.served.service_classes for slo in it.slos] for model in self.models}
        )
        self.kubelet = FakeKubelet(
            cluster.client,
            clock,
            make_server=run_engines(clock, self._choose_engine),
            on_change=self._update_router,
        )
        self._begin_s = clock.now_s()

    async def open(self) -> None:
        """Make Deployments and HPAs, and return when the opening replicas are ready."""
        await self.router.start()
        for workload in self.workloads:
            body = make_variant_deployment(workload.variant, workload.opening_replicas)
            await self._cluster.create(DEPLOYMENTS, self.namespace, body)
        for workload in self.workloads:
            await self._wait_for_ready(workload)
        self.kubelet.startup_s = self._options.demo.startup_s
        if self._options.has_autoscalers:
            least = 0 if self._cluster.control_plane.version.takes_zero else 1
            for workload in self.workloads:
                body = make_autoscaler(
                    workload.ref.name, min_replicas=least, max_replicas=self._options.max_replicas
                )  # fmt: skip
                await self._cluster.create(HORIZONTAL_POD_AUTOSCALERS, self.namespace, body)

    async def play(self) -> None:
        """Send the requests of the story, until it is canceled."""
        self._begin_s = self._clock.now_s()
        load = LoadGenerator(self._clock, self.router.url, self.log)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run(self._scenario.play(self._options.demo.seed), self._begin_s))
            group.create_task(self._watch_requested())

    async def close(self) -> None:
        """Stop the router; pods end with the kubelet, objects with the cluster."""
        await self.router.stop()

    def make_configuration(self) -> Json:
        """Return accelerators, service classes and models for the configuration of an autoscaler."""
        gateway_url = f"{self.router.url}/metrics" if self._options.demo.has_gateway else ""
        return make_configuration(self.models, self.settings.accelerators, gateway_url)

    def get_status(self) -> dict[str, Any]:
        """Return the state of the fleet, in the words of the demo's table."""
        waiting = {model.key: self.router.count_waiting(model.key) for model in self.models}
        now_s = self._clock.now_s()
        return to_status(self.models, self, self.log, waiting, begin_s=self._begin_s, now_s=now_s)

    def get_requested(self, ref: WorkloadRef) -> int:
        """Return ``spec.replicas`` of `ref`, as it was seen last."""
        return self._requested[ref]

    def get_replicas(self, ref: WorkloadRef, phase: PodPhase) -> Sequence[FakePodLife]:
        """Return the pods of `ref` that are on a node, in `phase`."""
        return [life for life in self.kubelet.lives if _is_of(life, ref) and life.stage is _STAGES[phase]]

    def to_bills(self, ref: WorkloadRef | None = None) -> list[ReplicaBill]:
        """Return what every pod costs that is or was on a node, of `ref` or of all."""
        lives = (*self.kubelet.history, *self.kubelet.lives)
        return [
            ReplicaBill(workload.ref, life.created_s, life.ended_s, workload.cost_per_hour)
            for workload in self.workloads
            if ref in (None, workload.ref)
            for life in lives
            if _is_of(life, workload.ref)
        ]

    def _build_scenario(self) -> Scenario:
        demo = self._options.demo
        worth = {model.key: self._rates_per_s[self._choose_cheapest(model)] for model in self.models}
        return build_scenario(demo.scenario, self.models, worth, demo.startup_s)

    def _choose_cheapest(self, model: DemoModel) -> VariantKey:
        """Return the variant with the least cost per request."""
        costs = {
            variant.key(): self.settings.get_replica_cost_per_hour(variant) / self._rates_per_s[variant.key()]
            for variant in model.served.variants
        }
        return min(costs, key=lambda key: costs[key])

    def _build_workload(self, model: DemoModel, key: VariantKey) -> FleetWorkload:
        """Return a workload; the cheapest variant opens with what the story begins with, and each with one at least.

        An HPA wakes nothing that was at zero before it came.
        """
        variant = next(variant for variant in model.served.variants if variant.key() == key)
        opening = 1
        if key == self._choose_cheapest(model):
            opening = max(1, math.ceil(self._scenario.opening_rates_per_s[model.key] / self._rates_per_s[key]))
        return FleetWorkload(variant, model.engines[key], self.settings.get_replica_cost_per_hour(variant), opening)

    def _choose_engine(self, pod: Json) -> EngineSettings | None:
        return self._engines.get(pod["metadata"]["labels"].get("app", ""))

    def _update_router(self) -> None:
        for model in self.models:
            replicas = [
                Replica(_to_replica_name(life, workload.ref), life.url, self._rates_per_s[workload.variant.key()])
                for workload in self.workloads
                if workload.variant.model_id == model.key.model_id
                for life in self.get_replicas(workload.ref, PodPhase.READY)
            ]
            self.router.update(model.key, replicas)

    async def _wait_for_ready(self, workload: FleetWorkload) -> None:
        await self._cluster.wait_for(
            DEPLOYMENTS,
            self.namespace,
            workload.ref.name,
            lambda found: found["status"].get("readyReplicas", 0) >= workload.opening_replicas,
            what=f"the opening replicas of {workload.ref.name} are ready",
        )

    async def _watch_requested(self) -> None:
        while True:
            with suppress(Unreachable):
                found = (await self._cluster.client.list(DEPLOYMENTS, self.namespace))["items"]
                replicas: Mapping[str, int] = {it["metadata"]["name"]: it["spec"]["replicas"] for it in found}
                self._requested = {ref: replicas.get(ref.name, 0) for ref in self._requested}
            await asyncio.sleep(_LOOK_EVERY_WALL_S)


@asynccontextmanager
async def open_fleet_cluster(
    cluster: Cluster, options: FleetClusterOptions | None = None, clock: Clock | None = None
) -> AsyncIterator[FleetCluster]:
    """Yield a fleet in `cluster` whose opening replicas are ready; its load begins with `FleetCluster.play`.

    A clock faster than the wall does not make the cluster's own times faster: pods are still created in wall time.
    """
    options = options or FleetClusterOptions()
    namespace = options.namespace or await cluster.create_namespace("fleet")
    fleet = FleetCluster(cluster, namespace, options, clock or ScaledClock.starting_now())
    nodes = make_nodes(fleet.models) if options.nodes is None else options.nodes
    try:
        async with open_kubelet(fleet.kubelet, nodes):
            await fleet.open()
            yield fleet
    finally:
        await fleet.close()


def _is_of(life: FakePodLife, ref: WorkloadRef) -> bool:
    return life.namespace == ref.namespace and life.labels.get("app") == ref.name


def _to_replica_name(life: FakePodLife, ref: WorkloadRef) -> str:
    """Return a name that tells the workload before its last dash."""
    return f"{ref.name}-{life.name.rpartition('-')[2]}"
