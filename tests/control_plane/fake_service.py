"""Stands in for a Service with several endpoints: TCP in turn to each backend, past those that are dead.

Where an API server runs without a network of its own, a Service can lead to one address only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

_PIECE_BYTES = 1 << 16
_CONNECT_S = 2.0


class FakeService:
    """One address in front of several.

    Parameters
    ----------
    backends
        Host and port of each; may be changed while it runs, by `set_backends`.

    Attributes
    ----------
    port
        Where it listens on loopback; known after `start`.
    accepted
        Connections it took, and `refused` those for which no backend was alive.
    """

    def __init__(self, backends: Iterable[tuple[str, int]] = ()) -> None:
        self.port = 0
        self.accepted = 0
        self.refused = 0
        self._backends = list(backends)
        self._turn = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def set_backends(self, backends: Iterable[tuple[str, int]]) -> None:
        """Send new connections to `backends`; those that exist stay where they are."""
        self._backends = list(backends)

    async def start(self, port: int = 0) -> None:
        """Listen on `port` of loopback, 0 for any free one."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and drop every connection; harmless the second time."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if server is not None:
            await server.wait_closed()

    def drop_connections(self) -> None:
        """Drop every connection and go on listening, as a load balancer that was restarted."""
        for task in self._connections:
            task.cancel()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.accepted += 1
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        backend = await self._connect()
        if backend is None:
            self.refused += 1
            return
        backend_reader, backend_writer = backend
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pipe(reader, backend_writer))
                group.create_task(_pipe(backend_reader, writer))
        except* OSError:
            pass  # one side broke off; both are closed
        finally:
            backend_writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Return a connection to the backend whose turn it is, or the next one that is alive."""
        for _ in range(len(self._backends)):
            host, port = self._backends[self._turn % len(self._backends)]
            self._turn += 1
            try:
                return await asyncio.wait_for(asyncio.open_connection(host, port), _CONNECT_S)
            except (OSError, TimeoutError):
                continue
        return None


@asynccontextmanager
async def open_fake_service(backends: Iterable[tuple[str, int]] = ()) -> AsyncIterator[FakeService]:
    """Yield a service that listens."""
    service = FakeService(backends)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until one side ends, then close the other."""
    try:
        while piece := await reader.read(_PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()
