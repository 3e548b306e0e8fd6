"""Stands in for a gateway before LLMs: a page that counts requests at arrival. No request is ever sent anywhere."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from adapter.config.schema.models import GatewayConfig
from optimizer.domain import ModelKey

_PROGRAM = Path(__file__).with_name("gateway_page.py")
_METRICS = (GatewayConfig(url="http://localhost").requests_metric, GatewayConfig(url="http://localhost").waiting_metric)


@dataclass
class _Traffic:
    """What is asked of one LLM: requests so far until `since_s`, then so many a second [1/s]."""

    namespace: str
    model: str
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

    url: str
    _page: IO[str]
    _traffic: dict[ModelKey, _Traffic] = field(default_factory=dict)

    def set_rate(self, namespace: str, model_id: str, rate_per_s: float, waiting: int = 0) -> None:
        """Let so many requests arrive for an LLM from now on [1/s], with so many of them held."""
        now_s, key = time.monotonic(), ModelKey(namespace, model_id)
        before = self._traffic.get(key, _Traffic(namespace, model_id, 0.0, now_s))
        self._traffic[key] = _Traffic(namespace, model_id, before.count(now_s), now_s, rate_per_s, waiting)
        self.show()

    def show(self) -> None:
        """Let the page be had, as it is at first and until `hide`."""
        self._tell([asdict(traffic) for traffic in self._traffic.values()])

    def hide(self) -> None:
        """Let nobody have the page; requests go on arriving."""
        self._tell(None)

    def _tell(self, traffic: list[dict[str, object]] | None) -> None:
        self._page.write(json.dumps(traffic) + "\n")
        self._page.flush()


@asynccontextmanager
async def open_fake_gateway() -> AsyncIterator[FakeGateway]:
    """Yield a gateway whose page is served on loopback."""
    command = [sys.executable, "-I", "-S", str(_PROGRAM), *_METRICS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = int(await asyncio.to_thread(process.stdout.readline))
            yield FakeGateway(f"http://127.0.0.1:{port}/metrics", process.stdin)
        finally:
            process.kill()
