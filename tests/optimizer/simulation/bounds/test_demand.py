"""What is due when, and what it is worth whoever serves it: against schedules and assignments that were tried."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import numpy as np
import pytest

from optimizer.domain import Role, VariantKey
from optimizer.errors import InvalidInput
from optimizer.simulation.bounds import (
    AskedRequests,
    BoundCase,
    BoundVariant,
    LadderOptions,
    ReplicaWork,
    compute_ladder,
    make_mean_problem,
    make_rate_work,
    make_step_problem,
    make_stretch_problem,
)
from optimizer.simulation.bounds.asked import compute_due, find_stretches
from optimizer.simulation.bounds.case import compute_rows, list_moments

TAU_S = 0.02


def make_asked(arrivals_s: list[float], inputs: list[int], outputs: list[int], *targets_s: float) -> AskedRequests:
    """Return requests with these targets of TTFT, ITL and TTLT."""
    count = len(arrivals_s)
    prompts = np.array(inputs, dtype=np.float64)
    decode = np.array(outputs, dtype=np.float64) - 1.0
    promise = [np.full(count, target_s) for target_s in targets_s]
    return AskedRequests(np.array(arrivals_s), prompts, prompts, decode, *promise)


def make_case(asked: AskedRequests, works: list[ReplicaWork], prices: list[float], **more: float) -> BoundCase:
    variants = tuple(
        BoundVariant(VariantKey("prod", "llm", f"v{number}"), price, work, shortest_startup_s=60.0)
        for number, (work, price) in enumerate(zip(works, prices, strict=True))
    )
    return BoundCase(
        "llm", asked, variants, more.get("horizon_s", 100.0), more.get("period_s", 10.0), more.get("phase_s", 0.0)
    )


def test_the_latest_schedule_that_keeps_the_promise_has_done_what_is_due() -> None:
    rng = random.Random(2)
    for _ in range(300):
        arrival_s, output = rng.uniform(0.0, 9.9), rng.choice([1, 2, 50, 300])
        ttft_s, itl_s, ttlt_s = (
            rng.choice([0.5, 2.0]),
            rng.choice([0.03, 0.1, math.inf]),
            rng.choice([4.0, 30.0, math.inf]),
        )
        if output > 1 and (output - 1) * TAU_S > ttlt_s:
            continue  # a promise nobody can keep
        asked = make_asked([arrival_s], [100], [output], ttft_s, itl_s, ttlt_s)
        deadline_s = float(asked.deadline_s[0])
        end_s = rng.uniform(10.0, 25.0)
        ends_s = [deadline_s - (output - 1 - number) * TAU_S for number in range(1, output)]
        # Each token takes an iteration; the one that is on its way at the end counts for the part of it that is over.
        done = sum(min(max((end_s - time_s) / TAU_S + 1.0, 0.0), 1.0) for time_s in ends_s)
        due = compute_due(asked, np.array([end_s]), TAU_S)
        assert due.decode_tokens[0] == pytest.approx(done, abs=1e-3)
        first_s = min(arrival_s + ttft_s, deadline_s - (output - 1) * TAU_S)
        assert (due.prompt_tokens[0] > 0.0) == (first_s <= end_s)
        assert due.is_whole[0] == (deadline_s <= end_s)


def test_what_may_wait_is_not_due() -> None:
    asked = make_asked([1.0, 7.0, 9.5], [100] * 3, [101] * 3, 1.0, 0.05, math.inf)
    due = compute_due(asked, np.full(3, 10.0), TAU_S)
    # Done by 7.0; by 13.0, so that 100 - 3.0/0.02 < 0 tokens are due; the prompt of the third by 10.5.
    assert due.decode_tokens.tolist() == pytest.approx([100.0, 0.0, 0.0], abs=1e-3)
    assert due.prompt_tokens.tolist() == [100.0, 100.0, 0.0]
    assert due.is_whole.tolist() == [True, False, False]
    late = compute_due(asked, np.full(3, 12.0), TAU_S)
    assert late.decode_tokens.tolist() == pytest.approx([100.0, 50.0, 0.0], abs=1e-3)


def test_who_arrives_at_the_very_edge_counts_nowhere() -> None:
    asked = make_asked([0.0, 5.0, 10.0, 10.5, 99.0], [1] * 5, [1] * 5, 1.0, math.inf, math.inf)
    assert find_stretches(asked, np.array([0.0, 10.0, 20.0])).tolist() == [-1, 0, -1, 1, -1]


def test_a_row_is_worth_no_more_than_any_assignment_of_requests() -> None:
    rng = random.Random(4)
    works = [ReplicaWork(per_prompt_token_s=1e-4, per_decode_token_s=1e-3), ReplicaWork(2e-5, 3e-3, ceiling_ratio=0.8)]
    for _ in range(30):
        lengths = [(rng.randint(1, 2000), rng.randint(1, 300)) for _ in range(5)]
        asked = make_asked(
            sorted(rng.uniform(0.5, 3.0) for _ in lengths),
            [i for i, _ in lengths],
            [o for _, o in lengths],
            1.0,
            0.01,
            5.0,
        )
        case = make_case(asked, works, [1.0, 2.0], horizon_s=10.0)
        rows = compute_rows(case, np.array([0.0, 10.0]))
        wholes = [work.compute_whole_s(asked) for work in works]
        for choice in itertools.product((0, 1), repeat=len(lengths)):
            busy_s = [sum(float(wholes[v][r]) for r, w in enumerate(choice) if w == v) for v in (0, 1)]
            replicas = [busy / (10.0 * work.ceiling_ratio) for busy, work in zip(busy_s, works, strict=True)]
            given = (rows.capacities * np.array(replicas)).sum(axis=1)
            assert np.all(given >= rows.needs[:, 0] - 1e-9)


def test_what_may_be_missed_is_the_largest() -> None:
    asked = make_asked([1.0, 2.0, 3.0, 4.0], [10, 20, 30, 40], [1] * 4, 1.0, math.inf, math.inf)
    rows = compute_rows(make_case(asked, [ReplicaWork(per_prompt_token_s=0.1)], [1.0]), np.array([0.0, 100.0]))
    mean_s = 2.5
    assert rows.compute_allowances(0.75) == pytest.approx((4.0 / mean_s,))
    assert rows.compute_allowances(0.76) == (0.0,)
    assert rows.compute_allowances(0.5) == pytest.approx((7.0 / mean_s,))
    assert rows.compute_allowances(0.0) == pytest.approx((4.0,))
    with pytest.raises(InvalidInput, match="attainment_ratio"):
        rows.compute_allowances(1.5)


def test_replicas_change_at_syncs() -> None:
    asked = make_asked([1.0], [10], [1], 1.0, math.inf, math.inf)
    case = make_case(asked, [make_rate_work(1.0)], [1.0], horizon_s=40.0, period_s=15.0, phase_s=7.0)
    assert list_moments(case).tolist() == [0.0, 7.0, 22.0, 37.0, 40.0]
    whole = make_case(asked, [make_rate_work(1.0)], [1.0], horizon_s=40.0, period_s=math.inf)
    assert list_moments(whole).tolist() == [0.0, 40.0]


@pytest.mark.parametrize("rest_s", [0.0, 1e-4, 1e-3, 1.9e-3, 0.5])
def test_rent_that_the_last_move_spares_is_not_billed(rest_s: float) -> None:
    """Two replicas from 22 s to the sync at 37 s, none before it and behind it: what that costs, nobody may exceed."""
    asked = make_asked([23.0] * 30, [10] * 30, [1] * 30, 1.0, math.inf, math.inf)
    case = make_case(asked, [make_rate_work(1.0)], [3600.0], horizon_s=37.0 + rest_s, period_s=15.0, phase_s=7.0)
    case = replace(case, variants=(replace(case.variants[0], shortest_startup_s=0.0),))
    whole = compute_ladder(case, 1.0, LadderOptions(has_reference=False)).get("LB1")
    assert whole is not None
    assert whole.cost == pytest.approx(2.0 * 15.0, abs=1e-9)


def test_a_move_right_at_the_beginning_takes_what_is_before_it_out_of_the_bound() -> None:
    asked = make_asked([5e-4, 2.0], [10] * 2, [1] * 2, 1e-4, math.inf, math.inf)
    case = make_case(asked, [make_rate_work(1.0)], [1.0], horizon_s=31.0, period_s=15.0, phase_s=1e-3)
    assert list_moments(case).tolist() == [0.001, 15.001, 30.001, 31.0]
    assert make_step_problem(case)[0].needs[0].sum() * 15.0 == pytest.approx(1.0)


@pytest.mark.parametrize("period_s, phase_s, horizon_s", [(15.0, 1e-3, 2.5e-3), (1e-3, 0.0, 1.0)])
def test_moments_that_leave_no_step_leave_no_rung(period_s: float, phase_s: float, horizon_s: float) -> None:
    asked = make_asked([1e-3], [10], [1], 1e-4, math.inf, math.inf)
    case = make_case(asked, [make_rate_work(1.0)], [1.0], horizon_s=horizon_s, period_s=period_s, phase_s=phase_s)
    assert not len(list_moments(case))
    assert {rung.name for rung in compute_ladder(case, 1.0).rungs} == {"LBw", "REF"}
    with pytest.raises(InvalidInput, match="step"):
        make_step_problem(case)


def test_where_roles_are_mixed_a_row_is_worth_no_more_than_any_choice_of_ways() -> None:
    rng = random.Random(6)
    roles = (Role.BOTH, Role.PREFILL, Role.DECODE, Role.PREFILL)
    prompt_s, token_s = (1e-4, 5e-5, 9e-5, 2e-4), (1e-3, 5e-3, 6e-4, 1e-3)
    for _ in range(30):
        lengths = [(rng.randint(1, 2000), rng.randint(1, 300)) for _ in range(4)]
        asked = make_asked([0.5] * 4, [i for i, _ in lengths], [o for _, o in lengths], 1.0, 0.01, 5.0)
        variants = tuple(
            BoundVariant(
                VariantKey("prod", "llm", f"v{number}", role),
                rng.choice([0.0, 1.0, 2.0, 9.0]),
                ReplicaWork(prompt_s[number], token_s[number]),
            )
            for number, role in enumerate(roles)
        )
        rows = compute_rows(BoundCase("llm", asked, variants, 10.0, 10.0), np.array([0.0, 10.0]))
        assert len(rows.needs) >= 3
        for ways in itertools.product([(0,), (1, 2), (3, 2)], repeat=len(lengths)):
            busy_s = [0.0] * len(roles)
            for (input_tokens, output_tokens), way in zip(lengths, ways, strict=True):
                for number in way:
                    prompts = 1 if roles[number] is Role.DECODE else input_tokens
                    tokens = 0 if roles[number] is Role.PREFILL else output_tokens - 1
                    busy_s[number] += prompts * prompt_s[number] + tokens * token_s[number]
            given = (rows.capacities * np.array(busy_s) / 10.0).sum(axis=1)
            assert np.all(given >= rows.needs[:, 0] * (1.0 - 1e-9))
            assert np.all(given * 10.0 >= rows.whole.sum(axis=1) * (1.0 - 1e-9))
        assert np.all(rows.needs[[0, -2, -1]].sum(axis=1) > 0.0)


def test_starts_are_billed_less_a_step_where_replicas_count_by_steps() -> None:
    asked = make_asked([1.0], [10], [1], 1.0, math.inf, math.inf)
    case = make_case(asked, [make_rate_work(1.0)], [36.0])
    assert make_step_problem(case)[0].variants[0].start_cost == pytest.approx(36.0 * 50.0 / 3600.0)
    assert make_stretch_problem(case, 50.0)[0].variants[0].start_cost == pytest.approx(36.0 * 60.0 / 3600.0)


def test_longer_stretches_have_more_that_is_due_and_means_have_all() -> None:
    rng = random.Random(8)
    arrivals_s = sorted(rng.uniform(0.0, 100.0) for _ in range(200))
    asked = make_asked(arrivals_s, [100] * 200, [50] * 200, 2.0, 0.05, math.inf)
    case = make_case(asked, [ReplicaWork(1e-3, 1e-3, shortest_iteration_s=TAU_S)], [1.0])
    totals = []
    for problem, _ in (make_step_problem(case), make_stretch_problem(case, 50.0), make_mean_problem(case, 50.0)):
        totals.append(float((problem.needs * problem.durations_s).sum()))
    assert totals[0] < totals[1] < totals[2] == pytest.approx(200.0)
