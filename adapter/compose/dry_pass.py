"""One pass that publishes and keeps nothing: live, or from pages saved as files. It uses the product's own parts.

Rates need two pages of every pod, so pages are read twice, and the second reading counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from adapter.clock import Clock
from adapter.collector.collector import Collector
from adapter.collector.options import CollectorOptions, ScrapeOptions
from adapter.compose.cluster import open_cluster_parts
from adapter.compose.options import to_collector_options
from adapter.compose.parts import ConfiguredParts
from adapter.config.load import ConfigurationWatcher, load_configuration
from adapter.config.problems import suggest
from adapter.controller import PartsSource
from adapter.errors import BadDocument
from adapter.inventory import Inventory, PodEntry, WorkloadEntry
from adapter.policies import load_policies
from adapter.telemetry import Telemetry
from optimizer import State, decide
from optimizer.domain import ModelDecision, PodKey, PodPhase, Settings, WorkloadRef

_LAYOUT = "<seconds>/<namespace>/<deployment>/<pod>.prom"


async def run_dry_pass(path: Path, clock: Clock, announce: Callable[[str], None]) -> tuple[ModelDecision, ...]:
    """Return what would be decided now; takes one period, which it announces.

    Raises
    ------
    ConfigurationError
        The configuration at `path` cannot be used.
    Refused
        A policy of a package cannot be loaded.
    """
    policies = load_policies()
    watcher, state = ConfigurationWatcher(path, policies), State()
    async with _open_parts(watcher, clock) as source:
        parts = await source.get_parts()
        pause_s = parts.settings.decision.period_s
        snapshot = await parts.collector.collect(await parts.inventory.fetch_inventory(), parts.settings)
        state = decide(state, snapshot, clock.now_s(), parts.settings, policies).state
        announce(f"pages read once; again in {pause_s:g} s, for rates need two readings")
        await clock.sleep(pause_s)
        snapshot = await parts.collector.collect(await parts.inventory.fetch_inventory(), parts.settings)
        return decide(state, snapshot, clock.now_s(), parts.settings, policies).decisions


def _open_parts(watcher: ConfigurationWatcher, clock: Clock) -> AbstractAsyncContextManager[PartsSource]:
    if watcher.current.configuration.is_clustered:
        return open_cluster_parts(watcher, clock, Telemetry())
    return ConfiguredParts(watcher, clock, Telemetry())


async def run_snapshot_pass(path: Path, folder: Path) -> tuple[ModelDecision, ...]:
    """Return what would be decided from saved pages.

    Parameters
    ----------
    path
        The configuration; pods and addresses in it are not asked.
    folder
        Pages as ``<seconds>/<namespace>/<deployment>/<pod>.prom``, `seconds` being when they were taken, on any scale;
        ``<seconds>/gateway.prom`` stands for the page of every gateway.

    Raises
    ------
    ConfigurationError
        The configuration cannot be used.
    Refused
        A policy of a package cannot be loaded.
    BadDocument
        The folder is not laid out so.
    """
    policies = load_policies()
    loaded, clock, state = load_configuration(path, policies=policies), _FolderClock(), State()
    workloads = _list_workloads(loaded.settings)
    decisions: tuple[ModelDecision, ...] = ()
    async with _serve_pages(clock) as address:
        options = _redirect(to_collector_options(loaded), address)
        async with Collector(options, clock, Telemetry()) as collector:
            for taken_s, reading in _find_readings(folder):
                clock.time_s, clock.reading = taken_s, reading
                inventory = _read_inventory(reading, workloads, address)
                snapshot = await collector.collect(inventory, loaded.settings)
                outcome = decide(state, snapshot, taken_s, loaded.settings, policies)
                state, decisions = outcome.state, outcome.decisions
    return decisions


@dataclass(slots=True)
class _FolderClock:
    """Shows when the present reading was taken; nobody waits for the past."""

    time_s: float = 0.0
    reading: Path = Path()
    speed: float = 1.0

    def now_s(self) -> float:
        return self.time_s

    async def sleep(self, duration_s: float) -> None:
        """Return at once."""

    async def sleep_until(self, time_s: float) -> None:
        """Return at once."""


@asynccontextmanager
async def _serve_pages(clock: _FolderClock) -> AsyncIterator[str]:
    """Yield an address on this machine where the present reading is served: pages are then read like any pod's.

    `/{namespace}/{deployment}/{pod}/...` is the page of a pod, whatever its path; `/gateway` is the gateway's.
    """

    async def get_page(request: web.Request) -> web.StreamResponse:
        names = [request.match_info[key] for key in ("namespace", "deployment", "pod") if key in request.match_info]
        file = clock.reading.joinpath(*(names or ["gateway"]))
        file = file.with_name(f"{file.name}.prom")
        return web.FileResponse(file) if file.is_file() else web.Response(status=404)

    app = web.Application()
    app.router.add_get("/gateway", get_page)
    app.router.add_get("/{namespace}/{deployment}/{pod}/{path:.*}", get_page)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _redirect(options: CollectorOptions, address: str) -> CollectorOptions:
    """Return `options` with every gateway at `address`, and nothing of the live pods' TLS and tokens."""
    gateways = {key: replace(gateway, url=f"{address}/gateway") for key, gateway in options.gateways.items()}
    return replace(options, scrape=ScrapeOptions(), gateways=gateways)


def _find_readings(folder: Path) -> list[tuple[float, Path]]:
    """Return the readings in `folder` with the time each was taken [s], oldest first."""
    try:
        readings = [(float(entry.name), entry) for entry in folder.iterdir() if entry.is_dir()]
    except OSError as cause:
        raise BadDocument(f"snapshot {folder} cannot be read: {cause.strerror or cause}") from cause
    except ValueError as cause:
        raise BadDocument(f"snapshot {folder}: a folder is named by its second, such as 0 or 15: {cause}") from cause
    if not readings:
        raise BadDocument(f"snapshot {folder} has no pages: expected {_LAYOUT}")
    return sorted(readings)


def _list_workloads(settings: Settings) -> dict[str, WorkloadRef]:
    found = [variant.workload for model in settings.models for variant in model.variants]
    return {f"{workload.namespace}/{workload.name}": workload for workload in found}


def _read_inventory(reading: Path, workloads: Mapping[str, WorkloadRef], address: str) -> Inventory:
    """Return the pods whose pages are in `reading`; a workload without any has none."""
    pods: dict[str, list[PodEntry]] = {name: [] for name in workloads}
    for page in sorted(reading.glob("*/*/*.prom")):
        name = page.parent.relative_to(reading).as_posix()
        if name not in workloads:
            raise BadDocument(f"snapshot {page.parent}: no variant has the workload {name}{suggest(name, workloads)}")
        url = f"{address}/{quote(name)}/{quote(page.stem)}"
        pods[name].append(PodEntry(PodKey(workloads[name].namespace, page.stem), url, PodPhase.READY))
    return Inventory(tuple(WorkloadEntry(workloads[name], None, tuple(entries)) for name, entries in pods.items()))
