"""From real servers on loopback to a snapshot: what each pod was asked, how it is, and why something is not known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from adapter.collector import Collector, CollectorOptions, PageOptions, ScrapeOptions
from adapter.inventory import Inventory, PodEntry
from adapter.telemetry import Telemetry
from optimizer.domain import (
    DemandSource,
    DemandWindow,
    FleetSnapshot,
    PodPhase,
    PodState,
    Reason,
    ReasonCode,
    Role,
    Settings,
)
from tests.builders import fake_servers
from tests.builders.fake_servers import Answer, FakeServers, answer_with
from tests.builders.inventories import make_inventory, make_pod_entry, make_settings, make_variant_key, with_phase
from tests.builders.pod_page import PodPage, read_sample
from tests.builders.stepped_clock import START_S, SteppedClock

PERIOD_S = 15.0
SETTINGS = make_settings("a")
AT_ONCE = ScrapeOptions(timeout_s=30.0, jitter_s=0.0)
OPTIONS = CollectorOptions(AT_ONCE)
STARTING, READY, TERMINATING = PodPhase.STARTING, PodPhase.READY, PodPhase.TERMINATING


class Passes:
    """Runs passes of a collector, one per period."""

    def __init__(self, collector: Collector, clock: SteppedClock) -> None:
        self.collector, self._clock = collector, clock

    async def run(
        self, inventory: Inventory, settings: Settings = SETTINGS, after_s: float = PERIOD_S
    ) -> FleetSnapshot:
        """Return the snapshot of a pass `after_s` later than the last."""
        await self._clock.run_to(self._clock.now_s() + after_s)
        return await self.collector.collect(inventory, settings)

    async def run_on(self, *entries: PodEntry) -> tuple[DemandWindow, PodState]:
        """Return window and state of the first pod after one more pass over `entries`."""
        snapshot = await self.run(make_inventory(a=entries))
        window = get_windows(snapshot)[entries[0].pod.name]
        return window, get_states(snapshot)[entries[0].pod.name]


@pytest.fixture
async def passes(clock: SteppedClock, telemetry: Telemetry) -> AsyncIterator[Passes]:
    async with Collector(OPTIONS, clock, telemetry) as collector:
        yield Passes(collector, clock)


def get_windows(snapshot: FleetSnapshot) -> dict[str, DemandWindow]:
    return {window.pod.name: window for window in snapshot.models[0].windows if window.pod is not None}


def get_states(snapshot: FleetSnapshot) -> dict[str, PodState]:
    return {pod.pod.name: pod for variant in snapshot.models[0].variants for pod in variant.pods}


def get_code(window: DemandWindow) -> ReasonCode | None:
    return None if window.reason is None else window.reason.code


# --- What is asked ----------------------------------------------------------------------------------------------------
async def test_first_page_closes_no_window(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    window, state = await passes.run_on(make_pod_entry("a-0", server.url))
    assert (window.arrivals, get_code(window)) == (None, ReasonCode.FIRST_READING)
    assert (state.phase, state.running_requests, state.waiting_requests, state.reason) == (READY, 10.0, 0.0, None)
    assert state.kv_capacity_tokens == 2048 * 128
    assert state.seen_s == START_S + PERIOD_S


async def test_two_pages_tell_what_arrived_between_them(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    await passes.run_on(entry)
    server.page.serve(42, running=12, waiting=3)
    window, state = await passes.run_on(entry)
    assert (window.arrivals, window.completions, window.source) == (42.0, 37.0, DemandSource.HTTP_REQUESTS)
    assert (window.start_s, window.end_s) == (START_S + PERIOD_S, START_S + 2 * PERIOD_S)
    assert (state.running_requests, state.waiting_requests) == (12.0, 3.0)


async def test_every_pod_of_every_variant_and_model_is_told_apart(servers: FakeServers, passes: Passes) -> None:
    names = ("a-0", "a-1", "b-0")
    first, second, third = [await servers.open() for _ in names]
    other = await servers.open(model_name="other")
    settings = make_settings("a", "b", others={"other": ["c"]})
    inventory = make_inventory(
        a=[make_pod_entry("a-0", first.url), make_pod_entry("a-1", second.url)],
        b=[make_pod_entry("b-0", third.url)],
        c=[make_pod_entry("a-0", other.url)],
    )
    await passes.run(inventory, settings)
    for number, server in enumerate((first, second, third, other)):
        server.page.serve(10 * (number + 1))
    snapshot = await passes.run(inventory, settings)
    assert {name: window.arrivals for name, window in get_windows(snapshot).items()} == dict(
        zip(names, (10.0, 20.0, 30.0), strict=True)
    )
    assert [window.arrivals for window in snapshot.models[1].windows] == [40.0]
    assert [variant.key.variant for variant in snapshot.models[0].variants] == ["a", "b"]
    assert [variant.requested_replicas for variant in snapshot.models[0].variants] == [2, 1]


async def test_variant_of_one_role_is_collected_for_that_role(servers: FakeServers, passes: Passes) -> None:
    server, (model,) = await servers.open(), SETTINGS.models
    (variant,) = model.variants
    prefill = replace(model, variants=(replace(variant, roles=(Role.PREFILL,)),))
    passes.collector.reconfigure(replace(OPTIONS, pages={variant.key(): PageOptions(path="/prefill")}))
    inventory = make_inventory(a=[make_pod_entry("a-0", server.url)])
    snapshot = await passes.run(inventory, replace(SETTINGS, models=(prefill,)))
    assert [state.key for state in snapshot.models[0].variants] == [variant.key(Role.PREFILL)]
    assert [request.path for request in server.requests] == ["/prefill"]


async def test_nothing_to_collect_is_an_empty_snapshot(passes: Passes) -> None:
    snapshot = await passes.run(Inventory(()), Settings((), ()))
    assert snapshot.models == ()


async def test_workload_that_is_not_in_the_inventory_has_a_reason(passes: Passes) -> None:
    variant = (await passes.run(Inventory(()))).models[0].variants[0]
    assert (variant.pods, variant.requested_replicas) == ((), None)
    assert variant.reason == Reason(ReasonCode.NO_DATA, "Deployment a is not in the inventory")


async def test_reason_of_an_old_inventory_is_handed_on(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    old = Reason(ReasonCode.STALE, "inventory not renewed")
    snapshot = await passes.run(make_inventory(old, a=[make_pod_entry("a-0", server.url)]), make_settings("a", "b"))
    assert [variant.reason for variant in snapshot.models[0].variants] == [old, old]
    assert get_states(snapshot)["a-0"].phase is READY


async def test_pod_listed_twice_is_asked_once(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    snapshot = await passes.run(make_inventory(a=[entry, entry]))
    assert (len(server.requests), len(snapshot.models[0].windows), len(get_states(snapshot))) == (1, 1, 1)


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


# --- Whose numbers ----------------------------------------------------------------------------------------------------
async def test_only_model_on_the_page_is_taken_whatever_it_is_called(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open(model_name="alias")
    _, state = await passes.run_on(make_pod_entry("a-0", server.url))
    assert state.reason is None


async def test_named_model_is_taken_and_no_other(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open(model_name="alias")
    passes.collector.reconfigure(_name_model("tiny"))
    window, state = await passes.run_on(make_pod_entry("a-0", server.url))
    missing = Reason(ReasonCode.METRIC_MISSING, "a-0: the page has no numbers of tiny; it has alias")
    assert (window.reason, state.reason) == (missing, missing)


async def test_models_that_share_a_server_are_told_apart(servers: FakeServers, passes: Passes) -> None:
    mine, other = PodPage(), PodPage()
    server, settings = await servers.open(), make_settings("a", others={"other": ["b"]})
    entry = make_pod_entry("pod", server.url)
    arrivals = []
    for mine_requests, other_requests in ((0, 0), (5, 70)):
        mine.serve(mine_requests)
        other.serve(other_requests)
        server.answer = answer_with(mine.render() + other.render("other"))
        snapshot = await passes.run(make_inventory(a=[entry], b=[entry]), settings)
        arrivals = [model.windows[0].arrivals for model in snapshot.models]
    assert arrivals == [5.0, 70.0]


# --- Changing ---------------------------------------------------------------------------------------------------------
async def test_other_page_begins_anew_and_the_others_go_on(servers: FakeServers, passes: Passes) -> None:
    first, second = await servers.open(), await servers.open()
    inventory = make_inventory(a=[make_pod_entry("a-0", first.url)], b=[make_pod_entry("b-0", second.url)])
    settings = make_settings("a", "b")
    await passes.run(inventory, settings)
    passes.collector.reconfigure(
        replace(
            OPTIONS, pages={make_variant_key("a"): PageOptions(path="/other"), make_variant_key("c"): PageOptions()}
        )
    )
    second.page.serve(6)
    windows = get_windows(await passes.run(inventory, settings))
    assert [request.path for request in first.requests] == ["/metrics", "/other"]
    assert get_code(windows["a-0"]) is ReasonCode.FIRST_READING
    assert windows["b-0"].arrivals == 6.0


async def test_settings_that_change_keep_what_is_known_of_pods_that_stay(servers: FakeServers, passes: Passes) -> None:
    first, second = await servers.open(), await servers.open()
    inventory = make_inventory(a=[make_pod_entry("a-0", first.url)], b=[make_pod_entry("b-0", second.url)])
    await passes.run(inventory, make_settings("a"))
    first.page.serve(4)
    windows = get_windows(await passes.run(inventory, make_settings("a", "b")))
    assert windows["a-0"].arrivals == 4.0
    assert get_code(windows["b-0"]) is ReasonCode.FIRST_READING
    windows = get_windows(await passes.run(inventory, make_settings("b")))
    assert list(windows) == ["b-0"]


async def test_engine_of_the_variant_reads_the_page(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open(answer_with(read_sample("composed-sglang.prom")))
    snapshot = await passes.run(
        make_inventory(a=[make_pod_entry("a-0", server.url)]), make_settings("a", engine="sglang")
    )
    assert get_states(snapshot)["a-0"].reason is None


def _name_model(served_model_name: str) -> CollectorOptions:
    return replace(OPTIONS, pages={make_variant_key("a"): PageOptions(served_model_name=served_model_name)})
