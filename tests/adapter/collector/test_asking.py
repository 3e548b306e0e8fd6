"""How pages are asked for: how many at once, when, in which order, one reading a turn, and what is said of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from aiohttp import web

from adapter.collector import Collector, CollectorOptions, ScrapeOptions
from adapter.collector.page_intake import PageIntake, Turnstile
from adapter.inventory import Inventory
from adapter.telemetry import Telemetry
from optimizer.domain import Reason
from tests.builders import fake_servers
from tests.builders.captured_log import capture_log
from tests.builders.fake_servers import FakeServer, FakeServers, respond
from tests.builders.inventories import make_inventory, make_pod_entry, make_settings
from tests.builders.stepped_clock import SteppedClock

SETTINGS = make_settings("a")
AT_ONCE = ScrapeOptions(timeout_s=30.0, jitter_s=0.0)


def list_pods(servers: Sequence[FakeServer]) -> Inventory:
    return make_inventory(a=[make_pod_entry(f"a-{number}", server.url) for number, server in enumerate(servers)])


async def collect_once(inventory: Inventory, clock: SteppedClock, scrape: ScrapeOptions = AT_ONCE) -> None:
    async with Collector(CollectorOptions(scrape), clock, Telemetry()) as collector:
        await collector.collect(inventory, SETTINGS)


# --- At once, within bounds -------------------------------------------------------------------------------------------
class Gate:
    """Answers once `width` requests wait at it; remembers the most that ever did."""

    def __init__(self, width: int) -> None:
        self._barrier, self._here, self.most = asyncio.Barrier(width), 0, 0

    async def answer(self, _request: web.Request) -> web.StreamResponse:
        self._here += 1
        self.most = max(self.most, self._here)
        await self._barrier.wait()
        self._here -= 1
        return respond(b"")


async def test_as_many_are_asked_at_once_as_allowed_and_no_more(servers: FakeServers, clock: SteppedClock) -> None:
    gate = Gate(3)
    found = [await servers.open(gate.answer) for _ in range(9)]
    await collect_once(list_pods(found), clock, replace(AT_ONCE, concurrency=3))
    assert gate.most == 3


async def test_new_bound_holds_from_the_next_pass_on(servers: FakeServers, clock: SteppedClock) -> None:
    narrow, wide = Gate(1), Gate(6)
    found = [await servers.open(narrow.answer) for _ in range(6)]
    async with Collector(CollectorOptions(replace(AT_ONCE, concurrency=1)), clock, Telemetry()) as collector:
        await collector.collect(list_pods(found), SETTINGS)
        collector.reconfigure(CollectorOptions(replace(AT_ONCE, concurrency=6)))
        for server in found:
            server.answer = wide.answer
        await collector.collect(list_pods(found), SETTINGS)
    assert (narrow.most, wide.most) == (1, 6)


async def test_new_limits_hold_from_the_next_pass_on(servers: FakeServers, clock: SteppedClock) -> None:
    server = await servers.open()
    async with Collector(CollectorOptions(AT_ONCE), clock, Telemetry()) as collector:
        collector.reconfigure(CollectorOptions(replace(AT_ONCE, max_page_bytes=1000)))
        snapshot = await collector.collect(list_pods([server]), SETTINGS)
    (window,) = snapshot.models[0].windows
    assert window.reason is not None
    assert window.reason.message.endswith("is longer than 1000 bytes")


async def test_options_that_cannot_be_used_change_nothing(
    servers: FakeServers, clock: SteppedClock, tmp_path: object
) -> None:
    server = await servers.open()
    async with Collector(CollectorOptions(AT_ONCE), clock, Telemetry()) as collector:
        with pytest.raises(OSError, match="nowhere"):
            collector.reconfigure(CollectorOptions(replace(AT_ONCE, ca_file=f"{tmp_path}/nowhere", max_page_bytes=1)))
        snapshot = await collector.collect(list_pods([server]), SETTINGS)
    assert snapshot.models[0].variants[0].pods[0].reason is None


# --- When, and in which order -----------------------------------------------------------------------------------------
class NotingClock(SteppedClock):
    """Notes how long anybody wanted to wait, and lets nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.waits_s: list[float] = []

    async def sleep(self, duration_s: float) -> None:
        self.waits_s.append(duration_s)
        await super().sleep(0.0)

    def take_waits_s(self) -> list[float]:
        """Return the waits so far, without those for a turn of the loop, and begin anew."""
        found, self.waits_s = [wait_s for wait_s in self.waits_s if wait_s > 0.0], []
        return found


async def test_every_pod_is_asked_at_its_own_fixed_moment(servers: FakeServers) -> None:
    clock, found = NotingClock(), [await servers.open() for _ in range(20)]
    async with Collector(CollectorOptions(replace(AT_ONCE, jitter_s=0.2)), clock, Telemetry()) as collector:
        passes = []
        for _ in range(2):
            await collector.collect(list_pods(found), SETTINGS)
            passes.append(clock.take_waits_s())
    assert passes[0] == passes[1]
    assert len(set(passes[0])) == 20
    assert max(passes[0]) <= 0.2
    assert max(passes[0]) - min(passes[0]) > 0.1


async def test_pods_whose_page_could_not_be_had_are_asked_last(servers: FakeServers, clock: SteppedClock) -> None:
    asked: list[int] = []
    found: list[FakeServer] = []
    for number in range(6):

        async def answer(_request: web.Request, number: int = number) -> web.StreamResponse:
            asked.append(number)
            server = found[number]
            return await (server.answer_page if number % 2 else fake_servers.answer_error)(_request)

        found.append(await servers.open(answer))
    async with Collector(CollectorOptions(replace(AT_ONCE, concurrency=1)), clock, Telemetry()) as collector:
        for _ in range(2):
            await collector.collect(list_pods(found), SETTINGS)
    assert asked == [0, 1, 2, 3, 4, 5, 1, 3, 5, 0, 2, 4]


async def test_pods_whose_page_could_not_be_had_wait_for_the_moments_of_all_others(servers: FakeServers) -> None:
    clock, server = NotingClock(), await servers.open(fake_servers.answer_error)
    async with Collector(CollectorOptions(replace(AT_ONCE, jitter_s=0.2)), clock, Telemetry()) as collector:
        await collector.collect(list_pods([server]), SETTINGS)
        (first_s,) = clock.take_waits_s()
        await collector.collect(list_pods([server]), SETTINGS)
        assert clock.take_waits_s() == [first_s + 0.2]


async def test_idle_connections_are_not_kept_where_there_are_too_many(
    servers: FakeServers, clock: SteppedClock
) -> None:
    found = [await servers.open() for _ in range(3)]
    for concurrency, header in ((3, None), (2, "close")):
        await collect_once(list_pods(found), clock, replace(AT_ONCE, concurrency=concurrency))
        assert {server.requests[-1].headers.get("Connection") for server in found} == {header}


# --- One page a turn --------------------------------------------------------------------------------------------------
@dataclass(eq=False)
class Witness:
    """Takes pages and notes in which turn of the loop."""

    turns: Turns
    reason: Reason | None = None
    seen: list[int] = field(default_factory=list)

    def take_page(self, body: bytes, time_s: float) -> None:
        assert body
        self.seen.append(self.turns.count)

    def miss_page(self, reason: Reason, time_s: float) -> None:
        raise AssertionError(reason)


class Turns:
    """Counts the turns of the event loop."""

    def __init__(self) -> None:
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self.count += 1
        self._handle = self._loop.call_soon(self._turn)

    def stop(self) -> None:
        self._handle.cancel()


@pytest.mark.parametrize("takers", [1, 10])
async def test_no_two_pages_are_read_in_the_same_turn_of_the_loop(
    servers: FakeServers, clock: SteppedClock, telemetry: Telemetry, takers: int
) -> None:
    server, turns = await servers.open(fake_servers.answer_with(b"x 1\n" * 10)), Turns()
    witnesses = [Witness(turns) for _ in range(60)]
    groups = [witnesses[start : start + takers] for start in range(0, len(witnesses), takers)]
    async with PageIntake(AT_ONCE, clock, telemetry) as intake:
        await asyncio.gather(*(intake.take(server.url, group) for group in groups))
    turns.stop()
    seen = [turn for witness in witnesses for turn in witness.seen]
    assert len(seen) == len(set(seen)) == 60


async def test_turnstile_lets_one_through_per_turn_of_the_loop(clock: SteppedClock) -> None:
    turnstile, turns = Turnstile(clock), Turns()

    async def pass_through() -> int:
        async with turnstile:
            return turns.count

    assert len(set(await asyncio.gather(*(pass_through() for _ in range(50))))) == 50
    turns.stop()


async def test_turnstile_goes_on_when_somebody_gives_up_in_it(clock: SteppedClock) -> None:
    turnstile = Turnstile(clock)

    async def pass_through() -> None:
        async with turnstile:
            pass

    tasks = [asyncio.ensure_future(pass_through()) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()  # while it leaves
    tasks[1].cancel()  # while it waits
    assert await asyncio.gather(*tasks, return_exceptions=True) != [None, None, None]
    async with asyncio.timeout(10):
        await pass_through()


async def test_stopping_in_the_middle_leaves_nothing_running(servers: FakeServers, clock: SteppedClock) -> None:
    server = await servers.open(fake_servers.answer_never)
    task = asyncio.ensure_future(collect_once(list_pods([server] * 3), clock))
    while len(server.requests) < 1:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not [other for other in asyncio.all_tasks() if "collect" in repr(other.get_coro())]


# --- What is said -----------------------------------------------------------------------------------------------------
async def test_every_page_is_counted_with_what_became_of_it(
    servers: FakeServers, clock: SteppedClock, telemetry: Telemetry
) -> None:
    answers = [None, None, fake_servers.answer_error, fake_servers.answer_html, fake_servers.answer_html]
    found = [await servers.open(answer) for answer in answers]
    async with Collector(CollectorOptions(AT_ONCE), clock, telemetry) as collector:
        await collector.collect(list_pods(found), SETTINGS)
    outcomes = {
        sample.labels["outcome"]: sample.value
        for family in telemetry.registry.collect()
        for sample in family.samples
        if sample.name == "variant_autoscaler_scrapes_total"
    }
    assert outcomes == {"ok": 2.0, "ScrapeFailed": 1.0, "BadPage": 2.0}
    assert telemetry.registry.get_sample_value("variant_autoscaler_scrape_duration_seconds_count") == 5.0


async def test_log_tells_which_pages_fail_once_and_when_they_are_well_again(
    servers: FakeServers, clock: SteppedClock
) -> None:
    found = [await servers.open() for _ in range(4)]
    with capture_log() as log:
        async with Collector(CollectorOptions(AT_ONCE), clock, Telemetry()) as collector:
            for answers in ([], [fake_servers.answer_error] * 2, [fake_servers.answer_error] * 2, []):
                for number, server in enumerate(found):
                    server.answer = answers[number] if number < len(answers) else None
                    server.page.serve(1)
                await clock.run_to(clock.now_s() + 15.0)
                await collector.collect(list_pods(found), SETTINGS)
    (unusable,) = log.read("pages_unusable")
    assert (unusable["pages"], unusable["unusable"], unusable["level"]) == (4, {"ScrapeFailed": 2}, "warning")
    assert unusable["example"] == f"ScrapeFailed: {found[0].url}/metrics answered 500"
    (usable,) = log.read("pages_usable")
    assert usable["pages"] == 4
