from __future__ import annotations

import pytest

from adapter.cluster import AmountKind
from adapter.inventory import PodEntry
from adapter.kube.discovery.pods import Replica
from adapter.kube.discovery.shortfall import (
    FIRST_HOLD_S,
    LONGEST_HOLD_S,
    PlacementSight,
    Shortfall,
    look_at_placement,
    step_shortfalls,
    to_amount,
    to_trouble,
)
from optimizer.domain import PodKey, PodPhase, ReasonCode, WorkloadRef

REF = WorkloadRef("prod", "llama")
AFTER_S = 300.0


def _replica(phase: PodPhase, *, waiting_since_s: float | None = None, why: str = "") -> Replica:
    entry = PodEntry(PodKey("prod", "p"), "", phase)
    is_placed = phase is not PodPhase.STARTING or waiting_since_s is None
    return Replica(entry, (), is_placed, waiting_since_s, why)


READY = _replica(PodPhase.READY)
ENDING = _replica(PodPhase.TERMINATING)
STARTING = _replica(PodPhase.STARTING)


def test_a_short_wait_is_no_evidence() -> None:
    waiting = _replica(PodPhase.STARTING, waiting_since_s=1000.0, why="no room")
    assert look_at_placement([READY, waiting], 1300.0, AFTER_S) == PlacementSight(1, 1)
    assert look_at_placement([READY, waiting], 1300.1, AFTER_S) == PlacementSight(1, 1, 1, "no room")


def test_replicas_that_end_were_placed_and_count_no_longer() -> None:
    assert look_at_placement([READY, STARTING, ENDING], 0.0, AFTER_S) == PlacementSight(2, 1)


def test_the_longest_wait_gives_the_reason() -> None:
    waits = [_replica(PodPhase.STARTING, waiting_since_s=since_s, why=f"since {since_s:g}") for since_s in (9.0, 3.0)]
    assert look_at_placement(waits, 1000.0, AFTER_S) == PlacementSight(0, 0, 2, "since 3")


def test_pods_that_could_not_be_made_wait_too() -> None:
    assert look_at_placement([READY], 1000.0, AFTER_S, (2, 900.0, "quota")) == PlacementSight(1, 1)
    assert look_at_placement([READY], 1000.0, AFTER_S, (2, 100.0, "quota")) == PlacementSight(1, 1, 2, "quota")


def _story(*steps: tuple[float, PlacementSight]) -> list[Shortfall | None]:
    """Return what is remembered after each step at its time [s]."""
    memory: dict[WorkloadRef, Shortfall] = {}
    found = []
    for now_s, sight in steps:
        memory = step_shortfalls(memory, {REF: sight}, now_s)
        found.append(memory.get(REF))
    return found


STUCK = PlacementSight(3, 3, 2, "no room")
CALM = PlacementSight(3, 3)


def test_nothing_waits_nothing_is_bound() -> None:
    assert _story((0.0, CALM)) == [None]


def test_the_bound_is_what_was_placed_as_long_as_something_waits() -> None:
    (shortfall,) = _story((0.0, STUCK))
    assert shortfall is not None
    assert shortfall.placed == 3
    assert shortfall.is_in_force(1e12)


def test_the_bound_stays_a_while_after_the_evidence_is_gone() -> None:
    *_, last = _story((0.0, STUCK), (100.0, CALM), (200.0, CALM))
    assert last is not None
    assert last.gone_since_s == 100.0
    assert last.is_in_force(100.0 + FIRST_HOLD_S - 0.1)
    assert not last.is_in_force(100.0 + FIRST_HOLD_S)


def test_each_attempt_in_vain_doubles_the_wait_up_to_an_hour() -> None:
    memory: dict[WorkloadRef, Shortfall] = {}
    now_s, holds_s = 0.0, []
    for _ in range(7):
        memory = step_shortfalls(memory, {REF: STUCK}, now_s)
        memory = step_shortfalls(memory, {REF: CALM}, now_s)
        holds_s.append(memory[REF].hold_s)
        now_s += memory[REF].hold_s
        assert not memory[REF].is_in_force(now_s)
    assert holds_s == [300.0, 600.0, 1200.0, 2400.0, 3600.0, 3600.0, 3600.0]


def test_evidence_while_the_bound_is_in_force_is_no_further_attempt() -> None:
    *_, last = _story((0.0, STUCK), (10.0, CALM), (20.0, STUCK), (30.0, CALM))
    assert last == Shortfall(3, 1, 30.0, "no room")


def test_a_replica_more_that_gets_ready_ends_it() -> None:
    *_, last = _story((0.0, STUCK), (10.0, CALM), (400.0, PlacementSight(4, 4)))
    assert last is None


def test_a_replica_more_that_is_only_placed_does_not() -> None:
    *_, last = _story((0.0, STUCK), (10.0, CALM), (400.0, PlacementSight(4, 3)))
    assert last is not None


def test_progress_forgets_how_often_it_was_in_vain() -> None:
    *_, last = _story((0.0, STUCK), (0.0, CALM), (300.0, STUCK), (310.0, PlacementSight(4, 4, 1, "no room")))
    assert last == Shortfall(4, 1, None, "no room")


def test_fewer_placed_than_before_lowers_the_bound_while_something_waits() -> None:
    *_, last = _story((0.0, STUCK), (10.0, PlacementSight(2, 2, 3, "worse")))
    assert last == Shortfall(2, 1, None, "worse")


def test_it_is_forgotten_when_no_more_was_wanted_for_long() -> None:
    *_, before, after = _story(
        (0.0, STUCK), (0.0, CALM), (FIRST_HOLD_S + LONGEST_HOLD_S - 1.0, CALM), (FIRST_HOLD_S + LONGEST_HOLD_S, CALM)
    )
    assert before is not None
    assert after is None


def test_a_workload_that_is_gone_is_forgotten() -> None:
    assert step_shortfalls({REF: Shortfall(1)}, {}, 0.0) == {}


def test_the_amount_names_its_workload_and_its_cause() -> None:
    amount = to_amount(REF, Shortfall(3, why="0/3 nodes are available"))
    assert (amount.kind, amount.amount, amount.workload, amount.namespace) == (AmountKind.SCHEDULER, 3, REF, "prod")
    assert "0/3 nodes are available" in amount.message


@pytest.mark.parametrize("now_s", [0.0, 1e9])
def test_the_trouble_does_not_change_with_time(now_s: float) -> None:
    trouble = to_trouble(REF, STUCK, AFTER_S)
    assert trouble.reason.code is ReasonCode.UNSCHEDULABLE
    assert trouble.reason.message == "2 of 5 replicas of Deployment llama found no place within 5m: no room"
