"""The memory of deciding kept in a cluster: by whom it is found again, when it is written, and how it is lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from adapter.errors import AdapterError, Conflict, Denied, Unreachable
from adapter.kube.client import KubeClient
from adapter.kube.decisions import Installation
from adapter.kube.resource import CONFIG_MAPS, VARIANT_DECISIONS
from adapter.kube.state_store import FORGET_S, KubeStateStore, get_state_name
from optimizer import State, encode_state
from optimizer.domain import ModelKey, ReasonCode
from optimizer.stabilization import StabilizationState
from optimizer.state import FleetState, ModelState
from tests.builders.decision_objects import OURS, make_decision, open_replica
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.quiet_clock import START_S, QuietClock
from tests.builders.story import Story, make_model, make_settings, make_variant


def remember(numbers: Mapping[str, int], now_s: float, begun_s: float = 0.0) -> State:
    """Return a state in which `numbers` were published at `now_s`."""
    decisions = [make_decision(name, number, now_s) for name, number in numbers.items()]
    calm = StabilizationState(begun_s=begun_s)
    return State({model.key: ModelState(stabilization=calm, decision=model) for model in decisions}, FleetState(now_s))


def get_key(name: str) -> ModelKey:
    return ModelKey("prod", f"model-{name}")


def get_numbers(state: State) -> dict[str, int]:
    return {
        line.workload.name: line.planned_replicas
        for model in state.models.values()
        if model.decision is not None
        for line in model.decision.variants
    }


@pytest.fixture
def store(kube_client: KubeClient, quiet_clock: QuietClock) -> KubeStateStore:
    return KubeStateStore(kube_client, quiet_clock, OURS)


async def reload(client: KubeClient, clock: QuietClock, installation: Installation = OURS) -> State:
    state, lost = await KubeStateStore(client, clock, installation).load()
    assert lost == ()
    return state


def list_writes(api: FakeKubeApi) -> list[str]:
    """Return the ConfigMaps written since the last look, by LLM."""
    names = {get_state_name(OURS, get_key(name)): name for name in ("llama", "qwen", "phi")}
    names[get_state_name(OURS, None)] = "fleet"
    bodies = [call.body for call in api.calls if call.verb in ("create", "patch")]
    api.calls.clear()
    return sorted(names[body["metadata"]["name"]] for body in bodies if isinstance(body, dict))


async def test_nothing_kept_is_a_fresh_start_without_complaint(store: KubeStateStore) -> None:
    assert await store.load() == (State(), ())


async def test_the_next_leader_finds_everything(
    store: KubeStateStore, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    story = Story(make_settings(make_model(make_variant("a"), make_variant("b"))), lambda t: 5.0, {"a": 2}, seed=1)
    story.run(300.0)
    await store.load()
    await store.save(story.state)
    assert await reload(kube_client, quiet_clock) == story.state


async def test_each_llm_has_a_config_map_that_tells_whose_it_is(store: KubeStateStore, kube_api: FakeKubeApi) -> None:
    state = remember({"llama": 3, "qwen": 1}, START_S)
    await store.load()
    await store.save(state)
    items = {item["metadata"]["name"]: item for item in kube_api.list(CONFIG_MAPS, "autoscaler")}
    assert set(items) == {get_state_name(OURS, key) for key in (None, get_key("llama"), get_key("qwen"))}
    llama = items[get_state_name(OURS, get_key("llama"))]
    assert llama["metadata"]["annotations"] == {"variant-autoscaler.io/model": "prod/model-llama"}
    assert llama["metadata"]["labels"]["variant-autoscaler.io/installation"] == OURS.label
    kept = json.loads(llama["data"]["state.json"])
    assert kept == encode_state(State({get_key("llama"): state.models[get_key("llama")]}))


async def test_a_plan_that_changes_is_kept_at_once_and_only_that(store: KubeStateStore, kube_api: FakeKubeApi) -> None:
    await store.load()
    await store.save(remember({"llama": 3, "qwen": 1}, START_S))
    assert list_writes(kube_api) == ["fleet", "llama", "qwen"]
    await store.save(remember({"llama": 3, "qwen": 1}, START_S + 15.0))
    assert list_writes(kube_api) == []
    await store.save(remember({"llama": 3, "qwen": 2}, START_S + 30.0))
    assert list_writes(kube_api) == ["qwen"]


async def test_a_calm_window_that_changes_is_kept(store: KubeStateStore, kube_api: FakeKubeApi) -> None:
    await store.load()
    state = remember({"llama": 3, "qwen": 1}, START_S)
    await store.save(state)
    list_writes(kube_api)
    other = replace(state.models[get_key("qwen")], stabilization=StabilizationState(begun_s=START_S))
    await store.save(replace(state, models={**state.models, get_key("qwen"): other}))
    assert list_writes(kube_api) == ["qwen"]


async def test_what_only_grows_older_is_kept_every_five_minutes(
    store: KubeStateStore, kube_api: FakeKubeApi, quiet_clock: QuietClock
) -> None:
    await store.load()
    for turn in range(41):
        await store.save(remember({"llama": 3}, quiet_clock.now_s()))
        written = list_writes(kube_api)
        assert written == (["fleet", "llama"] if turn % 20 == 0 else []), turn
        await quiet_clock.run_to(quiet_clock.now_s() + 15.0)


async def test_what_can_wait_keeps_the_pace_and_the_oldest_goes_first(
    kube_client: KubeClient, kube_api: FakeKubeApi, quiet_clock: QuietClock
) -> None:
    store = KubeStateStore(kube_client, quiet_clock, OURS, interval_s=15.0)
    numbers = {f"m{index:03d}": 1 for index in range(60)}
    await store.load()
    await store.save(remember(numbers, quiet_clock.now_s()))
    written: list[str] = []
    for _ in range(10):
        await quiet_clock.run_to(quiet_clock.now_s() + 15.0)
        kube_api.calls.clear()
        await store.save(remember(numbers, quiet_clock.now_s()))
        written += [call.name for call in kube_api.calls if call.verb == "patch"]
    assert len(written) <= 20 + 0.4 * 150
    assert len(set(written[:61])) == 61  # nobody twice before everybody once


async def test_flush_keeps_the_rest_and_nothing_twice(
    store: KubeStateStore, kube_client: KubeClient, kube_api: FakeKubeApi, quiet_clock: QuietClock
) -> None:
    await store.load()
    await store.flush()
    assert list_writes(kube_api) == []
    await store.save(remember({"llama": 3, "qwen": 1}, START_S))
    last = remember({"llama": 3, "qwen": 2}, START_S + 15.0)
    await store.save(last)
    list_writes(kube_api)
    await store.flush()
    assert list_writes(kube_api) == ["fleet", "llama"]
    await store.flush()
    assert list_writes(kube_api) == []
    assert await reload(kube_client, quiet_clock) == last


@pytest.mark.parametrize(
    "data", [None, {}, {"state.json": "{"}, {"state.json": "[" * 99_999}, {"state.json": '{"version": 9}'}]
)
async def test_a_broken_config_map_loses_one_llm_with_a_reason_and_is_written_anew(
    store: KubeStateStore, kube_client: KubeClient, kube_api: FakeKubeApi, quiet_clock: QuietClock, data: Any
) -> None:
    state = remember({"llama": 3, "qwen": 1}, START_S)
    await store.load()
    await store.save(state)
    name = get_state_name(OURS, get_key("llama"))
    item = kube_api.get(CONFIG_MAPS, "autoscaler", name)
    kube_api.put(CONFIG_MAPS, {**item, "data": data})
    late = KubeStateStore(kube_client, quiet_clock, OURS)
    read, (reason,) = await late.load()
    assert read == replace(state, models={get_key("qwen"): state.models[get_key("qwen")]})
    assert reason.code is ReasonCode.STATE_LOST
    assert name in reason.message
    await late.save(state)
    assert await reload(kube_client, quiet_clock) == state


async def test_numbers_come_back_from_what_was_published_where_the_state_is_lost(
    store: KubeStateStore, kube_client: KubeClient, kube_api: FakeKubeApi, quiet_clock: QuietClock
) -> None:
    async with open_replica(kube_api, kube_client, quiet_clock) as replica:
        await replica.write(make_decision("llama", 3, START_S), make_decision("qwen", 1, START_S))
        await quiet_clock.run_to(START_S + 60.0)
        now_s = quiet_clock.now_s()
        await replica.write(make_decision("llama", 3, now_s), make_decision("qwen", 1, now_s))
    state = await reload(kube_client, quiet_clock)
    assert get_numbers(state) == {"llama": 3, "qwen": 1}
    assert {model.decision.decided_at_s for model in state.models.values() if model.decision} == {now_s}


async def test_the_newer_of_state_and_publication_counts(
    store: KubeStateStore, kube_client: KubeClient, kube_api: FakeKubeApi, quiet_clock: QuietClock
) -> None:
    await store.load()
    await store.save(remember({"llama": 3, "qwen": 1}, START_S + 30.0))
    async with open_replica(kube_api, kube_client, quiet_clock) as replica:
        await replica.write(make_decision("llama", 2, START_S), make_decision("qwen", 4, START_S + 45.0))
    assert get_numbers(await reload(kube_client, quiet_clock)) == {"llama": 3, "qwen": 4}


async def test_installations_in_one_namespace_do_not_see_each_other(
    store: KubeStateStore, kube_client: KubeClient, kube_api: FakeKubeApi, quiet_clock: QuietClock
) -> None:
    other = Installation(OURS.namespace, "other")
    neighbor = KubeStateStore(kube_client, quiet_clock, other)
    for one, number in ((store, 3), (neighbor, 7)):
        await one.load()
        await one.save(remember({"llama": number}, START_S))
    async with open_replica(kube_api, kube_client, quiet_clock, other) as replica:
        await replica.write(make_decision("qwen", 5, START_S))
    assert get_numbers(await reload(kube_client, quiet_clock)) == {"llama": 3}
    assert get_numbers(await reload(kube_client, quiet_clock, other)) == {"llama": 7, "qwen": 5}


async def test_a_replica_that_no_longer_leads_writes_over_nothing_new(
    store: KubeStateStore, kube_client: KubeClient, kube_api: FakeKubeApi, quiet_clock: QuietClock
) -> None:
    await store.load()
    await store.save(remember({"llama": 1}, START_S))
    leader = KubeStateStore(kube_client, quiet_clock, OURS)
    await leader.load()
    await leader.save(remember({"llama": 5}, START_S + 15.0))
    with pytest.raises(Conflict):
        await store.save(remember({"llama": 2}, START_S + 10.0))
    assert get_numbers(await reload(kube_client, quiet_clock)) == {"llama": 5}


async def test_a_config_map_that_somebody_touched_is_written_at_the_second_try(
    store: KubeStateStore, kube_client: KubeClient, kube_api: FakeKubeApi, quiet_clock: QuietClock
) -> None:
    await store.load()
    await store.save(remember({"llama": 1}, START_S))
    name = get_state_name(OURS, get_key("llama"))
    kube_api.change(CONFIG_MAPS, "autoscaler", name, {"metadata": {"labels": {"team": "a"}}})
    state = remember({"llama": 2}, START_S + 15.0)
    with pytest.raises(Conflict):
        await store.save(state)
    await store.save(state)
    assert get_numbers(await reload(kube_client, quiet_clock)) == {"llama": 2}
    assert kube_api.get(CONFIG_MAPS, "autoscaler", name)["metadata"]["labels"]["team"] == "a"


async def test_a_config_map_that_somebody_deleted_comes_back(
    store: KubeStateStore, kube_client: KubeClient, kube_api: FakeKubeApi, quiet_clock: QuietClock
) -> None:
    await store.load()
    await store.save(remember({"llama": 1}, START_S))
    kube_api.remove(CONFIG_MAPS, "autoscaler", get_state_name(OURS, get_key("llama")))
    await store.save(remember({"llama": 2}, START_S))
    assert get_numbers(await reload(kube_client, quiet_clock)) == {"llama": 2}


async def test_one_llm_that_cannot_be_kept_keeps_no_other_from_it(
    store: KubeStateStore, kube_client: KubeClient, kube_api: FakeKubeApi, quiet_clock: QuietClock
) -> None:
    await store.load()
    kube_api.fail(500, verb="create", plural="configmaps", times=1)
    state = remember({"llama": 1, "qwen": 2, "phi": 3}, START_S)
    with pytest.raises(Unreachable):
        await store.save(state)
    assert len(kube_api.list(CONFIG_MAPS)) == 3
    await store.save(state)
    assert await reload(kube_client, quiet_clock) == state


@pytest.mark.parametrize("plural", ["configmaps", "variantdecisions"])
@pytest.mark.parametrize("code, failure", [(503, Unreachable), (403, Denied), (0, Unreachable)])
async def test_what_nobody_can_tell_is_no_fresh_start(
    store: KubeStateStore, kube_api: FakeKubeApi, plural: str, code: int, failure: type[AdapterError]
) -> None:
    kube_api.fail(code, verb="list", plural=plural)
    with pytest.raises(failure):
        await store.load()


async def test_an_llm_that_is_gone_for_an_hour_is_forgotten(
    store: KubeStateStore, kube_client: KubeClient, kube_api: FakeKubeApi, quiet_clock: QuietClock
) -> None:
    await store.load()
    await store.save(remember({"llama": 1, "qwen": 2}, START_S))
    late = KubeStateStore(kube_client, quiet_clock, OURS)  # the next leader forgets in its own time
    await late.load()
    for _ in range(2):
        await late.save(remember({"llama": 1}, quiet_clock.now_s()))
        assert len(kube_api.list(CONFIG_MAPS)) == 3
        await quiet_clock.run_to(quiet_clock.now_s() + FORGET_S / 2)
    await late.save(remember({"llama": 1}, quiet_clock.now_s()))
    assert len(kube_api.list(CONFIG_MAPS)) == 2


async def test_named_namespaces_are_all_that_is_asked(
    kube_client: KubeClient, kube_api: FakeKubeApi, quiet_clock: QuietClock
) -> None:
    await KubeStateStore(kube_client, quiet_clock, OURS, namespaces=("prod", "dev")).load()
    asked = [call.namespace for call in kube_api.calls if call.plural == VARIANT_DECISIONS.plural]
    assert asked == ["prod", "dev"]
