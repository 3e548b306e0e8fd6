"""The process of the fleet: engines, router, load and the stand-in HPA, joined. It ends with its parent."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapter.clock import Clock
from adapter.demo.catalog import MOST_REPLICAS, DemoModel, build_accelerators, build_model
from adapter.demo.configuration_text import Surroundings, render_configuration
from adapter.demo.fleet import Fleet, FleetWorkload
from adapter.demo.fleet_server import Begin, FleetServer
from adapter.demo.lateness import Lateness, LatenessRecord
from adapter.demo.load import LoadGenerator
from adapter.demo.options import DemoOptions, FleetPlan
from adapter.demo.policy_options import build_policy_options
from adapter.demo.profiles import read_prices
from adapter.demo.request_log import RequestLog
from adapter.demo.scenarios import Scenario, build_scenario
from adapter.demo.stand_in_hpa import StandInHpa, make_recommended_spec
from adapter.demo.status import to_report, to_status
from adapter.router import Replica, Router, RouterSettings
from optimizer import InstanceAwareLeastLoad, estimate_capacity
from optimizer.domain import ModelKey, PodPhase, Settings, VariantKey, Workload, WorkloadRef

_LOOK_WALL_S = 2.0


def build_models(options: DemoOptions) -> tuple[DemoModel, ...]:
    """Return the LLMs of a demo, their policy told what it needs to know of them."""
    models = tuple(build_model(name, options.to_catalog_options()) for name in options.models)
    settings = build_settings(options, models)
    return tuple(_give_options(model, options, settings) for model in models)


def build_settings(options: DemoOptions, models: tuple[DemoModel, ...]) -> Settings:
    """Return `models` and their prices as the optimizer wants them."""
    prices = read_prices(Path(options.prices_file) if options.prices_file else None)
    return Settings(tuple(model.served for model in models), build_accelerators(models, prices))


def build_configuration(options: DemoOptions, page_port: int, api_port: int, fleet_url: str, router_url: str) -> str:
    """Return the configuration of an autoscaler for the fleet and router at the two addresses."""
    models = build_models(options)
    around = Surroundings(
        page_port=page_port,
        api_port=api_port,
        inventory_url=fleet_url + "/inventory",
        gateway_url=router_url + "/metrics" if options.has_gateway else "",
        period_s=options.scrape_interval_s,
        actuation_delay_s=options.hpa_sync_s,
        calm_window_s=options.calm_window_s,
    )
    return render_configuration(models, build_settings(options, models).accelerators, around)


def _give_options(model: DemoModel, options: DemoOptions, settings: Settings) -> DemoModel:
    own: Mapping[str, object] = json.loads(options.policy_options or "{}")
    given = own or build_policy_options(options.policy, model.served, settings)
    return replace(model, served=replace(model.served, policy_options=given))


def estimate_replica_rates_per_s(models: tuple[DemoModel, ...]) -> Mapping[VariantKey, float]:
    """Return what one replica of each variant carries within the SLO [1/s], from its profile; > 0."""
    rates: dict[VariantKey, float] = {}
    for model in models:
        served = model.served
        workload = served.expected_workload
        assert isinstance(workload, Workload)
        for variant in served.variants:
            estimate = estimate_capacity(variant, workload, served.service_classes)
            rates[variant.key()] = max(estimate.capacity_per_s.value or 0.0, 0.01)
    return rates


class FleetProcess:
    """Everything of a demo but the autoscaler.

    Parameters
    ----------
    options
        What is played.
    clock
        The time of engines, load and scaling.
    """

    def __init__(self, options: DemoOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._models = build_models(options)
        self._settings = build_settings(options, self._models)
        self._rates_per_s = estimate_replica_rates_per_s(self._models)
        self._scenario = self._build_scenario()
        self.fleet = Fleet(self._build_workloads(), clock, options.seed, self._update_router)
        self.log = RequestLog({model.key: _get_slos(model) for model in self._models})
        settings = RouterSettings(port=options.router_port)
        self.router = Router(settings, [model.key for model in self._models], InstanceAwareLeastLoad, clock)
        self.server = FleetServer(self.fleet.to_inventory, self._get_status, self._get_report)
        self._lateness = LatenessRecord()
        self._begin_s = clock.now_s()

    async def open(self) -> None:
        """Start every server; the opening replicas are ready soon after."""
        await self.router.start()
        await self.server.start()
        self.fleet.open()

    async def play(self, begin: Begin) -> None:
        """Let traffic and scaling run until it is canceled."""
        specs = {workload.ref: make_recommended_spec(MOST_REPLICAS) for workload in self.fleet.workloads}
        hpa = StandInHpa(self.fleet, specs, begin.api_url, self._clock, sync_s=self._options.hpa_sync_s)
        load = LoadGenerator(self._clock, self.router.url, self.log)
        self._begin_s = self._clock.now_s()
        async with asyncio.TaskGroup() as group:
            group.create_task(hpa.run())
            group.create_task(load.run(self._scenario.play(self._options.seed), self._begin_s))
            group.create_task(self._watch_lateness(load))

    async def close(self) -> None:
        """Stop every server."""
        await self.router.stop()
        await self.fleet.close()
        await self.server.stop()

    async def _watch_lateness(self, load: LoadGenerator) -> None:
        while True:
            await asyncio.sleep(_LOOK_WALL_S)
            self._lateness.note(Lateness.of(self.fleet.take_lag(), load.take_lateness_s()))

    def _build_scenario(self) -> Scenario:
        options = self._options
        worth = {model.key: self._rates_per_s[self._choose_cheapest(model)] for model in self._models}
        return build_scenario(options.scenario, self._models, worth, options.startup_s)

    def _choose_cheapest(self, model: DemoModel) -> VariantKey:
        """Return the variant with the least cost per request."""

        def compute_cost(key: VariantKey) -> float:
            variant = next(variant for variant in model.served.variants if variant.key() == key)
            return self._settings.get_replica_cost_per_hour(variant) / self._rates_per_s[key]

        return min((variant.key() for variant in model.served.variants), key=compute_cost)

    def _build_workloads(self) -> list[FleetWorkload]:
        """Return the workloads; the opening rate is met by the variant with the least cost per request."""
        workloads = []
        for model in self._models:
            cheapest = self._choose_cheapest(model)
            needed = math.ceil(self._scenario.opening_rates_per_s[model.key] / self._rates_per_s[cheapest])
            for variant in model.served.variants:
                cost_per_hour = self._settings.get_replica_cost_per_hour(variant)
                opening = max(needed, 1) if variant.key() == cheapest else 0
                workloads.append(FleetWorkload(variant, model.engines[variant.key()], cost_per_hour, opening))
        return workloads

    def _update_router(self, changed: WorkloadRef) -> None:
        """Tell the router the ready replicas of the LLM that `changed` serves."""
        owner = next(w.variant for w in self.fleet.workloads if w.ref == changed)
        key = ModelKey(owner.namespace, owner.model_id)
        replicas = [
            Replica(replica.pod.name, replica.url, self._rates_per_s[workload.variant.key()])
            for workload in self.fleet.workloads
            if (workload.variant.namespace, workload.variant.model_id) == (key.namespace, key.model_id)
            for replica in self.fleet.get_replicas(workload.ref, PodPhase.READY)
        ]
        self.router.update(key, replicas)

    def _get_status(self) -> dict[str, Any]:
        waiting = {model.key: self.router.count_waiting(model.key) for model in self._models}
        status = to_status(
            self._models, self.fleet, self.log, waiting, begin_s=self._begin_s, now_s=self._clock.now_s()
        )
        return {**status, "lateness": self._lateness.to_document()}

    def _get_report(self) -> dict[str, Any]:
        report = to_report(self._models, self.fleet, self.log, self._begin_s, self._clock.now_s())
        return {**report, "lateness": self._lateness.to_document()}


async def run_fleet(plan: FleetPlan, announce: Callable[[str], None]) -> None:
    """Run the fleet until SIGTERM, or until standard input ends, which tells that the parent is gone.

    Parameters
    ----------
    plan
        What is played.
    announce
        Called once with one line of JSON: the addresses of the fleet (``fleet_url``) and its router (``router_url``).
    """
    process = FleetProcess(plan.options, plan.clock)
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    await process.open()
    life = asyncio.create_task(_live(process))
    orphaned = asyncio.create_task(_wait_for_end_of_input())
    stop = asyncio.create_task(stopped.wait())
    try:
        announce(json.dumps({"fleet_url": process.server.url, "router_url": process.router.url}))
        await asyncio.wait({life, orphaned, stop}, return_when=asyncio.FIRST_COMPLETED)
        if orphaned.done() and not stop.done():
            await _end_adapter(process)
    finally:
        for task in (life, orphaned, stop):
            task.cancel()
        ended = await asyncio.gather(life, orphaned, stop, return_exceptions=True)
        await process.close()
    if isinstance(ended[0], BaseException) and not isinstance(ended[0], asyncio.CancelledError):
        raise ended[0]


async def _live(process: FleetProcess) -> None:
    await process.play(await process.server.wait_for_begin())


async def _end_adapter(process: FleetProcess) -> None:
    """End the autoscaler that our common parent started and can no longer end."""
    try:
        begin = await asyncio.wait_for(process.server.wait_for_begin(), timeout=0.01)
    except TimeoutError:
        return
    if begin.adapter_pid:
        try:
            os.kill(begin.adapter_pid, signal.SIGTERM)
        except ProcessLookupError:
            return


async def _wait_for_end_of_input() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass


def _get_slos(model: DemoModel) -> tuple[Any, ...]:
    return model.served.service_classes[0].slos
