"""Stands in for a Prometheus that scrapes one page at every question: its series are gone when the page is.

It knows one form of question, the largest value of the series with certain labels.
"""

from __future__ import annotations

import asyncio
import re
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

_QUESTION = re.compile(r"max\((\w+)\{(.*)\}\)")
_MATCHER = re.compile(r'(\w+)="([^"]*)"')
_SCRAPE_S = 2.0


@dataclass
class FakePrometheus:
    """Answers instant queries.

    Attributes
    ----------
    page
        What it scrapes.
    url
        Its address.
    unanswered
        Questions to which it had no series.
    """

    page: str
    url: str = ""
    unanswered: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer ``/api/v1/query``."""
        query = request.query["query"]
        value = await asyncio.to_thread(self._find, query)
        if value is None:
            self.unanswered.append(query)
        result = [] if value is None else [{"metric": {}, "value": [time.time(), f"{value:g}"]}]
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})

    def _find(self, query: str) -> float | None:
        asked = _QUESTION.fullmatch(query)
        if asked is None:
            raise web.HTTPBadRequest(text=f"cannot answer {query}")
        labels = dict(_MATCHER.findall(asked[2]))
        found = [
            sample.value
            for family in text_string_to_metric_families(self._scrape())
            for sample in family.samples
            if sample.name == asked[1] and labels.items() <= sample.labels.items()
        ]
        return max(found, default=None)

    def _scrape(self) -> str:
        try:
            with urllib.request.urlopen(self.page, timeout=_SCRAPE_S) as page:
                text: str = page.read().decode()
                return text
        except (urllib.error.URLError, OSError):
            return ""


@asynccontextmanager
async def open_fake_prometheus(page: str) -> AsyncIterator[FakePrometheus]:
    """Yield a Prometheus on loopback that scrapes `page`."""
    prometheus = FakePrometheus(page)
    app = web.Application()
    app.router.add_route("*", "/api/v1/query", prometheus.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        prometheus.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield prometheus
    finally:
        await runner.cleanup()
