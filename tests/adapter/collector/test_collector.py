"""From real servers on loopback to a snapshot: what each pod was asked, and whose numbers these are."""

from __future__ import annotations

from dataclasses import replace

from adapter.collector import CollectorOptions, PageOptions
from adapter.inventory import Inventory
from optimizer.domain import DemandSource, PodPhase, Reason, ReasonCode, Role, Settings
from tests.builders.fake_servers import FakeServers, answer_with
from tests.builders.inventories import make_inventory, make_pod_entry, make_settings, make_variant_key
from tests.builders.passes import OPTIONS, PERIOD_S, SETTINGS, Passes, get_code, get_states, get_windows
from tests.builders.pod_page import PodPage, read_sample
from tests.builders.stepped_clock import START_S

READY = PodPhase.READY


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
