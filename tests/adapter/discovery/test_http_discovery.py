"""Discovery over HTTP from real servers on loopback, good and bad."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from adapter.discovery import HttpDiscovery
from adapter.errors import AdapterError, BadDocument, Refused, Unreachable
from adapter.inventory import Inventory, to_document
from optimizer.domain import PodPhase
from tests.builders import fake_servers
from tests.builders.fake_servers import Answer, FakeServers, answer_with
from tests.builders.inventories import make_inventory, make_pod_entry


@pytest.fixture
async def servers() -> AsyncIterator[FakeServers]:
    opened = FakeServers()
    yield opened
    await opened.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


def make_large_inventory(pods: int) -> Inventory:
    return make_inventory(a=[make_pod_entry(f"a-{number}", f"http://10.0.0.{number}:8000") for number in range(pods)])


async def test_inventory_comes_as_it_is_served(servers: FakeServers, session: aiohttp.ClientSession) -> None:
    inventory = make_inventory(
        a=[
            make_pod_entry("a-0", "http://10.0.0.1:8000"),
            make_pod_entry("a-1", "", PodPhase.STARTING, created_s=3.5, ready_s=None),
        ],
        b=[],
    )
    server = await servers.open(answer_with(json.dumps(to_document(inventory)).encode()))
    assert await HttpDiscovery(session, server.url + "/inventory").fetch_inventory() == inventory
    assert [request.path for request in server.requests] == ["/inventory"]


async def test_document_of_many_packets_comes_whole(servers: FakeServers, session: aiohttp.ClientSession) -> None:
    inventory = make_large_inventory(20_000)
    body = json.dumps(to_document(inventory)).encode()
    assert len(body) > 2_000_000
    server = await servers.open(answer_with(body))
    assert await HttpDiscovery(session, server.url).fetch_inventory() == inventory


@pytest.mark.parametrize(
    "answer, failure, words",
    [
        (fake_servers.answer_error, Refused, "answered 500"),
        (answer_with(b"{}", status=404), Refused, "answered 404"),
        (fake_servers.answer_reset, Unreachable, "ServerDisconnectedError"),
        (fake_servers.answer_broken_off, Unreachable, "ClientPayloadError"),
        (fake_servers.answer_html, BadDocument, "is not JSON"),
        (fake_servers.answer_garbage, BadDocument, "is not JSON"),
        (fake_servers.answer_empty, BadDocument, "is not JSON"),
        (fake_servers.answer_json, BadDocument, "workloads"),
        (answer_with(b"[" * 100_000), BadDocument, "is not JSON"),
    ],
)
async def test_bad_answer_is_a_failure_with_its_kind(
    servers: FakeServers, session: aiohttp.ClientSession, answer: Answer, failure: type[AdapterError], words: str
) -> None:
    server = await servers.open(answer)
    with pytest.raises(failure, match=words):
        await HttpDiscovery(session, server.url, timeout_s=30.0).fetch_inventory()


@pytest.mark.parametrize("answer", [fake_servers.answer_never, fake_servers.answer_dripping])
async def test_slow_answer_is_given_up(servers: FakeServers, session: aiohttp.ClientSession, answer: Answer) -> None:
    server = await servers.open(answer)
    with pytest.raises(Unreachable, match=r"took longer than 0\.2 s"):
        await HttpDiscovery(session, server.url, timeout_s=0.2).fetch_inventory()


async def test_endless_document_is_given_up_at_its_limit(servers: FakeServers, session: aiohttp.ClientSession) -> None:
    server = await servers.open(fake_servers.answer_endless)
    with pytest.raises(BadDocument, match="is longer than"):
        await HttpDiscovery(session, server.url, timeout_s=60.0).fetch_inventory()


async def test_address_that_is_none_is_a_failure(session: aiohttp.ClientSession) -> None:
    with pytest.raises(Unreachable):
        await HttpDiscovery(session, "http://127.0.0.1:99999/").fetch_inventory()
