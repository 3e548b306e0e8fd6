"""Pods that come, go, restart, sleep: what their first and last pages tell, and when they are ready."""

from __future__ import annotations

import pytest

from optimizer.domain import PodPhase, Reason, ReasonCode
from tests.builders import fake_servers
from tests.builders.fake_servers import FakeServers
from tests.builders.inventories import make_inventory, make_pod_entry, with_phase
from tests.builders.passes import PERIOD_S, Passes, get_code, get_states, get_windows
from tests.builders.stepped_clock import START_S

STARTING, READY, TERMINATING = PodPhase.STARTING, PodPhase.READY, PodPhase.TERMINATING


# --- Pods that come and go --------------------------------------------------------------------------------------------
async def test_pod_that_was_seen_starting_tells_arrivals_with_its_first_page(
    servers: FakeServers, passes: Passes
) -> None:
    server = await servers.open()
    server.page.restart(START_S)
    entry = make_pod_entry("a-0", server.url, created_s=START_S, ready_s=START_S + 40.0)
    for _ in range(2):
        snapshot = await passes.run(make_inventory(a=[with_phase(entry, STARTING)]))
        assert (get_windows(snapshot), get_states(snapshot)["a-0"].phase) == ({}, STARTING)
    assert server.requests == []
    server.page.serve(7, running=4)
    window, _ = await passes.run_on(entry)
    assert (window.arrivals, window.start_s, window.end_s) == (7.0, START_S + 30.0, START_S + 45.0)


async def test_pod_made_since_the_last_pass_tells_arrivals_with_its_first_page(
    servers: FakeServers, passes: Passes
) -> None:
    server = await servers.open()
    server.page.restart(START_S)
    await passes.run(make_inventory(a=[]))
    server.page.serve(7, running=4)
    window, _ = await passes.run_on(make_pod_entry("a-0", server.url, created_s=START_S + 20.0))
    assert (window.arrivals, window.start_s, window.end_s) == (7.0, START_S + 15.0, START_S + 30.0)


@pytest.mark.parametrize("created_s", [None, START_S + 14.0])
async def test_pod_that_may_be_older_than_the_last_pass_does_not(
    servers: FakeServers, passes: Passes, created_s: float | None
) -> None:
    server = await servers.open()
    await passes.run(make_inventory(a=[]))
    window, _ = await passes.run_on(make_pod_entry("a-0", server.url, created_s=created_s))
    assert get_code(window) is ReasonCode.FIRST_READING


async def test_old_inventory_vouches_for_no_birth(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    old = Reason(ReasonCode.STALE, "inventory not renewed")
    starting = make_pod_entry("a-0", server.url, STARTING, created_s=START_S)
    await passes.run(make_inventory(a=[starting]))
    for _ in range(3):
        await passes.run(make_inventory(old, a=[starting]))
    server.page.restart(START_S)
    server.page.serve(400)
    window, _ = await passes.run_on(with_phase(starting, READY))
    assert (window.arrivals, window.duration_s) == (400.0, 4 * PERIOD_S)


async def test_restarted_server_shows_neither_less_than_nothing_nor_all_it_counts(
    servers: FakeServers, passes: Passes
) -> None:
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    await passes.run_on(entry)
    server.page.restart(START_S + 20.0)
    server.page.serve(1000)
    window, _ = await passes.run_on(entry)
    assert (window.arrivals, get_code(window)) == (None, ReasonCode.COUNTER_RESET)
    server.page.serve(30)
    window, _ = await passes.run_on(entry)
    assert (window.arrivals, window.duration_s) == (30.0, PERIOD_S)


async def test_server_seen_down_while_it_restarted_tells_all_it_counts(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    await passes.run_on(entry)
    server.answer = fake_servers.answer_reset
    snapshot = await passes.run(make_inventory(a=[with_phase(entry, STARTING)]))
    assert get_windows(snapshot) == {}
    server.answer = None
    server.page.restart(START_S + 40.0)
    server.page.serve(30)
    window, state = await passes.run_on(entry)
    assert (window.arrivals, window.start_s, window.end_s) == (30.0, START_S + 30.0, START_S + 45.0)
    assert state.reason is None


async def test_pod_that_is_not_ready_for_a_while_is_still_heard(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    await passes.run_on(entry)
    server.page.serve(8)
    window, state = await passes.run_on(with_phase(entry, STARTING))
    assert (window.arrivals, state.phase) == (8.0, STARTING)
    server.page.serve(2)
    window, state = await passes.run_on(entry)
    assert (window.arrivals, window.duration_s, state.phase) == (2.0, PERIOD_S, READY)


async def test_pod_made_again_under_its_name_is_another(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    await passes.run_on(make_pod_entry("a-0", server.url))
    server.page.restart(START_S + 20.0)
    server.page.serve(9)
    window, _ = await passes.run_on(make_pod_entry("a-0", server.url, uid="2", created_s=START_S + 20.0))
    assert window.arrivals == 9.0


async def test_pod_that_is_gone_leaves_nothing_behind(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    await passes.run_on(entry)
    snapshot = await passes.run(make_inventory(a=[]))
    assert (get_windows(snapshot), get_states(snapshot), len(server.requests)) == ({}, {}, 1)
    window, _ = await passes.run_on(entry)
    assert get_code(window) is ReasonCode.FIRST_READING


async def test_pod_that_is_going_away_is_heard_as_long_as_it_speaks(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    await passes.run_on(entry)
    server.page.serve(5, running=3)
    window, state = await passes.run_on(with_phase(entry, TERMINATING))
    assert (window.arrivals, state.phase, state.running_requests) == (5.0, TERMINATING, 3.0)
    server.answer = fake_servers.answer_reset
    snapshot = await passes.run(make_inventory(a=[with_phase(entry, TERMINATING)]))
    assert get_windows(snapshot) == {}
    assert get_states(snapshot)["a-0"].phase is TERMINATING


async def test_pod_without_an_address_is_not_asked(passes: Passes) -> None:
    snapshot = await passes.run(make_inventory(a=[make_pod_entry("a-0", "", ready_s=None)]))
    assert get_windows(snapshot) == {}
    assert get_states(snapshot)["a-0"].phase is STARTING


# --- Readiness --------------------------------------------------------------------------------------------------------
async def test_sleeping_engine_is_not_ready(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    server.page.serve(0, running=0)
    server.page.awake = 0.0
    _, state = await passes.run_on(entry)
    assert (state.phase, state.reason) == (STARTING, Reason(ReasonCode.SLEEPING, "a-0: the engine sleeps"))
    server.page.awake = 1.0
    _, state = await passes.run_on(entry)
    assert (state.phase, state.reason) == (READY, None)


async def test_address_that_nobody_vouches_for_is_ready_once_its_page_was_good(
    servers: FakeServers, passes: Passes
) -> None:
    server = await servers.open(fake_servers.answer_reset)
    entry = make_pod_entry("a-0", server.url, created_s=None, ready_s=None)
    for answer, phase in (
        (fake_servers.answer_reset, STARTING),
        (fake_servers.answer_error, STARTING),
        (fake_servers.answer_garbage, STARTING),
        (None, READY),
    ):
        server.answer = answer
        _, state = await passes.run_on(entry)
        assert state.phase is phase


async def test_such_an_address_stays_ready_while_its_server_answers_be_it_badly(
    servers: FakeServers, passes: Passes
) -> None:
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url, created_s=None, ready_s=None)
    await passes.run_on(entry)
    server.answer = fake_servers.answer_garbage
    for _ in range(6):
        _, state = await passes.run_on(entry)
        assert state.phase is READY


async def test_such_an_address_is_ready_no_more_when_its_server_is_gone_for_long(
    servers: FakeServers, passes: Passes
) -> None:
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url, created_s=None, ready_s=None)
    await passes.run_on(entry)
    server.answer = fake_servers.answer_reset
    phases = [(await passes.run_on(entry))[1].phase for _ in range(6)]
    assert phases == [READY, READY, READY, READY, STARTING, STARTING]  # 60 s


async def test_readiness_that_somebody_vouches_for_needs_no_page(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open(fake_servers.answer_reset)
    for _ in range(6):
        _, state = await passes.run_on(make_pod_entry("a-0", server.url))
        assert state.phase is READY
