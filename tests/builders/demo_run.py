"""The whole product in one process, over HTTP and never late: fleet, router, load, stand-in HPA, and the adapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from adapter.compose import Application, open_application
from adapter.compose_demo.fleet_process import FleetProcess, build_configuration
from adapter.demo.fleet_server import Begin
from adapter.demo.options import DemoOptions
from adapter.demo.request_log import RequestRecord, is_met
from optimizer.domain import ModelDecision, ModelKey, WorkloadRef
from tests.builders.quiet_clock import START_S, InlineExecutor, QuietClock

STEP_S = 1.0


@dataclass(slots=True)
class DemoRun:
    """A demo that is under way.

    Attributes
    ----------
    clock, process, application
        Its time, its fleet, and the adapter.
    decisions
        Every decision so far, with the time since the traffic began [s].
    requested
        Replicas requested after every second, per workload.
    """

    clock: QuietClock
    process: FleetProcess
    application: Application
    decisions: list[tuple[float, ModelDecision]] = field(default_factory=list)
    requested: dict[WorkloadRef, list[int]] = field(default_factory=dict)

    @property
    def offset_s(self) -> float:
        return self.clock.now_s() - START_S

    async def run_to(self, offset_s: float) -> None:
        while self.offset_s < offset_s:
            await self.clock.run_to(min(self.clock.now_s() + STEP_S, START_S + offset_s))
            for model in self.application.store.get().models:
                known = [decided.decided_at_s for _, decided in self.decisions if decided.key == model.key]
                if model.decided_at_s not in known:
                    self.decisions.append((model.decided_at_s - START_S, model))
            for workload in self.process.fleet.workloads:
                self.requested.setdefault(workload.ref, []).append(self.process.fleet.get_requested(workload.ref))

    def compute_attainment(self, begin_s: float = 0.0, end_s: float = float("inf")) -> float:
        """Return the joint attainment of the requests that arrived between two offsets and ended."""
        records = self.select(begin_s, end_s)
        return sum(is_met(record, self.process.log.slos[record.key]) for record in records) / len(records)

    def select(self, begin_s: float = 0.0, end_s: float = float("inf")) -> list[RequestRecord]:
        return [
            record
            for record in self.process.log.records
            if record.client_end_s is not None and begin_s <= record.arrived_s - START_S < end_s
        ]

    def get_decisions(self, key: ModelKey, begin_s: float = 0.0) -> list[tuple[float, ModelDecision]]:
        return [(at_s, decided) for at_s, decided in self.decisions if decided.key == key and at_s >= begin_s]


@asynccontextmanager
async def open_demo(options: DemoOptions, folder: Path) -> AsyncIterator[DemoRun]:
    """Yield a demo whose traffic begins at the start of its clock."""
    asyncio.get_running_loop().set_default_executor(InlineExecutor())
    clock = QuietClock()
    process = FleetProcess(options, clock)
    await process.open()
    config_file = folder / "config.yaml"
    config_file.write_text(build_configuration(options, 0, 0, process.server.url, process.router.url))
    async with open_application(config_file, clock) as application:
        controller = asyncio.create_task(application.work.run())
        play = asyncio.create_task(process.play(Begin(application.addresses["external_metrics_http"])))
        try:
            yield DemoRun(clock, process, application)
        finally:
            for task in (controller, play):
                task.cancel()
            await asyncio.gather(controller, play, return_exceptions=True)
            await process.close()
