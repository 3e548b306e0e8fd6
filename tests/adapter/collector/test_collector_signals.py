"""What a policy asked for of pods, from real servers on loopback to the snapshot, over passes."""

from __future__ import annotations

from dataclasses import replace

from adapter.collector import CollectorOptions, PageOptions
from adapter.inventory import PodEntry
from optimizer.domain import Observation, PodPhase, PodSignals, ReasonCode, SignalKind, SignalSpec
from tests.builders import fake_servers
from tests.builders.captured_log import capture_log
from tests.builders.fake_servers import FakeServers
from tests.builders.inventories import (
    make_inventory,
    make_model_key,
    make_pod_entry,
    make_settings,
    make_variant_key,
    with_phase,
)
from tests.builders.passes import OPTIONS, PERIOD_S, Passes
from tests.builders.stepped_clock import START_S

WAITING = SignalSpec("waiting", "vllm:num_requests_waiting")
FINISHED = SignalSpec("finished", "vllm:request_success_total", SignalKind.RATE, {"finished_reason": "length"})
MODEL = make_model_key()


def ask(*specs: SignalSpec) -> CollectorOptions:
    return replace(OPTIONS, signals={MODEL: specs})


async def collect(passes: Passes, *entries: PodEntry) -> dict[str, PodSignals]:
    """Return the signals of one more pass by the name of the pod."""
    snapshot = await passes.run(make_inventory(a=entries))
    return {signals.pod.name: signals for signals in snapshot.models[0].signals}


def get_code(observation: Observation) -> ReasonCode | None:
    return None if observation.reason is None else observation.reason.code


async def test_nothing_is_told_when_nobody_asks(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    assert await collect(passes, make_pod_entry("a-0", server.url)) == {}


async def test_values_and_rates_come_with_the_pass(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    passes.collector.reconfigure(ask(WAITING, FINISHED))
    server.page.serve(0, waiting=4)
    first = (await collect(passes, entry))["a-0"]
    assert first.variant == make_variant_key("a")
    assert first.time_s == START_S + PERIOD_S
    assert first.values["waiting"] == Observation(4.0)
    assert get_code(first.values["finished"]) is ReasonCode.FIRST_READING
    server.page.serve(45, running=10, waiting=4)
    second = (await collect(passes, entry))["a-0"]
    assert second.values == {"waiting": Observation(4.0), "finished": Observation(45 / PERIOD_S)}


async def test_every_pod_that_serves_is_told_and_no_other(servers: FakeServers, passes: Passes) -> None:
    passes.collector.reconfigure(ask(WAITING))
    one, other = await servers.open(), await servers.open()
    other.page.waiting = 9.0
    sleeping = await servers.open()
    sleeping.page.awake = 0.0
    found = await collect(
        passes,
        make_pod_entry("a-0", one.url),
        make_pod_entry("a-1", other.url),
        make_pod_entry("a-2", "http://127.0.0.1:9"),
        make_pod_entry("a-3", "", PodPhase.STARTING),
        make_pod_entry("a-4", one.url, PodPhase.TERMINATING),
        make_pod_entry("a-5", sleeping.url),
    )
    assert sorted(found) == ["a-0", "a-1", "a-2"]
    assert found["a-1"].values["waiting"] == Observation(9.0)
    assert get_code(found["a-2"].values["waiting"]) is ReasonCode.SCRAPE_FAILED


async def test_a_pod_that_was_seen_starting_tells_its_rate_with_its_first_page(
    servers: FakeServers, passes: Passes
) -> None:
    passes.collector.reconfigure(ask(FINISHED))
    server = await servers.open()
    server.page.restart(START_S)
    entry = make_pod_entry("a-0", server.url, created_s=START_S, ready_s=START_S + 20.0)
    await collect(passes, with_phase(entry, PodPhase.STARTING))
    server.page.serve(30, running=0)
    assert (await collect(passes, entry))["a-0"].values["finished"] == Observation(30 / PERIOD_S)


async def test_a_restart_is_no_rate_and_the_next_page_tells_again(servers: FakeServers, passes: Passes) -> None:
    passes.collector.reconfigure(ask(FINISHED))
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    for _ in range(2):
        await collect(passes, entry)
    server.page.restart(START_S + 40.0)
    server.page.serve(1000, running=0)
    assert get_code((await collect(passes, entry))["a-0"].values["finished"]) is ReasonCode.COUNTER_RESET
    server.page.serve(15, running=0)
    assert (await collect(passes, entry))["a-0"].values["finished"] == Observation(15 / PERIOD_S)


async def test_after_a_page_that_failed_the_last_one_counts_until_it_is_stale(
    servers: FakeServers, passes: Passes
) -> None:
    passes.collector.reconfigure(ask(WAITING))
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    server.page.serve(0, waiting=4)
    await collect(passes, entry)
    server.answer = fake_servers.answer_error
    for _ in range(4):
        signals = (await collect(passes, entry))["a-0"]
        assert (signals.values["waiting"], signals.time_s) == (Observation(4.0), START_S + PERIOD_S)
    assert get_code((await collect(passes, entry))["a-0"].values["waiting"]) is ReasonCode.SCRAPE_FAILED


async def test_a_frozen_page_tells_no_newer_signal(servers: FakeServers, passes: Passes) -> None:
    passes.collector.reconfigure(ask(WAITING))
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    server.freeze()
    for _ in range(3):
        signals = (await collect(passes, entry))["a-0"]
    assert signals.time_s == START_S + PERIOD_S


async def test_who_asks_for_other_series_begins_anew_and_whoever_stays_does_not(
    servers: FakeServers, passes: Passes
) -> None:
    settings = make_settings("a", others={"other": ["b"]})
    both = {MODEL: (FINISHED,), make_model_key("other"): (FINISHED,)}
    one, other = await servers.open(), await servers.open(model_name="other")
    inventory = make_inventory(a=[make_pod_entry("a-0", one.url)], b=[make_pod_entry("b-0", other.url)])
    passes.collector.reconfigure(replace(OPTIONS, signals=both))
    for _ in range(2):
        await passes.run(inventory, settings)
    passes.collector.reconfigure(replace(OPTIONS, signals={**both, MODEL: (FINISHED, WAITING)}))
    for server in (one, other):
        server.page.serve(5)
    snapshot = await passes.run(inventory, settings)
    codes = [get_code(model.signals[0].values["finished"]) for model in snapshot.models]
    assert codes == [ReasonCode.FIRST_READING, None]
    passes.collector.reconfigure(OPTIONS)
    assert [model.signals for model in (await passes.run(inventory, settings)).models] == [(), ()]


async def test_another_page_of_the_pod_begins_anew(servers: FakeServers, passes: Passes) -> None:
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    passes.collector.reconfigure(ask(FINISHED))
    for _ in range(2):
        await collect(passes, entry)
    server.page.serve(5)
    passes.collector.reconfigure(replace(ask(FINISHED), pages={make_variant_key("a"): PageOptions(path="/other")}))
    assert get_code((await collect(passes, entry))["a-0"].values["finished"]) is ReasonCode.FIRST_READING


async def test_an_odd_line_of_an_asked_series_is_told_in_the_signal_and_once_in_the_log(
    servers: FakeServers, passes: Passes
) -> None:
    odd = SignalSpec("odd", "queue_depth")
    passes.collector.reconfigure(ask(WAITING, odd))
    server = await servers.open()
    entry = make_pod_entry("a-0", server.url)
    server.page.serve(0, waiting=4)
    with capture_log() as log:
        for line in ("queue_depth 3", "queue_depth{} x", "queue_depth{} x", "queue_depth 5"):
            server.page.serve(3)
            server.page.extra = f"{line}\n"
            values = (await collect(passes, entry))["a-0"].values
            assert values["waiting"] == Observation(4.0)
            assert (values["odd"].value is None) == ("x" in line)
            if values["odd"].reason is not None:
                assert "a-0: the page shows queue_depth, but sample cannot be read: '{} x'" in str(values["odd"].reason)
    (unusable,) = log.read("series_unusable")
    assert (unusable["unusable"], unusable["pods"]) == ({"odd": 1}, 1)
    assert "queue_depth" in unusable["example"]
    assert len(log.read("series_usable")) == 1
