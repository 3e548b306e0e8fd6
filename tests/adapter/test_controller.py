from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from adapter.controller import Controller, Parts
from adapter.errors import Refused
from adapter.inventory import Inventory
from adapter.state_store import MemoryStateStore
from adapter.store import DecisionStore, StorePublisher
from adapter.telemetry import Telemetry
from optimizer import Outcome, State
from optimizer.domain import DecisionSettings, FleetSnapshot, ModelDecision, Reason, ReasonCode, Settings, WorkloadRef
from optimizer.state import FleetState
from tests.builders.captured_log import CapturedLog, capture_log
from tests.builders.decisions import ManualClock, make_model_decision, make_variant_decision

START_S = 1000.0


@dataclass
class FakeWorld:
    """What stands around a controller: `events` tells in which order it was asked, `failing` what fails."""

    period_s: float = 15.0
    collect_s: float = 0.0
    replicas: int = 1
    failing: set[str] = field(default_factory=set)
    events: list[str] = field(default_factory=list)
    states_seen: list[State] = field(default_factory=list)
    clock: ManualClock = field(default_factory=lambda: ManualClock(START_S))

    def _enter(self, event: str) -> None:
        self.events.append(event)
        if event in self.failing:
            raise RuntimeError(f"{event} failed")

    async def get_parts(self) -> Parts:
        self._enter("parts")
        return Parts(Settings((), (), decision=DecisionSettings(period_s=self.period_s)), self, self)

    async def fetch_inventory(self) -> Inventory:
        self._enter("inventory")
        return Inventory(())

    async def collect(self, inventory: Inventory, settings: Settings) -> FleetSnapshot:
        self._enter("collect")
        self.clock.time_s += self.collect_s
        return FleetSnapshot(self.clock.now_s(), ())

    def decide(self, state: State, snapshot: FleetSnapshot, now_s: float, settings: Settings) -> Outcome:
        self._enter("decide")
        self.states_seen.append(state)
        decisions = (_make_decision(self.replicas, now_s),)
        return Outcome(decisions, State({}, FleetState(decided_at_s=now_s)))


def _make_decision(replicas: int, now_s: float) -> ModelDecision:
    return make_model_decision(make_variant_decision("llama-l40s", replicas), decided_at_s=now_s)


@dataclass(slots=True)
class BoundedClock(ManualClock):
    """A manual clock whose world ends at `end_s`, which cancels whoever waits for longer."""

    end_s: float = math.inf

    async def sleep_until(self, time_s: float) -> None:
        if time_s >= self.end_s:
            raise asyncio.CancelledError
        self.time_s = max(self.time_s, time_s)
        await asyncio.sleep(0)


def _make_controller(world: FakeWorld, store: DecisionStore, telemetry: Telemetry | None = None) -> Controller:
    states = MemoryStateStore()
    return Controller(
        world, world.decide, StorePublisher(store), states=states, clock=world.clock, telemetry=telemetry or Telemetry()
    )


def _get_replicas(store: DecisionStore) -> list[int]:
    return [series.replicas for series in store.get().series]


async def _run_until(world: FakeWorld, store: DecisionStore, end_s: float, telemetry: Telemetry | None = None) -> None:
    world.clock = BoundedClock(START_S, end_s=end_s)
    with pytest.raises(asyncio.CancelledError):
        await _make_controller(world, store, telemetry).run()


async def test_a_pass_asks_in_order_and_publishes_what_was_decided() -> None:
    world, store = FakeWorld(replicas=4), DecisionStore()
    await _make_controller(world, store).run_pass()
    assert world.events == ["parts", "inventory", "collect", "decide"]
    assert _get_replicas(store) == [4]
    assert store.get().models[0].decided_at_s == START_S


async def test_the_time_of_deciding_is_after_collecting() -> None:
    world, store = FakeWorld(collect_s=2.5), DecisionStore()
    await _make_controller(world, store).run_pass()
    assert store.get().models[0].decided_at_s == START_S + 2.5


async def test_each_pass_is_given_the_state_the_last_one_left() -> None:
    world = FakeWorld()
    controller = _make_controller(world, DecisionStore())
    await controller.run_pass()
    await controller.run_pass()
    assert [state.fleet.decided_at_s for state in world.states_seen] == [None, START_S]


async def test_a_new_controller_goes_on_with_the_state_that_was_kept() -> None:
    states, world = MemoryStateStore(), FakeWorld()
    await states.save(State({}, FleetState(decided_at_s=5.0)))
    controller = Controller(
        world, world.decide, StorePublisher(DecisionStore()), states=states, clock=world.clock, telemetry=Telemetry()
    )
    await controller.run_pass()
    assert world.states_seen[0].fleet.decided_at_s == 5.0
    assert (await states.load())[0].fleet.decided_at_s == START_S


async def test_a_number_is_remembered_before_anybody_sees_it() -> None:
    world, store = FakeWorld(), DecisionStore()
    seen_when_saving: list[list[int]] = []

    class WatchedStates(MemoryStateStore):
        async def save(self, state: State) -> None:
            seen_when_saving.append(_get_replicas(store))

    states = WatchedStates()
    controller = Controller(
        world, world.decide, StorePublisher(store), states=states, clock=world.clock, telemetry=Telemetry()
    )
    for world.replicas in (4, 7):
        await controller.run_pass()
    assert seen_when_saving == [[], [4]]


@pytest.mark.parametrize("part", ["parts", "inventory", "collect", "decide"])
async def test_a_pass_that_fails_keeps_what_was_published(part: str) -> None:
    world, store = FakeWorld(replicas=3), DecisionStore()
    controller = _make_controller(world, store)
    await controller.run_pass()
    published = store.get().models
    world.failing, world.replicas = {part}, 9
    with pytest.raises(RuntimeError):
        await controller.run_pass()
    assert store.get().models is published


async def test_the_loop_survives_failing_passes_and_recovers_by_itself() -> None:
    world, store, telemetry = FakeWorld(replicas=2, failing={"collect"}), DecisionStore(), Telemetry()
    store.expect((WorkloadRef("prod", "llama-l40s"),))
    await _run_until(world, store, START_S + 40, telemetry)
    assert (store.get().passes, store.get().models) == (3, ())
    assert store.get().undecided == (WorkloadRef("prod", "llama-l40s"),)
    world.failing = set()
    await _run_until(world, store, START_S + 10, telemetry)
    assert (store.get().passes, _get_replicas(store), store.get().undecided) == (4, [2], ())
    outcomes = [
        telemetry.registry.get_sample_value("variant_autoscaler_cycles_total", {"outcome": o}) for o in ("failed", "ok")
    ]
    assert outcomes == [3.0, 1.0]


async def test_passes_begin_one_period_apart_however_long_they_take() -> None:
    world, store = FakeWorld(collect_s=4.0), DecisionStore()
    world.period_s = 10.0
    starts: list[float] = []
    get_parts = world.get_parts

    async def note_start() -> Parts:
        starts.append(world.clock.now_s())
        return await get_parts()

    world.get_parts = note_start  # type: ignore[method-assign]
    await _run_until(world, store, START_S + 35)
    assert starts == [START_S, START_S + 10, START_S + 20, START_S + 30]


async def test_a_pass_longer_than_the_period_is_followed_at_once_and_none_is_made_up_for() -> None:
    world, store = FakeWorld(collect_s=25.0), DecisionStore()
    world.period_s = 10.0
    await _run_until(world, store, START_S + 70)
    assert world.events.count("decide") == 3
    assert store.get().models[0].decided_at_s == START_S + 75


async def test_a_changed_period_holds_from_the_next_pass_on() -> None:
    world, store = FakeWorld(), DecisionStore()
    world.clock = BoundedClock(START_S, end_s=START_S + 50)
    world.period_s = 40.0
    controller = _make_controller(world, store)
    task = asyncio.create_task(controller.run())
    await asyncio.wait([task])
    assert world.events.count("decide") == 2


class FakeFullDisk(MemoryStateStore):
    """Where nothing can be kept."""

    async def save(self, state: State) -> None:
        raise Refused("disk full")


async def test_a_state_that_cannot_be_kept_does_not_fail_the_pass(log: CapturedLog) -> None:
    world, store = FakeWorld(replicas=7), DecisionStore()
    controller = Controller(
        world, world.decide, StorePublisher(store), states=FakeFullDisk(), clock=world.clock, telemetry=Telemetry()
    )
    await controller.run_pass()
    assert _get_replicas(store) == [7]
    assert [line["error"] for line in log.read("state_not_kept")] == ["disk full"]


class FakeLostState(MemoryStateStore):
    """Where the state was lost."""

    async def load(self) -> tuple[State, tuple[Reason, ...]]:
        return State(), (Reason(ReasonCode.STATE_LOST, "file broken"),)


async def test_a_lost_state_is_told_once_with_the_first_pass(log: CapturedLog) -> None:
    world = FakeWorld()
    publisher = StorePublisher(DecisionStore())
    controller = Controller(
        world, world.decide, publisher, states=FakeLostState(), clock=world.clock, telemetry=Telemetry()
    )
    await controller.run_pass()
    await controller.run_pass()
    assert [line["reason"] for line in log.read("state_lost")] == ["StateLost: file broken"]


@pytest.fixture
def log() -> Iterator[CapturedLog]:
    """Yield the log."""
    with capture_log() as captured:
        yield captured


async def test_every_cycle_leaves_one_valid_json_line_with_its_figures(log: CapturedLog) -> None:
    await _make_controller(FakeWorld(replicas=4), DecisionStore()).run_pass()
    (line,) = log.read("cycle")
    decision = _make_decision(4, START_S)
    assert (line["now_s"], line["cost_per_hour"]) == (START_S, decision.cost_per_hour)
    assert line["duration_s"] >= line["collect_s"] >= 0
    assert line["models"] == [
        {
            "namespace": decision.key.namespace,
            "model": decision.key.model_id,
            "demand_per_s": decision.demand_per_s.value,
            "need_per_s": decision.need_per_s,
            "coverage_ratio": decision.coverage_ratio,
            "utilization_ratio": decision.utilization_ratio,
            "cost_per_hour": decision.cost_per_hour,
            "mix": {"llama-l40s": 4},
            "reason": str(decision.reason),
        }
    ]


async def test_what_is_not_known_is_null_in_the_log(log: CapturedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    world = FakeWorld()
    unknown = replace(_make_decision(1, START_S), coverage_ratio=None, utilization_ratio=math.inf, need_per_s=None)
    monkeypatch.setattr(world, "decide", lambda *_: Outcome((unknown,), State()))
    await _make_controller(world, DecisionStore()).run_pass()
    (line,) = log.read("cycle")
    model = line["models"][0]
    assert (model["coverage_ratio"], model["utilization_ratio"], model["need_per_s"]) == (None, None, None)


async def test_a_failed_pass_says_what_failed(log: CapturedLog) -> None:
    await _run_until(FakeWorld(failing={"decide"}), DecisionStore(), START_S + 10)
    (line,) = log.read("pass_failed")
    assert line["error"] == "RuntimeError: decide failed"
    assert "Traceback" in line["exception"]
