from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizer.domain import Limit, LimitKind, ReasonCode, Routing
from optimizer.stabilization import Standing, Step, compute_capacity_per_s, fit_to_limits, sequence_steps
from tests.builders.snapshots import make_key


def stand(
    name: str,
    published: int,
    target: int,
    *,
    ready: int | None = None,
    requested: int | None = None,
    capacity: float = 1.0,
    cost: float = 1.0,
    maximum: int | None = None,
) -> Standing:
    """Return a variant whose replicas are all there unless told otherwise."""
    return Standing(
        key=make_key(name),
        published_replicas=published,
        ready_replicas=published if ready is None else ready,
        requested_replicas=published if requested is None else requested,
        target_replicas=target,
        capacity_per_s=capacity,
        cost_per_hour=cost,
        max_replicas=maximum,
    )


def count(steps: tuple[Step, ...]) -> dict[str, int]:
    return {step.key.variant: step.replicas for step in steps}


def sequence(need: float, *standings: Standing, routing: Routing = Routing.WEIGHTED, least: int = 0) -> dict[str, int]:
    return count(sequence_steps(standings, need, routing, least))


def test_ups_are_published_at_once_and_whole() -> None:
    assert sequence(30.0, stand("a", 2, 9), stand("b", 0, 21)) == {"a": 9, "b": 21}


def test_downs_go_whole_where_ready_capacity_covers_the_need_without_them() -> None:
    assert sequence(4.0, stand("a", 9, 4)) == {"a": 4}


def test_a_swap_keeps_the_old_until_the_new_is_ready() -> None:
    old, new = stand("old", 4, 0), stand("new", 0, 4, ready=0)
    assert sequence(4.0, old, new) == {"old": 4, "new": 4}
    new = stand("new", 4, 4, ready=0)
    assert sequence(4.0, old, new) == {"old": 4, "new": 4}
    new = stand("new", 4, 4, ready=3)
    assert sequence(4.0, old, new) == {"old": 1, "new": 4}
    new = stand("new", 4, 4)
    assert sequence(4.0, stand("old", 1, 0), new) == {"old": 0, "new": 4}


def test_ready_replicas_that_were_asked_away_before_are_no_capacity() -> None:
    """Whoever acts is late: six are ready, two of them were released by the last pass and will go."""
    released = stand("a", 4, 4, ready=6, requested=6)
    other = stand("b", 3, 0)
    assert sequence(6.0, released, other)["b"] == 2


def test_replicas_that_somebody_else_asked_away_are_no_capacity() -> None:
    assert sequence(4.0, stand("a", 6, 4, ready=6, requested=4)) == {"a": 6}


def test_the_dearest_to_keep_goes_first() -> None:
    dear, cheap = stand("dear", 3, 0, cost=3.0), stand("cheap", 3, 0, cost=1.0)
    assert sequence(3.0, cheap, dear) == {"cheap": 3, "dear": 0}


def test_what_is_kept_back_says_why() -> None:
    (step,) = sequence_steps((stand("a", 4, 0),), 4.0, Routing.WEIGHTED)
    assert step.hold is not None
    assert step.hold.reason.code is ReasonCode.WAITING_FOR_READY


def test_a_release_is_no_stricter_than_the_plan() -> None:
    """The plan covers the need to the last digit; rounding must not keep a replica for ever."""
    need = 3 * 0.1
    assert sequence(need, stand("a", 4, 3, capacity=0.1)) == {"a": 3}


def test_replicas_that_never_became_ready_can_be_given_up() -> None:
    assert sequence(3.0, stand("stuck", 2, 0, ready=0), stand("a", 3, 3)) == {"stuck": 0, "a": 3}


def test_a_variant_of_unknown_capacity_goes_only_when_the_others_carry_everything() -> None:
    unknown = stand("unknown", 2, 0, capacity=0.0)
    assert sequence(3.0, unknown, stand("a", 3, 3, ready=2)) == {"unknown": 2, "a": 3}
    assert sequence(3.0, unknown, stand("a", 3, 3)) == {"unknown": 0, "a": 3}


def test_one_replica_stays_until_another_is_ready_even_without_any_need() -> None:
    assert sequence(0.0, stand("a", 1, 0), stand("b", 1, 1, ready=0), least=1) == {"a": 1, "b": 1}
    assert sequence(0.0, stand("a", 1, 0), stand("b", 1, 1), least=1) == {"a": 0, "b": 1}
    assert sequence(0.0, stand("a", 1, 0), least=0) == {"a": 0}


def test_an_upper_bound_holds_whatever_the_need() -> None:
    assert sequence(9.0, stand("a", 9, 4, maximum=4)) == {"a": 4}


def test_under_uniform_routing_the_slowest_in_use_decides() -> None:
    slow, fast = stand("slow", 2, 0, capacity=1.0), stand("fast", 3, 3, capacity=3.0)
    assert sequence(5.0, slow, fast, routing=Routing.UNIFORM) == {"slow": 2, "fast": 3}
    assert sequence(4.0, slow, fast, routing=Routing.UNIFORM) == {"slow": 0, "fast": 3}
    capacities = {make_key("slow"): 1.0, make_key("fast"): 3.0}
    assert compute_capacity_per_s({make_key("slow"): 2, make_key("fast"): 3}, capacities, Routing.UNIFORM) == 5.0
    assert compute_capacity_per_s({make_key("slow"): 2, make_key("fast"): 3}, capacities, Routing.WEIGHTED) == 11.0


@pytest.mark.parametrize("routing", [Routing.UNIFORM, Routing.WEIGHTED])
def test_lasting_capacity_never_falls_below_the_need_by_our_own_action(routing: Routing) -> None:
    stream = np.random.default_rng(11)
    for _ in range(2000):
        standings = []
        for name in "abc"[: stream.integers(1, 4)]:
            published = int(stream.integers(0, 7))
            standings.append(
                stand(
                    name,
                    published,
                    int(stream.integers(0, 7)),
                    ready=int(stream.integers(0, published + 3)),
                    requested=int(stream.integers(0, 9)),
                    capacity=float(stream.choice([0.5, 1.0, 2.5])),
                    cost=float(stream.uniform(0.5, 4.0)),
                )
            )
        need = float(stream.uniform(0.0, 12.0))
        steps = sequence_steps(tuple(standings), need, routing)
        capacities = {entry.key: entry.capacity_per_s for entry in standings}
        before = {entry.key: entry.lasting_replicas for entry in standings}
        after = {
            entry.key: min(entry.lasting_replicas, step.replicas) for entry, step in zip(standings, steps, strict=True)
        }
        released = any(step.replicas < entry.published_replicas for entry, step in zip(standings, steps, strict=True))
        for entry, step in zip(standings, steps, strict=True):
            assert step.replicas >= min(entry.published_replicas, entry.target_replicas)
            assert step.replicas >= entry.target_replicas
        if released:
            assert compute_capacity_per_s(after, capacities, routing) >= need * (1 - 1e-6)
        else:
            assert after == before


def make_limit(amount: float | None, *names: str) -> Limit:
    return Limit("gpus", LimitKind.ACCELERATORS, {make_key(name): 1.0 for name in names}, amount)


def test_ups_wait_for_room_and_say_so() -> None:
    standings = (stand("old", 4, 0), stand("new", 0, 4, ready=0))
    steps = sequence_steps(standings, 4.0, Routing.WEIGHTED)
    fitted = fit_to_limits(standings, steps, (make_limit(6.0, "old", "new"),))
    assert count(fitted) == {"old": 4, "new": 2}
    hold = fitted[1].hold
    assert hold is not None
    assert hold.reason.code is ReasonCode.SURGE_BLOCKED


def test_a_full_quota_blocks_a_swap_without_surplus() -> None:
    standings = (stand("old", 4, 0), stand("new", 0, 4, ready=0))
    fitted = fit_to_limits(
        standings, sequence_steps(standings, 4.0, Routing.WEIGHTED), (make_limit(4.0, "old", "new"),)
    )
    assert count(fitted) == {"old": 4, "new": 0}


def test_surplus_frees_the_room_a_swap_needs() -> None:
    standings = (stand("old", 4, 0), stand("new", 0, 3, ready=0))
    steps = sequence_steps(standings, 3.0, Routing.WEIGHTED)
    assert count(fit_to_limits(standings, steps, (make_limit(4.0, "old", "new"),))) == {"old": 3, "new": 1}


def test_a_limit_that_was_lowered_binds_at_once() -> None:
    standings = (stand("a", 6, 2),)
    steps = sequence_steps(standings, 6.0, Routing.WEIGHTED)
    assert count(steps) == {"a": 6}
    assert count(fit_to_limits(standings, steps, (make_limit(4.0, "a"),))) == {"a": 4}


def test_an_unknown_limit_does_not_bind() -> None:
    standings = (stand("a", 6, 9),)
    assert count(
        fit_to_limits(standings, sequence_steps(standings, 9.0, Routing.WEIGHTED), (make_limit(None, "a"),))
    ) == {"a": 9}


def test_limits_hold_whenever_the_targets_keep_them() -> None:
    stream = np.random.default_rng(13)
    for _ in range(1000):
        standings = tuple(
            stand(name, int(stream.integers(0, 6)), int(stream.integers(0, 6)), cost=float(stream.uniform(1, 3)))
            for name in "abcd"
        )
        coefficients = {entry.key: float(stream.integers(0, 5)) for entry in standings}
        wanted = sum(coefficients[entry.key] * entry.target_replicas for entry in standings)
        limit = replace(make_limit(wanted + float(stream.integers(0, 4))), coefficients=coefficients)
        fitted = fit_to_limits(standings, sequence_steps(standings, 5.0, Routing.WEIGHTED), (limit,))
        assert limit.amount is not None
        assert sum(coefficients[step.key] * step.replicas for step in fitted) <= limit.amount + 1e-9
