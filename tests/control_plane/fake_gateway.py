"""Stands in for a gateway before LLMs: a page that counts requests at arrival. No request is ever sent anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from adapter.config.schema.models import GatewayConfig
from optimizer.domain import ModelKey

_COUNTER = GatewayConfig(url="http://localhost").requests_metric
_GAUGE = GatewayConfig(url="http://localhost").waiting_metric


@dataclass
class _Traffic:
    """What is asked of one LLM: requests so far until `since_s`, then so many a second [1/s]."""

    requests: float
    since_s: float
    rate_per_s: float = 0.0
    waiting: int = 0

    def count(self, now_s: float) -> float:
        return self.requests + self.rate_per_s * (now_s - self.since_s)


@dataclass
class FakeGateway:
    """Counts requests that nobody sends.

    Attributes
    ----------
    url
        Address of its page.
    """

    url: str = ""
    _traffic: dict[ModelKey, _Traffic] = field(default_factory=dict)

    def set_rate(self, namespace: str, model_id: str, rate_per_s: float, waiting: int = 0) -> None:
        """Let so many requests arrive for an LLM from now on [1/s], with so many of them held."""
        now_s, key = asyncio.get_running_loop().time(), ModelKey(namespace, model_id)
        before = self._traffic.get(key, _Traffic(0.0, now_s))
        self._traffic[key] = _Traffic(before.count(now_s), now_s, rate_per_s, waiting)

    async def show(self, _: web.Request) -> web.Response:
        """Answer with the page."""
        now_s = asyncio.get_running_loop().time()
        lines = [f"# TYPE {_COUNTER} counter", f"# TYPE {_GAUGE} gauge"]
        for key, traffic in self._traffic.items():
            labels = f'{{namespace="{key.namespace}",model="{key.model_id}"}}'
            lines += [f"{_COUNTER}{labels} {traffic.count(now_s)!r}", f"{_GAUGE}{labels} {traffic.waiting}"]
        return web.Response(text="\n".join([*lines, "# EOF", ""]))


@asynccontextmanager
async def open_fake_gateway() -> AsyncIterator[FakeGateway]:
    """Yield a gateway whose page is served on loopback."""
    gateway = FakeGateway()
    app = web.Application()
    app.router.add_get("/metrics", gateway.show)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        gateway.url = f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"
        yield gateway
    finally:
        await runner.cleanup()
