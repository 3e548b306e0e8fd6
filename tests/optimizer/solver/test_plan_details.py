"""What a plan says besides its replicas: routing, reason, gap, prices, scope, order of names."""

from __future__ import annotations

import itertools

import pytest

from optimizer.domain import (
    DecisionSettings,
    Limit,
    LimitKind,
    ModelKey,
    Need,
    NeedEntry,
    Plan,
    ReasonCode,
    Routing,
    SolveStatus,
    VariantKey,
)
from optimizer.solver import ModelProblem, VariantLine, solve_fleet


def make_line(
    name: str, capacity_per_s: float, cost_per_hour: float, present: int = 0, namespace: str = "prod"
) -> VariantLine:
    return VariantLine(VariantKey(namespace, "m", name), capacity_per_s, cost_per_hour, present_replicas=present)


def make_problem(
    rate_per_s: float, *lines: VariantLine, routing: Routing = Routing.WEIGHTED, min_replicas: int = 0
) -> ModelProblem:
    key = ModelKey(lines[0].key.namespace, "m")
    return ModelProblem(key, lines, Need((NeedEntry(60.0, rate_per_s),)), routing, min_replicas)


def solve(problem: ModelProblem, *limits: Limit, decision: DecisionSettings | None = None) -> Plan:
    (plan,) = solve_fleet((problem,), limits, decision or DecisionSettings())
    return plan


def counts(plan: Plan) -> list[int]:
    return [line.replicas for line in plan.allocations]


@pytest.mark.parametrize(
    "asked, assumed",
    [
        (Routing.AUTO, Routing.UNIFORM),
        (Routing.UNIFORM, Routing.UNIFORM),
        (Routing.WEIGHTED, Routing.WEIGHTED),
        (Routing.BUCKETED, Routing.WEIGHTED),
    ],
)
def test_a_plan_says_which_routing_it_rests_on(asked: Routing, assumed: Routing) -> None:
    plan = solve(make_problem(3.0, make_line("a", 1.0, 1.0), routing=asked))
    assert plan.routing is assumed
    code = plan.reason.code if plan.reason else None
    assert code == (ReasonCode.ROUTING_SUBSTITUTED if asked is Routing.BUCKETED else None)


def test_equal_rates_do_not_pretend_that_a_slow_replica_keeps_up() -> None:
    """H100 19.9/s and L40S 3.3/s at a need of 22/s: weighted mixes them, equal rates would overload the slow one."""
    lines = make_line("h100", 19.9, 2.95), make_line("l40s", 3.3, 1.55)
    assert counts(solve(make_problem(22.0, *lines))) == [1, 1]
    assert counts(solve(make_problem(22.0, *lines, routing=Routing.AUTO))) == [2, 0]


def test_a_gap_that_is_left_is_reported_with_its_bound() -> None:
    lines = tuple(make_line(f"v{index}", 1.0 + 0.137 * index, 1.01 + 0.1293 * index) for index in range(12))
    problem = make_problem(47.3, *lines)
    exact = solve(problem)
    loose = solve(problem, decision=DecisionSettings(solver_gap_ratio=0.2))
    assert exact.status is SolveStatus.OPTIMAL
    assert exact.gap_ratio == 0.0
    assert loose.bound_per_hour is not None
    assert loose.gap_ratio is not None
    assert loose.bound_per_hour <= exact.cost_per_hour + 1e-9 <= loose.cost_per_hour + 2e-9
    assert loose.gap_ratio == pytest.approx(1.0 - loose.bound_per_hour / loose.cost_per_hour)
    assert loose.status is (SolveStatus.FEASIBLE if loose.gap_ratio else SolveStatus.OPTIMAL)
    assert (loose.reason is not None) == (loose.status is SolveStatus.FEASIBLE)


def test_switching_is_minimized_but_told_apart_from_rent() -> None:
    there = make_line("there", 1.0, 1.05, present=4)
    cheaper = VariantLine(VariantKey("prod", "m", "cheaper"), 1.0, 1.0, start_cost_per_hour=0.2)
    stay = solve(make_problem(4.0, there, cheaper))
    assert counts(stay) == [4, 0]
    assert stay.cost_per_hour == pytest.approx(4.2)
    assert stay.switching_per_hour == 0.0
    grow = solve(make_problem(6.0, there, cheaper))
    assert counts(grow) == [6, 0]
    assert grow.bound_per_hour == pytest.approx(grow.cost_per_hour + grow.switching_per_hour)


def test_a_limit_counts_only_what_is_in_its_scope() -> None:
    line = make_line("a", 1.0, 1.0)
    own = Limit("own", LimitKind.QUOTA, {line.key: 1.0}, 2.0, namespaces=("prod",))
    foreign = Limit("foreign", LimitKind.QUOTA, {line.key: 1.0}, 2.0, namespaces=("test",))
    assert solve(make_problem(4.0, line), own).status is SolveStatus.SHORTAGE
    assert counts(solve(make_problem(4.0, line), foreign)) == [4]


def test_what_serves_nothing_does_not_fill_the_least_replicas_while_others_can() -> None:
    useless, useful = make_line("useless", 0.0, 1.0), make_line("useful", 2.0, 5.0)
    assert counts(solve(make_problem(0.0, useless, useful, min_replicas=2))) == [0, 2]
    assert counts(solve(make_problem(0.0, useless, min_replicas=2))) == [2]


def test_the_price_of_a_limit_in_a_shortage_is_at_equal_service() -> None:
    fast, slow = make_line("fast", 2.0, 1.0), VariantLine(VariantKey("prod", "m", "slow"), 1.0, 3.0, max_replicas=2)
    plan = solve(make_problem(8.0, fast, slow), Limit("gpus", LimitKind.ACCELERATORS, {fast.key: 1.0}, 2.0))
    assert plan.status is SolveStatus.SHORTAGE
    assert counts(plan) == [2, 2]
    assert [entry.name for entry in plan.binding] == ["gpus"]
    assert plan.binding[0].marginal_price_per_hour == pytest.approx(2 * 3.0 - 1.0)


def test_of_equal_plans_the_first_names_are_used_most() -> None:
    for order in itertools.permutations("abcd"):
        plan = solve(make_problem(5.0, *(make_line(name, 1.0, 1.0) for name in order)))
        assert {line.key.variant: line.replicas for line in plan.allocations} == {"a": 5, "b": 0, "c": 0, "d": 0}


def test_the_order_of_models_and_variants_changes_nothing() -> None:
    lines = [make_line(f"v{index}", 1.0 + 0.31 * index, 2.0 + 0.55 * index, present=index % 3) for index in range(5)]
    reference = {line.key: line.replicas for line in solve(make_problem(13.7, *lines)).allocations}
    for rotation in range(1, 5):
        plan = solve(make_problem(13.7, *lines[rotation:], *lines[:rotation]))
        assert {line.key: line.replicas for line in plan.allocations} == reference


def test_the_runner_up_uses_another_set_of_variants_and_is_never_cheaper() -> None:
    plan = solve(make_problem(7.0, make_line("a", 2.0, 2.0), make_line("b", 3.0, 3.5), make_line("c", 1.0, 1.4)))
    assert plan.runner_up is not None
    assert plan.runner_up_cost_per_hour is not None
    used = {line.key for line in plan.allocations if line.replicas}
    assert used != {line.key for line in plan.runner_up if line.replicas}
    assert plan.runner_up_cost_per_hour >= plan.cost_per_hour - 1e-9


def test_a_need_of_nothing_costs_nothing() -> None:
    plan = solve(make_problem(0.0, make_line("a", 1.0, 1.0, present=3)))
    assert counts(plan) == [0]
    assert (plan.status, plan.cost_per_hour, plan.gap_ratio) == (SolveStatus.OPTIMAL, 0.0, 0.0)
