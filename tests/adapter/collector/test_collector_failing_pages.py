"""Pages that cannot be had, cannot be read or stand still: absent with a reason, and nothing lost afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapter.collector import Collector, CollectorOptions
from adapter.telemetry import Telemetry
from optimizer.domain import DemandSource, PodPhase, ReasonCode
from tests.builders import fake_servers
from tests.builders.fake_servers import Answer, FakeServers, answer_with
from tests.builders.inventories import make_inventory, make_pod_entry
from tests.builders.passes import AT_ONCE, PERIOD_S, SETTINGS, Passes, get_code, get_windows
from tests.builders.pod_page import PodPage, read_sample
from tests.builders.stepped_clock import START_S, SteppedClock

READY = PodPhase.READY


# --- Pages that cannot be had -----------------------------------------------------------------------------------------
BAD_ANSWERS = [
    (fake_servers.answer_error, ReasonCode.SCRAPE_FAILED),
    (fake_servers.answer_reset, ReasonCode.SCRAPE_FAILED),
    (fake_servers.answer_broken_off, ReasonCode.SCRAPE_FAILED),
    (fake_servers.answer_html, ReasonCode.BAD_PAGE),
    (fake_servers.answer_json, ReasonCode.BAD_PAGE),
    (fake_servers.answer_garbage, ReasonCode.BAD_PAGE),
    (fake_servers.answer_empty, ReasonCode.BAD_PAGE),
    (fake_servers.answer_endless, ReasonCode.BAD_PAGE),
    (answer_with(read_sample("composed-sglang.prom")), ReasonCode.BAD_PAGE),
    (fake_servers.answer_cut, ReasonCode.METRIC_MISSING),
]


@pytest.mark.parametrize("answer, code", BAD_ANSWERS)
async def test_bad_page_is_absent_with_its_reason_and_its_arrivals_come_later(
    servers: FakeServers, passes: Passes, answer: Answer, code: ReasonCode
) -> None:
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    await passes.run_on(entry)
    good_s, server.answer = START_S + PERIOD_S, answer
    for number in range(2):
        server.page.serve(5, running=7)
        window, state = await passes.run_on(entry)
        assert (window.arrivals, get_code(window), window.source) == (None, code, DemandSource.NONE)
        assert (window.start_s, window.end_s) == (good_s, good_s + (number + 1) * PERIOD_S)
        assert (state.phase, state.reason, state.seen_s) == (READY, window.reason, good_s)
        assert state.running_requests == 10.0
    server.answer = None
    server.page.serve(5, running=9)
    window, state = await passes.run_on(entry)
    assert (window.arrivals, window.start_s) == (15.0, good_s)
    assert (state.reason, state.running_requests) == (None, 9.0)


async def test_pods_that_fail_touch_no_other_pod(servers: FakeServers, passes: Passes) -> None:
    found = {f"a-{number}": await servers.open() for number in range(len(BAD_ANSWERS) + 3)}
    inventory = make_inventory(a=[make_pod_entry(name, server.url) for name, server in found.items()])
    await passes.run(inventory)
    for server in found.values():
        server.page.serve(3)
    for server, (answer, _) in zip(found.values(), BAD_ANSWERS, strict=False):
        server.answer = answer
    windows = get_windows(await passes.run(inventory))
    codes = [code for _, code in BAD_ANSWERS]
    assert [get_code(window) for window in windows.values()] == [*codes, None, None, None]
    assert [window.arrivals for window in list(windows.values())[-3:]] == [3.0, 3.0, 3.0]


async def test_silent_server_costs_one_time_limit(servers: FakeServers, clock: SteppedClock) -> None:
    server, silent = await servers.open(), await servers.open(fake_servers.answer_never)
    options = CollectorOptions(replace(AT_ONCE, timeout_s=0.2))
    async with Collector(options, clock, Telemetry()) as collector:
        inventory = make_inventory(a=[make_pod_entry("a-0", silent.url), make_pod_entry("a-1", server.url)])
        windows = get_windows(await collector.collect(inventory, SETTINGS))
    assert [get_code(window) for window in windows.values()] == [ReasonCode.SCRAPE_TIMEOUT, ReasonCode.FIRST_READING]


async def test_page_of_ten_megabytes_is_read_like_any_other(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    line = 'vllm:some_future_family_bucket{engine="0",le="%d",model_name="tiny-llama",a="{\\"b\\"}"} 1.0\n'
    padding = "".join(line % number for number in range(10_000_000 // len(line))).encode()
    for requests in (0, 17):
        server.page.serve(requests)
        server.answer = answer_with(padding + server.page.render())
        window, state = await passes.run_on(entry)
    assert (window.arrivals, state.reason) == (17.0, None)


@pytest.mark.parametrize("content_type", ["text/html", "application/octet-stream", "application/openmetrics-text"])
async def test_page_is_judged_by_what_it_says_not_by_its_type(
    servers: FakeServers, passes: Passes, content_type: str
) -> None:
    server = await servers.open()
    for requests in (0, 17):
        server.page.serve(requests)
        server.answer = answer_with(server.page.render(), content_type=content_type)
        window, _ = await passes.run_on(make_pod_entry("a-0", server.url))
    assert window.arrivals == 17.0


# --- Pages that stand still -------------------------------------------------------------------------------------------
async def test_page_that_does_not_change_at_all_is_frozen(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    server.page.serve(0, running=0)
    entry = make_pod_entry("a-0", server.url)
    server.freeze()
    _, before = await passes.run_on(entry)
    for _ in range(2):
        server.page.serve(20)
        window, state = await passes.run_on(entry)
        assert (window.arrivals, get_code(window), state.seen_s) == (None, ReasonCode.FROZEN, before.seen_s)
    server.answer = None
    window, state = await passes.run_on(entry)
    assert (window.arrivals, window.duration_s, state.reason) == (40.0, 3 * PERIOD_S, None)


async def test_idle_server_is_not_frozen(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    server.page.serve(0, running=0)
    for _ in range(2):
        window, state = await passes.run_on(make_pod_entry("a-0", server.url))
    assert (window.arrivals, state.reason) == (0.0, None)


async def test_idle_server_may_show_the_same_page_a_few_times_and_no_more(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    server.page.serve(0, running=0)
    entry = make_pod_entry("a-0", server.url)
    for _ in range(2):
        await passes.run_on(entry)
    server.freeze()
    await passes.run_on(entry)
    windows = [(await passes.run_on(entry))[0] for _ in range(6)]
    assert [window.arrivals for window in windows] == [0.0, 0.0, 0.0, 0.0, 0.0, None]
    assert get_code(windows[-1]) is ReasonCode.FROZEN


async def test_page_that_counts_the_requests_for_itself_never_shows_the_same_twice(
    servers: FakeServers, passes: Passes
) -> None:
    server = await servers.open()
    server.page.serve(0, running=0)
    line = 'sglang:http_requests_total{endpoint="/metrics",method="GET"} %d\n'
    codes = []
    for count in (1, 2, 3, 3, 4):
        server.answer = answer_with(_hide_process(server.page) + (line % count).encode())
        codes.append(get_code((await passes.run_on(make_pod_entry("a-0", server.url)))[0]))
    assert codes == [ReasonCode.FIRST_READING, None, None, ReasonCode.FROZEN, None]


async def test_idle_page_without_a_sign_of_life_is_believed(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open(answer_with(_hide_process(PodPage(running=0.0))))
    for _ in range(2):
        window, state = await passes.run_on(make_pod_entry("a-0", server.url))
    assert (window.arrivals, state.reason) == (0.0, None)


async def test_requests_in_flight_where_nothing_moves_are_not_believed(servers: FakeServers, passes: Passes) -> None:
    page = PodPage()
    server = await servers.open(answer_with(_hide_process(page)))
    entry = make_pod_entry("a-0", server.url)
    _, before = await passes.run_on(entry)
    for _ in range(2):
        window, state = await passes.run_on(entry)
        assert (window.arrivals, get_code(window), state.seen_s) == (None, ReasonCode.FROZEN, before.seen_s)
    page.serve(30)
    server.answer = answer_with(_hide_process(page))
    window, state = await passes.run_on(entry)
    assert (window.arrivals, window.duration_s, state.reason) == (30.0, 3 * PERIOD_S, None)


def _hide_process(page: PodPage) -> bytes:
    """Return `page` as a server with several processes shows it: without figures of the process."""
    return b"".join(line for line in page.render().splitlines(keepends=True) if b"process_" not in line)
