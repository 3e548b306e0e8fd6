"""Who goes short: the fairest shares against brute force, classes in their order, bounds always kept."""

from __future__ import annotations

import itertools
import random

import pytest

from optimizer.domain import DecisionSettings, Limit, LimitKind, ModelKey, Need, NeedEntry, Plan, Routing, VariantKey
from optimizer.domain import SolveStatus as Status
from optimizer.solver import ModelProblem, VariantLine, solve_fleet

LEAD_TIME_S = 60.0


def make_problem(name: str, capacity_per_s: float, *rates: tuple[float, int], most: int | None = None) -> ModelProblem:
    """Return an LLM with one variant and one need per (rate, priority)."""
    key = ModelKey("prod", name)
    need = Need(
        tuple(
            NeedEntry(LEAD_TIME_S, rate_per_s, service_class=f"class-{priority}", priority=priority)
            for rate_per_s, priority in rates
        )
    )
    line = VariantLine(VariantKey("prod", name, "v"), capacity_per_s, 1.0, max_replicas=most)
    return ModelProblem(key, (line,), need, routing=Routing.WEIGHTED)


def share(amount: float, *problems: ModelProblem) -> tuple[Plan, ...]:
    keys = {line.key: 1.0 for problem in problems for line in problem.lines}
    return solve_fleet(problems, (Limit("gpus", LimitKind.ACCELERATORS, keys, amount),), DecisionSettings())


def replicas(plans: tuple[Plan, ...]) -> list[int]:
    return [plan.allocations[0].replicas for plan in plans]


def list_missing(problems: tuple[ModelProblem, ...], counts: tuple[int, ...]) -> list[float]:
    """Return the missing share of each need, the largest first."""
    missing = []
    for problem, count in zip(problems, counts, strict=True):
        need_per_s = problem.need.peak_per_s
        missing.append(max(1.0 - count * problem.lines[0].capacity_per_s / need_per_s, 0.0))
    return sorted(missing, reverse=True)


@pytest.mark.parametrize("seed", range(3))
def test_the_worst_share_is_the_best_that_brute_force_finds(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        models = rng.randint(2, 3)
        problems = tuple(
            make_problem(f"m{number}", rng.choice([0.5, 1.0, 1.5, 2.0]), (rng.choice([2.0, 3.0, 5.0, 8.0]), 1))
            for number in range(models)
        )
        amount = rng.randint(1, 9)
        plans = share(float(amount), *problems)
        counts = tuple(replicas(plans))
        every = itertools.product(range(amount + 1), repeat=models)
        fairest = min(list_missing(problems, option)[0] for option in every if sum(option) <= amount)
        assert sum(counts) <= amount
        assert list_missing(problems, counts)[0] == pytest.approx(fairest, abs=1e-5)
        assert (Status.SHORTAGE in {plan.status for plan in plans}) == (fairest > 0.0)


def test_those_that_cannot_gain_do_not_hold_the_others_back() -> None:
    stuck = make_problem("stuck", 1.0, (8.0, 1), most=2)
    first, second = make_problem("first", 1.0, (4.0, 1)), make_problem("second", 1.0, (4.0, 1))
    assert replicas(share(8.0, stuck, first, second)) == [2, 3, 3]


def test_no_lower_class_is_served_by_what_a_higher_one_lacks() -> None:
    rng = random.Random(7)
    for _ in range(30):
        high = make_problem("high", 1.0, (float(rng.randint(1, 6)), 2))
        low = make_problem("low", 1.0, (float(rng.randint(1, 6)), 1))
        amount = float(rng.randint(1, 10))
        wanted = high.need.peak_per_s
        served_high, served_low = replicas(share(amount, high, low))
        assert served_high == min(wanted, amount)
        assert served_low == min(low.need.peak_per_s, amount - served_high)


def test_classes_of_one_model_are_served_in_their_order_beside_those_of_others() -> None:
    both = make_problem("both", 1.0, (3.0, 2), (5.0, 0))
    middle = make_problem("middle", 1.0, (4.0, 1))
    assert replicas(share(9.0, both, middle)) == [5, 4]
    assert replicas(share(5.0, both, middle)) == [3, 2]
    assert replicas(share(2.0, both, middle)) == [2, 0]


def test_in_a_shortage_bounds_still_hold() -> None:
    problem = make_problem("m", 1.0, (9.0, 1), most=4)
    (plan,) = solve_fleet((problem,), (), DecisionSettings())
    assert plan.status is Status.SHORTAGE
    assert replicas((plan,)) == [4]
    assert plan.served_per_s == pytest.approx(4.0)
    assert plan.reason is not None


def test_where_nothing_can_be_ready_in_time_the_later_need_is_still_met_whole() -> None:
    line = VariantLine(VariantKey("prod", "m", "v"), 1.0, 1.0, present_replicas=2, startup_s=120.0)
    need = Need((NeedEntry(30.0, 5.0), NeedEntry(120.0, 6.0)))
    problem = ModelProblem(ModelKey("prod", "m"), (line,), need, routing=Routing.WEIGHTED)
    (plan,) = solve_fleet((problem,), (), DecisionSettings())
    assert replicas((plan,)) == [6]


def test_under_equal_rates_a_slow_replica_may_take_more_than_it_gives() -> None:
    fast = VariantLine(VariantKey("prod", "m", "fast"), 4.0, 4.0, max_replicas=2)
    slow = VariantLine(VariantKey("prod", "m", "slow"), 1.0, 1.0, max_replicas=5)
    need = Need((NeedEntry(LEAD_TIME_S, 9.0),))
    uniform = ModelProblem(ModelKey("prod", "m"), (fast, slow), need, routing=Routing.UNIFORM)
    (plan,) = solve_fleet((uniform,), (), DecisionSettings())
    assert plan.status is Status.SHORTAGE
    assert [line.replicas for line in plan.allocations] == [2, 0]
    assert plan.served_per_s == pytest.approx(8.0)
