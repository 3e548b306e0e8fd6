"""The embedded fleet: replicas follow what is requested, drain before they go, and cost from creation to deletion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from adapter.demo.engine_settings import EngineSettings
from adapter.demo.fleet import Fleet, FleetWorkload, ReplicaBill
from adapter.demo.fleet_server import FleetServer
from adapter.errors import NotFound
from adapter.inventory import from_document
from optimizer.domain import IterationLaw, PodPhase, Variant, WorkloadRef
from tests.builders.stepped_clock import START_S, SteppedClock, until

REF = WorkloadRef("default", "llama-8b-l40s")
STARTUP_S = 5.0


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
async def fleet(clock: SteppedClock) -> AsyncIterator[Fleet]:
    engine = EngineSettings("llama-8b", IterationLaw(0.02, 1e-5, 1e-8, 1e-5), 100_000)
    variant = Variant("default", "llama-8b", "l40s", REF, "L40S", startup_s=STARTUP_S)
    made = Fleet([FleetWorkload(variant, engine, 3.6, opening_replicas=1)], clock)
    yield made
    await made.close()


def count(fleet: Fleet, phase: PodPhase) -> int:
    return len(fleet.get_replicas(REF, phase))


def get_names(fleet: Fleet, phase: PodPhase) -> list[str]:
    return sorted(replica.pod.name for replica in fleet.get_replicas(REF, phase))


async def ask(session: aiohttp.ClientSession, url: str, tokens: int) -> int:
    body = {"model": "llama-8b", "prompt": [1] * 10, "max_tokens": tokens, "ignore_eos": True}
    async with session.post(url + "/v1/completions", json=body) as response:
        await response.read()
        return response.status


async def open_ready(fleet: Fleet) -> None:
    fleet.open()
    await until(lambda: count(fleet, PodPhase.READY) == 1)


async def listen(fleet: Fleet) -> None:
    await until(lambda: all(replica.url for replica in fleet.get_replicas(REF, PodPhase.STARTING)))


async def test_opening_replicas_serve_at_once(fleet: Fleet, clock: SteppedClock) -> None:
    await open_ready(fleet)
    replica = fleet.get_replicas(REF, PodPhase.READY)[0]
    async with aiohttp.ClientSession() as session:
        request = asyncio.create_task(ask(session, replica.url, 3))
        await until(lambda: replica.requests == 1)
        await clock.run_to(START_S + 1.0)
        assert await request == 200
    assert replica.ready_s == START_S


async def test_a_new_replica_is_ready_after_its_start_and_not_before(fleet: Fleet, clock: SteppedClock) -> None:
    fleet.set_requested(REF, 1)
    await listen(fleet)
    url = fleet.get_replicas(REF, PodPhase.STARTING)[0].url
    await clock.run_to(START_S + STARTUP_S - 0.1)
    assert count(fleet, PodPhase.STARTING) == 1
    async with aiohttp.ClientSession() as session:
        assert await ask(session, url, 1) == 503
    await clock.run_to(START_S + STARTUP_S)
    await until(lambda: count(fleet, PodPhase.READY) == 1)
    assert fleet.get_replicas(REF, PodPhase.READY)[0].ready_s == START_S + STARTUP_S


async def test_what_does_not_serve_yet_goes_first_then_the_youngest(fleet: Fleet, clock: SteppedClock) -> None:
    await open_ready(fleet)
    for replicas in (2, 3):
        await clock.run_to(clock.now_s() + 1.0)
        fleet.set_requested(REF, replicas)
    await listen(fleet)
    await clock.run_to(clock.now_s() + STARTUP_S)
    await until(lambda: count(fleet, PodPhase.READY) == 3)
    fleet.set_requested(REF, 4)
    fleet.set_requested(REF, 2)
    assert get_names(fleet, PodPhase.TERMINATING) == [f"{REF.name}-2", f"{REF.name}-3"]
    assert get_names(fleet, PodPhase.READY) == [f"{REF.name}-0", f"{REF.name}-1"]


async def test_a_leaving_replica_finishes_what_it_has_in_hand(fleet: Fleet, clock: SteppedClock) -> None:
    await open_ready(fleet)
    replica = fleet.get_replicas(REF, PodPhase.READY)[0]
    async with aiohttp.ClientSession() as session:
        request = asyncio.create_task(ask(session, replica.url, 500))
        await until(lambda: replica.requests == 1)
        fleet.set_requested(REF, 0)
        await clock.run_to(START_S + 5.0)
        assert (replica.phase, replica.requests, replica.deleted_s) == (PodPhase.TERMINATING, 1, None)
        await clock.run_to(START_S + 11.0)
        assert await request == 200
    await clock.run_to(START_S + 12.0)
    await until(lambda: replica.deleted_s is not None)
    assert fleet.to_inventory().workloads[0].pods == ()


async def test_going_down_and_up_again_makes_a_new_replica(fleet: Fleet) -> None:
    await open_ready(fleet)
    fleet.set_requested(REF, 0)
    fleet.set_requested(REF, 1)
    assert get_names(fleet, PodPhase.TERMINATING) == [f"{REF.name}-0"]
    assert get_names(fleet, PodPhase.STARTING) == [f"{REF.name}-1"]


async def test_the_bill_runs_from_creation_to_deletion(fleet: Fleet, clock: SteppedClock) -> None:
    fleet.set_requested(REF, 2)
    await listen(fleet)
    await clock.run_to(START_S + 2.0)
    fleet.set_requested(REF, 1)
    await until(lambda: count(fleet, PodPhase.TERMINATING) == 0)
    spans = sorted((bill.created_s - START_S, bill.deleted_s) for bill in fleet.to_bills() if bill.deleted_s)
    assert spans == [(0.0, START_S + 2.0)]
    assert sum(bill.compute_cost(START_S + 10.0) for bill in fleet.to_bills()) == pytest.approx(0.001 * (10.0 + 2.0))


def test_a_bill_is_price_times_time() -> None:
    bill = ReplicaBill(REF, created_s=100.0, deleted_s=1900.0, cost_per_hour=3.6)
    assert bill.compute_cost(50.0) == 0.0
    assert bill.compute_cost(1000.0) == pytest.approx(0.9)
    assert bill.compute_cost(5000.0) == pytest.approx(1.8)


async def test_nobody_scales_what_is_not_there(fleet: Fleet) -> None:
    with pytest.raises(NotFound, match="default/nothing"):
        fleet.set_requested(WorkloadRef("default", "nothing"), 1)


async def test_the_inventory_over_http_is_the_one_discovery_reads(fleet: Fleet) -> None:
    await open_ready(fleet)
    fleet.set_requested(REF, 2)
    await listen(fleet)
    server = FleetServer(fleet.to_inventory, dict, dict)
    await server.start()
    async with aiohttp.ClientSession() as session, session.get(server.url + "/inventory") as response:
        inventory = from_document(await response.json())
    await server.stop()
    entry = inventory.get(REF)
    assert entry is not None
    assert entry.requested_replicas == 2
    assert sorted(pod.phase for pod in entry.pods) == [PodPhase.READY, PodPhase.STARTING]
    assert all(pod.url.startswith("http://127.0.0.1:") for pod in entry.pods if pod.phase is PodPhase.READY)


async def test_the_word_to_begin_is_handed_on_once(fleet: Fleet) -> None:
    server = FleetServer(fleet.to_inventory, dict, dict)
    await server.start()
    async with aiohttp.ClientSession() as session:
        for url in ("http://a", "http://b"):
            async with session.post(server.url + "/begin", json={"api_url": url, "adapter_pid": 7}) as response:
                assert response.status == 200
    begin = await server.wait_for_begin()
    await server.stop()
    assert (begin.api_url, begin.adapter_pid) == ("http://a", 7)
