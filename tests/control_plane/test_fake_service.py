"""The stand-in for a Service: in turn, past the dead, and with every byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.builders.ports import choose_ports
from tests.builders.raw_server import open_raw_server
from tests.control_plane.fake_service import FakeService, open_fake_service


@asynccontextmanager
async def open_echo(name: str) -> AsyncIterator[tuple[str, int]]:
    """Yield the address of a server that says its name, then what it is told, until it is told no more."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{name}:".encode())
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()

    async with open_raw_server(answer) as port:
        yield ("127.0.0.1", port)


async def ask(service: FakeService) -> str:
    """Return the name of who answers, "" for nobody."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    name = (await reader.read(100)).decode().rstrip(":")
    writer.close()
    await writer.wait_closed()
    return name


async def test_connections_go_to_each_backend_in_turn() -> None:
    async with open_echo("a") as a, open_echo("b") as b, open_fake_service([a, b]) as service:
        assert [await ask(service) for _ in range(4)] == ["a", "b", "a", "b"]
        assert (service.accepted, service.refused) == (4, 0)


async def test_a_dead_backend_is_passed_over() -> None:
    dead = ("127.0.0.1", choose_ports(1)[0])
    async with open_echo("a") as a, open_fake_service([dead, a]) as service:
        assert [await ask(service) for _ in range(3)] == ["a", "a", "a"]


async def test_without_a_living_backend_the_connection_is_closed() -> None:
    async with open_fake_service([("127.0.0.1", choose_ports(1)[0])]) as service:
        assert await ask(service) == ""
        assert service.refused == 1


async def test_every_byte_goes_both_ways() -> None:
    sent = bytes(range(256)) * 4000
    async with open_echo("a") as a, open_fake_service([a]) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(sent)
        assert await reader.readexactly(2 + len(sent)) == b"a:" + sent
        writer.close()
        await writer.wait_closed()


async def test_new_backends_are_for_new_connections() -> None:
    async with open_echo("a") as a, open_echo("b") as b, open_fake_service([a]) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        assert await reader.readexactly(2) == b"a:"
        service.set_backends([b])
        assert await ask(service) == "b"
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"still here"
        service.drop_connections()
        assert await reader.read() == b""
        writer.close()
        assert await ask(service) == "b"
