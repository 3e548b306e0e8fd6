"""A server on loopback that speaks no protocol: bytes in, bytes out. It leaves no connection behind."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

RawAnswer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def open_raw_server(answer: RawAnswer, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Yield the port of a server that has `answer` deal with each connection, and closes it afterwards.

    At the end all that is still open is cut off and waited for: what is left to a closed loop would be found by the
    garbage collector, and blamed on whichever test runs by then.
    """
    open_connections: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_connections[writer] = task
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):  # who asks may leave at any time
                await answer(reader, writer)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.close()
            del open_connections[writer]

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=tls)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        left = dict(open_connections)
        for writer in left:
            if not writer.is_closing():
                writer.transport.abort()
        await asyncio.gather(*left.values(), return_exceptions=True)
        await asyncio.sleep(0)  # transports take leave of the loop in its next round
