"""Fetching pages over HTTP: bounded in time and size, every failure mapped to a reason. It reads no numbers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp
from yarl import URL

from adapter.clock import Clock
from adapter.collector.options import ScrapeOptions
from adapter.collector.trust import Trust
from optimizer.domain import Reason, ReasonCode

_HEADERS = {
    "Accept": "text/plain",  # OpenMetrics would rename vLLM's series
    "Accept-Encoding": "identity",  # compressing would take time from the tokens that the server is to stream
}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 3
_CHUNK_BYTES = 1 << 16


class PageUnusable(Exception):
    """A page could not be had; carries the reason."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(str(reason))


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """The body of an answer.

    Attributes
    ----------
    body
        As sent.
    time_s
        When it was asked for, over an open connection [s]. What clients sent before stands before the question in the
        server's line, so the page counts that and hardly more; a late answer, or a late reader, makes it no younger.
        Measured on a vLLM short of CPU: counts were 0.5 to 0.8 requests off as of the question, 0.9 to 1.2 as of the
        beginning of the answer.
    """

    body: bytes
    time_s: float


@dataclass(slots=True)
class _Question:
    """A question on its way: when it was written to its connection [s]; until then, when it was to be."""

    sent_s: float


class PageFetcher:
    """One connection pool for all pages; use it as an async context manager.

    Redirects are followed within the same server only, so that no page can send us, or our token, elsewhere.
    """

    def __init__(self, options: ScrapeOptions, clock: Clock) -> None:
        self._options, self._clock = options, clock
        self._trust = Trust(options)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> PageFetcher:
        """Open the pool.

        Raises
        ------
        OSError
            When the file of authorities cannot be used. Later than now, that is a reason why pages cannot be had.
        """
        self._trust.get_tls()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # the caller bounds what is fetched at once
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # one limit over everything, in `fetch`
            trace_configs=[self._trace()],
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()

    def reconfigure(self, options: ScrapeOptions) -> None:
        """Fetch as `options` say from the next page on.

        Raises
        ------
        OSError
            When the file of authorities cannot be used; then nothing changes.
        """
        if options != self._options:
            trust = Trust(options)
            trust.get_tls()
            self._options, self._trust = options, trust

    async def fetch(self, url: str, *, keep_alive: bool = True) -> FetchedPage:
        """Return the page at `url`; the connection is kept for the next time where `keep_alive`.

        Raises
        ------
        PageUnusable
            Too slow (connection, answer, dripping body, or all together), refused, too long, or not 200.
        """
        shown = _hide_credentials(url)
        try:
            async with asyncio.timeout(self._options.timeout_s):
                return await self._follow(URL(url), shown, keep_alive)
        except aiohttp.InvalidURL as cause:
            raise _unusable(ReasonCode.SCRAPE_FAILED, f"{shown} is no address that can be asked") from cause
        except TimeoutError as cause:
            seconds = self._options.timeout_s
            raise _unusable(ReasonCode.SCRAPE_TIMEOUT, f"{shown} took longer than {seconds:g} s") from cause
        except (aiohttp.ClientError, OSError, ValueError) as cause:
            raise _unusable(ReasonCode.SCRAPE_FAILED, f"{shown}: {_describe(cause)}") from cause

    async def _follow(self, url: URL, shown: str, keep_alive: bool) -> FetchedPage:
        """Return the page at `url`, or where that leads on the same server."""
        place = url
        for _ in range(_MOST_REDIRECTS + 1):
            answer = await self._ask(place, shown, keep_alive)
            if isinstance(answer, FetchedPage):
                return answer
            if answer.origin() != url.origin():
                other = _hide_credentials(str(answer.origin()))
                raise _unusable(ReasonCode.SCRAPE_FAILED, f"{shown} redirects to {other}, which is not followed")
            place = answer
        raise _unusable(ReasonCode.SCRAPE_FAILED, f"{shown} redirects more than {_MOST_REDIRECTS} times")

    async def _ask(self, place: URL, shown: str, keep_alive: bool) -> FetchedPage | URL:
        """Return the page at `place`, or the address it redirects to."""
        if self._session is None:
            raise RuntimeError("use `async with PageFetcher(...)`")
        headers = self._trust.get_headers()
        if not keep_alive:
            headers["Connection"] = "close"
        tls = self._trust.get_tls() if place.scheme == "https" else True
        question = _Question(self._clock.now_s())
        async with self._session.get(
            place, headers=headers, ssl=tls, allow_redirects=False, trace_request_ctx=question
        ) as response:
            if response.status in _REDIRECTS and "Location" in response.headers:
                return place.join(URL(response.headers["Location"]))
            if response.status != 200:
                raise _unusable(ReasonCode.SCRAPE_FAILED, f"{shown} answered {response.status}")
            return FetchedPage(await self._read_body(response, shown), question.sent_s)

    def _trace(self) -> aiohttp.TraceConfig:
        """Return what notes in each `_Question` when it was written, after any wait for a connection."""

        async def note(
            _session: aiohttp.ClientSession, context: SimpleNamespace, _sent: aiohttp.TraceRequestHeadersSentParams
        ) -> None:
            question: _Question = context.trace_request_ctx
            question.sent_s = self._clock.now_s()

        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(note)
        return trace

    async def _read_body(self, response: aiohttp.ClientResponse, shown: str) -> bytes:
        limit_bytes = self._options.max_page_bytes
        chunks, size = [], 0
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            size += len(chunk)
            if size > limit_bytes:
                raise _unusable(ReasonCode.BAD_PAGE, f"{shown} is longer than {limit_bytes} bytes")
            chunks.append(chunk)
        return b"".join(chunks)


def _unusable(code: ReasonCode, message: str) -> PageUnusable:
    return PageUnusable(Reason(code, message))


def _describe(cause: BaseException) -> str:
    """Return one short line about `cause`."""
    return f"{type(cause).__name__}: {cause}".replace("\n", " ")[:300]


def _hide_credentials(url: str) -> str:
    """Return `url` without user and password, for the reasons that everybody may read."""
    scheme, mark, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{mark}{place.rpartition('@')[2]}{slash}{path}"
