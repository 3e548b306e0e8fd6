"""Brings one request to a replica and streams the answer back; what it has streamed it never repeats.

A connection that fails, or a 503 that comes, before the first byte went to the client is tried on another replica. A
client that leaves ends the request at the replica as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
from aiohttp import web

from adapter.errors import NotFound, Unreachable
from adapter.router.table import Replica, ReplicaTable

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_ENCODED = frozenset({"accept-encoding", "content-encoding"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is sent to a replica, the same at every attempt; `headers` of the client, hop-by-hop ones included."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Forwarded:
    """How a request ended: the answer the client got, and how many attempts were repeated."""

    response: web.StreamResponse
    retries: int


class Proxy:
    """Forwards requests over one connection pool.

    Parameters
    ----------
    session
        The pool; closed by whoever opened it.
    max_attempts
        Replicas tried for one request.
    """

    def __init__(self, session: aiohttp.ClientSession, max_attempts: int) -> None:
        self._session = session
        self._max_attempts = max_attempts

    async def forward(
        self, request: web.Request, attempt: Attempt, table: ReplicaTable, extra_headers: dict[str, str]
    ) -> Forwarded:
        """Stream the answer of a replica of `table` to `request`.

        Raises
        ------
        NotFound
            When there is no replica to try.
        Unreachable
            When none of those tried answered before the first byte; nothing was sent to the client then.
        """
        tried: frozenset[str] = frozenset()
        cause: Exception | None = None
        for retries in range(self._max_attempts):
            replica = table.choose(excluded=tried)
            if replica is None:
                break
            tried |= {replica.name}
            is_last = retries + 1 == self._max_attempts or not table.has_other(tried)
            with table.take(replica):
                try:
                    response = await self._try(request, attempt, replica, extra_headers, keep_refusal=is_last)
                except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as failure:
                    cause = failure
                    continue
            if response is not None:
                return Forwarded(response, retries)
        if not tried:
            raise NotFound(f"no replica of {table.key.model_id} is ready")
        raise Unreachable(f"no replica answered, tried {', '.join(sorted(tried))}") from cause

    async def _try(
        self, request: web.Request, attempt: Attempt, replica: Replica, extra: dict[str, str], keep_refusal: bool
    ) -> web.StreamResponse | None:
        url = replica.url + attempt.path
        headers = [(name, value) for name, value in attempt.headers if name.lower() not in _HOP_BY_HOP | _ENCODED]
        async with self._session.post(url, data=attempt.body, headers=headers) as upstream:
            if upstream.status == 503 and not keep_refusal:
                return None
            chunks = upstream.content.iter_any()
            first = await anext(chunks, b"")
            response = web.StreamResponse(status=upstream.status, headers=_choose_headers(upstream, replica, extra))
            try:
                await response.prepare(request)
                await response.write(first)
                async for chunk in chunks:
                    await response.write(chunk)
                await response.write_eof()
            except (aiohttp.ClientError, TimeoutError):
                # Some of the answer is out: break the client's connection too, so that it sees the answer is cut short.
                if request.transport is not None:
                    request.transport.abort()
            return response


def _choose_headers(upstream: aiohttp.ClientResponse, replica: Replica, extra: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in upstream.headers.items() if name.lower() not in _HOP_BY_HOP | _ENCODED}
    kept.pop("Date", None)
    kept.pop("Server", None)
    return {**kept, "X-Served-By": replica.name, **extra}
