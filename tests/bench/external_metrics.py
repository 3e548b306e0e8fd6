"""How fast the external metrics API answers: its server in a process of its own, over loopback, 1000 variants."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from multiprocessing.connection import Connection

import aiohttp
import numpy as np
from aiohttp import web

from adapter.external_metrics import build_external_metrics_app
from tests.builders.decisions import ManualClock, make_model_decision, make_store, make_variant_decision

VARIANTS = 1000
REQUESTS = 4000
HEADERS = {"Accept": "application/vnd.kubernetes.protobuf, */*"}


def measure() -> dict[str, float]:
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    server.start()
    try:
        url = f"http://127.0.0.1:{here.recv()}/apis/external.metrics.k8s.io/v1beta1/namespaces/prod/deployment_replicas"
        return asyncio.run(_drive(url))
    finally:
        server.terminate()
        server.join()


def _serve(port: Connection) -> None:
    variants = [make_variant_decision(f"variant-{number}", number % 9) for number in range(VARIANTS)]
    store = make_store(*(make_model_decision(variant) for variant in variants))

    async def serve() -> None:
        runner = web.AppRunner(build_external_metrics_app(store, ManualClock(), 600.0))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(serve())


async def _drive(url: str) -> dict[str, float]:
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        await _ask(session, url, 200, concurrency=1)
        alone_s, _ = await _ask(session, url, REQUESTS // 4, concurrency=1)
        busy_s, wall_s = await _ask(session, url, REQUESTS, concurrency=5)  # HPA has five workers
    return {
        "requests_per_s, 5 clients": REQUESTS / wall_s,
        "p50_ms, 1 client": float(np.percentile(alone_s, 50)) * 1e3,
        "p99_ms, 1 client": float(np.percentile(alone_s, 99)) * 1e3,
        "p99_ms, 5 clients": float(np.percentile(busy_s, 99)) * 1e3,
    }


async def _ask(
    session: aiohttp.ClientSession, url: str, requests: int, *, concurrency: int
) -> tuple[list[float], float]:
    latencies_s: list[float] = []

    async def work(worker: int) -> None:
        for number in range(worker, requests, concurrency):
            begun_s = time.perf_counter()
            query = {"labelSelector": f"deployment=variant-{number % VARIANTS}"}
            async with session.get(url, params=query) as response:
                body = await response.json()
            latencies_s.append(time.perf_counter() - begun_s)
            assert body["items"][0]["value"] == str(number % VARIANTS % 9)

    begun_s = time.perf_counter()
    await asyncio.gather(*(work(worker) for worker in range(concurrency)))
    return latencies_s, time.perf_counter() - begun_s
