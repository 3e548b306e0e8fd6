"""What one pass costs us: CPU time per pod to scrape, read and aggregate, then to decide, at 100 and 1000 pods.

The pods' pages come from a server in a process of its own over loopback: the captured 53 kB page, its counters moving.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Coroutine, Sequence
from multiprocessing.connection import Connection
from typing import Any

from aiohttp import web

from adapter.collector import Collector, CollectorOptions, ScrapeOptions
from adapter.collector.fetch import FetchedPage, PageFetcher
from adapter.collector.pod_history import PodHistory
from adapter.collector.read_page import read_page
from adapter.inventory import Inventory, PodEntry, WorkloadEntry
from adapter.telemetry import Telemetry
from optimizer import State, decide
from optimizer.domain import (
    Accelerator,
    IterationLaw,
    LatencyQuantity,
    PerformanceProfile,
    PodKey,
    PodPhase,
    ServedModel,
    ServiceClass,
    Settings,
    Slo,
    Variant,
    WorkloadRef,
)
from tests.builders.pod_page import MODEL_NAME, PodPage
from tests.builders.stepped_clock import SteppedClock

PODS_PER_MODEL = 50
PERIOD_S = 15.0
WARM_PASSES, MEASURED_PASSES = 2, 4
PAGES_PER_ROUND, ROUNDS = 20, 8
SCRAPE = ScrapeOptions(timeout_s=60.0, jitter_s=0.0)


def measure() -> dict[str, float]:
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{here.recv()}"
        return asyncio.run(_measure_fleet(url, 100)) | asyncio.run(_measure_fleet(url, 1000))
    finally:
        server.terminate()
        server.join()


# --- The pods ---------------------------------------------------------------------------------------------------------
def _serve(port: Connection) -> None:
    pages: dict[str, PodPage] = {}

    async def answer(request: web.Request) -> web.Response:
        page = pages.setdefault(request.match_info["pod"], PodPage())
        page.serve(30, running=8 + len(pages) % 5)
        return web.Response(body=page.render(), content_type="text/plain")

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/{pod}/metrics", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(serve())


def _make_fleet(url: str, pods: int) -> tuple[Inventory, Settings]:
    """Return `pods` pods of as many LLMs as needed, in two variants each."""
    names = [f"model-{number}" for number in range(pods // PODS_PER_MODEL)]
    models = tuple(_make_model(name) for name in names)
    workloads = [variant.workload for model in models for variant in model.variants]
    per_workload = pods // len(workloads)
    entries = tuple(
        WorkloadEntry(workload, per_workload, tuple(_make_pod(workload, number, url) for number in range(per_workload)))
        for workload in workloads
    )
    return Inventory(entries), Settings(models, (Accelerator("L40S", 1.55), Accelerator("H100", 2.95)))


def _make_model(name: str) -> ServedModel:
    slo = ServiceClass("default", (Slo(LatencyQuantity.ITL, 0.1), Slo(LatencyQuantity.TTFT, 2.0)))
    laws = {"L40S": IterationLaw(0.022, 34e-6, 2e-7, 55e-6), "H100": IterationLaw(0.0063, 12e-6, 4e-8, 17e-6)}
    variants = tuple(
        Variant(
            "prod",
            name,
            accelerator.lower(),
            WorkloadRef("prod", f"{name}-{accelerator.lower()}"),
            accelerator,
            performance=PerformanceProfile(law, kv_capacity_tokens=200_000.0),
            max_replicas=200,
        )
        for accelerator, law in laws.items()
    )
    return ServedModel("prod", name, (slo,), variants)


def _make_pod(workload: WorkloadRef, number: int, url: str) -> PodEntry:
    name = f"{workload.name}-{number}"
    return PodEntry(PodKey("prod", name, name), f"{url}/{name}", PodPhase.READY, 0.0, 10.0)


# --- What is measured -------------------------------------------------------------------------------------------------
async def _measure_fleet(url: str, pods: int) -> dict[str, float]:
    inventory, settings = _make_fleet(url, pods)
    collect_s, wall_s, turn_s, decide_s = await _measure_passes(inventory, settings)
    urls = [f"{pod.url}/metrics" for workload in inventory.workloads for pod in workload.pods]
    scrape_s = await _measure_scrape(urls)
    read_s, aggregate_s = await _measure_reading(urls[0])
    return {
        f"scrape_cpu_ms_per_pod, {pods} pods": scrape_s / pods * 1e3,
        f"read_cpu_ms_per_pod, {pods} pods": read_s * 1e3,
        f"aggregate_cpu_ms_per_pod, {pods} pods": aggregate_s * 1e3,
        f"collect_cpu_ms_per_pod, {pods} pods": collect_s / pods * 1e3,
        f"collect_wall_ms, {pods} pods": wall_s * 1e3,
        f"collect_longest_turn_cpu_ms, {pods} pods": turn_s * 1e3,
        f"decide_cpu_ms_per_pod, {pods} pods": decide_s / pods * 1e3,
    }


async def _measure_passes(inventory: Inventory, settings: Settings) -> tuple[float, float, float, float]:
    """Return CPU time and wall time of collecting, its longest turn of the event loop, and CPU time of deciding [s].

    Each is the least over the measured passes.
    """
    clock, state = SteppedClock(), State()
    collect_s, wall_s, decide_s = [], [], []
    async with Collector(CollectorOptions(SCRAPE), clock, Telemetry()) as collector:
        for _ in range(WARM_PASSES + MEASURED_PASSES):
            await clock.run_to(clock.now_s() + PERIOD_S)
            begun_cpu_s, begun_s = time.process_time(), time.perf_counter()
            snapshot = await collector.collect(inventory, settings)
            wall_s.append(time.perf_counter() - begun_s)
            collected_cpu_s = time.process_time()
            collect_s.append(collected_cpu_s - begun_cpu_s)
            outcome = decide(state, snapshot, clock.now_s(), settings)
            state = outcome.state
            decide_s.append(time.process_time() - collected_cpu_s)
        turns_s = []
        for _ in range(MEASURED_PASSES):
            await clock.run_to(clock.now_s() + PERIOD_S)
            turns_s.append(await _find_longest_turn_s(collector.collect(inventory, settings)))
    windows = [window for model in snapshot.models for window in model.windows]
    pods = sum(len(workload.pods) for workload in inventory.workloads)
    assert len([window for window in windows if window.arrivals == 30.0]) == pods, "not every pod told its arrivals"
    assert all(decision.demand_per_s.is_known for decision in outcome.decisions), "decided without demand"
    assert len(outcome.decisions) == len(settings.models)
    return min(collect_s[WARM_PASSES:]), min(wall_s[WARM_PASSES:]), min(turns_s), min(decide_s[WARM_PASSES:])


async def _find_longest_turn_s(work: Coroutine[Any, Any, object]) -> float:
    """Return the most CPU time between two turns of the event loop during `work` [s]: so long others have to wait."""
    task, longest_s = asyncio.create_task(work), 0.0
    while not task.done():
        begun_s = time.process_time()
        await asyncio.sleep(0)
        longest_s = max(longest_s, time.process_time() - begun_s)
    return longest_s


async def _measure_scrape(urls: Sequence[str]) -> float:
    """Return the CPU time of fetching every page once [s], nothing being read."""
    slots, keep_alive = asyncio.Semaphore(SCRAPE.concurrency), len(urls) <= SCRAPE.concurrency
    async with PageFetcher(SCRAPE, SteppedClock()) as fetcher:

        async def fetch(url: str) -> FetchedPage:
            async with slots:
                return await fetcher.fetch(url, keep_alive=keep_alive)

        taken_s = []
        for _ in range(3):
            begun_s = time.process_time()
            await asyncio.gather(*(fetch(url) for url in urls))
            taken_s.append(time.process_time() - begun_s)
    return min(taken_s)


async def _measure_reading(url: str) -> tuple[float, float]:
    """Return the CPU times of turning a page into a reading, and readings into window and state [s]: the least seen."""
    async with PageFetcher(SCRAPE, SteppedClock()) as fetcher:
        bodies = [(await fetcher.fetch(url)).body for _ in range(PAGES_PER_ROUND * ROUNDS)]
    pod = PodKey("prod", "pod", "1")
    history, entry = PodHistory(pod, MODEL_NAME), PodEntry(pod, url, PodPhase.READY, 0.0, 10.0)
    read_s, taken_s = [], []
    for start in range(0, len(bodies), PAGES_PER_ROUND):
        chunk = list(enumerate(bodies[start : start + PAGES_PER_ROUND], start))
        begun_s = time.process_time()
        for number, body in chunk:
            read_page(body, "vllm", pod, PERIOD_S * number)
        between_s = time.process_time()
        for number, body in chunk:
            history.take_page(body, PERIOD_S * number)
            history.to_state(entry, PERIOD_S * number)
        read_s.append((between_s - begun_s) / PAGES_PER_ROUND)
        taken_s.append((time.process_time() - between_s) / PAGES_PER_ROUND)
    assert history.window is not None
    assert history.window.arrivals == 30.0
    return min(read_s), min(taken_s) - min(read_s)
