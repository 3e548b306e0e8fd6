"""Fetching pages over HTTP: bounded in time, size and number, every failure mapped to a reason. It reads no numbers."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp

from adapter.clock import read_wall_s
from adapter.collector.options import ScrapeOptions
from adapter.telemetry import Telemetry
from optimizer.domain import Reason, ReasonCode

_HEADERS = {"Accept": "text/plain"}  # OpenMetrics would rename vLLM's series
_CHUNK_BYTES = 1 << 16


class PageUnusable(Exception):
    """A page could not be had; carries the reason."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(str(reason))


class PageFetcher:
    """One connection pool for all pages; use it as an async context manager."""

    def __init__(self, options: ScrapeOptions, telemetry: Telemetry) -> None:
        self._options, self._telemetry = options, telemetry
        self._slots = asyncio.Semaphore(options.concurrency)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> PageFetcher:
        """Open the pool."""
        connector = aiohttp.TCPConnector(limit=self._options.concurrency, ssl=_to_ssl(self._options))
        timeout = aiohttp.ClientTimeout(total=self._options.timeout_s)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, headers=_HEADERS)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()

    async def fetch(self, url: str) -> bytes:
        """Return the body at `url`.

        Raises
        ------
        PageUnusable
            Too slow (connection, drip or both), refused, too long, or not 200.
        """
        async with self._slots:
            started_s = read_wall_s()
            try:
                body = await self._read(url)
            except PageUnusable as failure:
                self._telemetry.count_scrape(failure.reason.code.value, read_wall_s() - started_s)
                raise
            self._telemetry.count_scrape("ok", read_wall_s() - started_s)
            return body

    async def _read(self, url: str) -> bytes:
        if self._session is None:
            raise RuntimeError("use `async with PageFetcher(...)`")
        try:
            async with self._session.get(url, headers=self._get_authorization()) as response:
                if response.status != 200:
                    raise _unusable(ReasonCode.SCRAPE_FAILED, f"{url} answered {response.status}")
                return await self._read_body(url, response)
        except TimeoutError as cause:
            seconds = self._options.timeout_s
            raise _unusable(ReasonCode.SCRAPE_TIMEOUT, f"{url} took longer than {seconds:g} s") from cause
        except (aiohttp.ClientError, OSError, ValueError) as cause:
            raise _unusable(ReasonCode.SCRAPE_FAILED, f"{url}: {type(cause).__name__}: {cause}") from cause

    async def _read_body(self, url: str, response: aiohttp.ClientResponse) -> bytes:
        chunks, size = [], 0
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            size += len(chunk)
            if size > self._options.max_page_bytes:
                raise _unusable(ReasonCode.BAD_PAGE, f"{url} is longer than {self._options.max_page_bytes} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    def _get_authorization(self) -> dict[str, str]:
        path = self._options.bearer_token_file
        return {} if path is None else {"Authorization": f"Bearer {Path(path).read_text(encoding='utf-8').strip()}"}


def _unusable(code: ReasonCode, message: str) -> PageUnusable:
    return PageUnusable(Reason(code, message))


def _to_ssl(options: ScrapeOptions) -> ssl.SSLContext | bool:
    if options.insecure_tls:
        return False
    return ssl.create_default_context(cafile=options.ca_file) if options.ca_file else True
