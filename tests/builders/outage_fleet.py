"""A fleet for outages: real engines behind a real router, the inventory over HTTP, and pages that can go wrong.

Everything but the physics of the engines is sockets on loopback. It takes any clock and knows nothing of the adapter.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import aiohttp
from aiohttp import web

from adapter.clock import Clock
from adapter.demo.engine_server import EngineServer, EngineSettings
from adapter.inventory import Inventory, PodEntry, WorkloadEntry, to_document
from adapter.router import Replica, Router, RouterSettings
from optimizer import RoundRobin
from optimizer.domain import IterationLaw, ModelKey, PodKey, PodPhase, WorkloadRef
from optimizer.simulation import EndedRequest
from tests.builders.faulty_page import Fault, FaultyPage

EngineName: TypeAlias = Literal["vllm", "sglang"]
NAMESPACE, MODEL_ID = "default", "llama-8b"
CHEAP, DEAR = "llama-cheap", "llama-dear"
OPENING = {CHEAP: 4, DEAR: 2}
INPUT_TOKENS, OUTPUT_TOKENS = 100, 20
KV_TOKENS = 100_000
LAW = IterationLaw(fixed_s=0.2, per_request_s=0.05, per_context_token_s=1e-6, per_prompt_token_s=1e-3)
_LONG_AGO_S = 1000.0

_CONFIG = f"""
listen: {{pages: {{port: 0}}, external_metrics_http: {{port: 0}}, drain: 0}}
decision: {{period: 15s, calm_window: CALM}}
publishing: {{max_decision_age: 2m}}
collection: {{jitter: 0, timeout: TIMEOUT}}
discovery: {{kind: http, url: "INVENTORY"}}
state: {{file: STATE}}
accelerators: {{L40S: {{cost_per_hour: 1}}, H100: {{cost_per_hour: 2}}}}
service_classes: {{interactive: {{itl: 1s}}}}
models:
  - name: {MODEL_ID}
    expected_workload: {{input_tokens: {INPUT_TOKENS}, output_tokens: {OUTPUT_TOKENS}}}
    GATEWAY
    variants:
      - {{name: cheap, deployment: {CHEAP}, accelerator: L40S, max_replicas: 4, PROFILE}}
      - {{name: dear, deployment: {DEAR}, accelerator: H100, PROFILE}}
"""
_PROFILE = f"""engine: ENGINE, startup: 10s, performance: {{kv_capacity_tokens: {KV_TOKENS}, law: {{
        fixed: 200ms, per_request: 50ms, per_context_token: 1us, per_prompt_token: 1ms}}}}"""


@dataclass
class Pod:
    """A replica: its engine, and the page before it that everybody but the router takes for its own."""

    entry: PodEntry
    deployment: str
    engine: EngineServer
    page: FaultyPage


class OutageFleet:
    """Engines, router and inventory; use `open_fleet`.

    Attributes
    ----------
    pods
        By name.
    gateway
        The page of the router.
    inventory_answer
        What whoever asks for the inventory is told instead of it; None when nothing is wrong with it.
    """

    def __init__(self, clock: Clock, session: aiohttp.ClientSession, engine_name: EngineName) -> None:
        self.pods: dict[str, Pod] = {}
        self.inventory_answer: str | None = None
        self._clock, self._session = clock, session
        self._settings = EngineSettings(MODEL_ID, LAW, KV_TOKENS, engine_name)
        self._key = ModelKey(NAMESPACE, MODEL_ID)
        self._router = Router(RouterSettings(), [self._key], RoundRobin, clock)
        self.gateway = FaultyPage("")
        self._inventory_url = ""
        self._engines: list[EngineServer] = []
        self._ended: list[EndedRequest] = []
        self._answers: list[asyncio.Task[int]] = []
        self._closing = AsyncExitStack()

    @property
    def taken_requests(self) -> int:
        """Requests that reached an engine so far."""
        in_hand = sum(engine.running_requests + engine.waiting_requests for engine in self._engines)
        return in_hand + len(self._ended)

    async def open(self) -> None:
        await self._router.start()
        self._closing.push_async_callback(self._router.stop)
        self.gateway.source = self._router.url
        await self._start_page(self.gateway)
        for deployment, replicas in OPENING.items():
            for number in range(replicas):
                await self.add_pod(f"{deployment}-{number}", deployment)
        await self._serve_inventory()

    async def close(self) -> None:
        for answer in self._answers:
            answer.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)
        await self._closing.aclose()

    def render_config(self, *, timeout: str, calm_window: str, has_gateway: bool, has_state: bool) -> str:
        """Return a configuration of the adapter for this fleet; with a gateway the LLM may go to zero."""
        gateway = f'min_replicas: 0\n    idle_to_zero: 1m\n    gateway: {{url: "{self.gateway.url}/metrics"}}'
        text = _CONFIG.replace("PROFILE", _PROFILE).replace("ENGINE", self._settings.engine)
        text = (
            text.replace("STATE", "state.json" if has_state else "null")
            .replace("TIMEOUT", timeout)
            .replace("CALM", calm_window)
        )
        return text.replace("INVENTORY", self._inventory_url).replace("GATEWAY", gateway if has_gateway else "")

    async def add_pod(self, name: str, deployment: str, uid: str = "1", *, age_s: float = _LONG_AGO_S) -> Pod:
        """Add a replica that is ready and was made `age_s` [s] ago."""
        engine = EngineServer(self._settings, self._clock, on_end=self._ended.append)
        await engine.start()
        self._closing.push_async_callback(engine.stop)
        self._engines.append(engine)
        page = FaultyPage(engine.url)
        await self._start_page(page)
        made_s = self._clock.now_s() - age_s
        entry = PodEntry(PodKey(NAMESPACE, name, uid), page.url, PodPhase.READY, made_s, made_s)
        self.pods[name] = Pod(entry, deployment, engine, page)
        self._tell_router()
        return self.pods[name]

    def remove_pod(self, name: str) -> None:
        """Take a replica out of inventory and router; what it has in hand it still answers."""
        del self.pods[name]
        self._tell_router()

    async def go_wrong(self, fault: Fault, names: Iterable[str]) -> None:
        """Let the pages of some pods go wrong."""
        for name in names:
            await self.pods[name].page.go_wrong(fault)

    def send(self) -> None:
        """Send one request to the router."""
        self._answers.append(asyncio.create_task(self._ask()))

    async def finish(self) -> list[int]:
        """Return the status of every answer, when all have come; time must go on meanwhile."""
        return await asyncio.gather(*self._answers)

    async def _ask(self) -> int:
        body = {"model": MODEL_ID, "prompt": [1] * INPUT_TOKENS, "max_tokens": OUTPUT_TOKENS, "ignore_eos": True}
        async with self._session.post(f"{self._router.url}/v1/completions", json=body) as response:
            await response.read()
            return response.status

    def _tell_router(self) -> None:
        self._router.update(self._key, [Replica(name, pod.engine.url) for name, pod in self.pods.items()])

    async def _start_page(self, page: FaultyPage) -> None:
        await page.start()
        self._closing.push_async_callback(page.stop)

    async def _serve_inventory(self) -> None:
        app = web.Application()
        app.router.add_get("/inventory", self._show_inventory)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
        await runner.setup()
        self._closing.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._inventory_url = f"http://127.0.0.1:{runner.addresses[0][1]}/inventory"

    async def _show_inventory(self, _request: web.Request) -> web.Response:
        if self.inventory_answer is not None:
            return web.Response(text=self.inventory_answer)
        workloads = []
        for deployment in OPENING:
            entries = tuple(pod.entry for pod in self.pods.values() if pod.deployment == deployment)
            workloads.append(WorkloadEntry(WorkloadRef(NAMESPACE, deployment), len(entries), entries))
        return web.json_response(to_document(Inventory(tuple(workloads))))


@asynccontextmanager
async def open_fleet(clock: Clock, engine_name: EngineName = "vllm") -> AsyncIterator[OutageFleet]:
    """Yield a fleet with its opening replicas ready."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        fleet = OutageFleet(clock, session, engine_name)
        try:
            await fleet.open()
            yield fleet
        finally:
            await fleet.close()
