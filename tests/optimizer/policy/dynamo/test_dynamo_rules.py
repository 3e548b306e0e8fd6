from __future__ import annotations

import itertools

import numpy as np
import pytest

from optimizer.errors import InvalidInput
from optimizer.policy.dynamo import (
    AcceleratorBudget,
    AggregatedLaw,
    BatchLimits,
    DecodeLoad,
    DecodePoint,
    DecodeTable,
    IterationSample,
    LoadReason,
    LoadSettings,
    MeanLengths,
    Pair,
    PoolSizes,
    PredictorKind,
    PrefillLaw,
    PrefillLoad,
    PrefillTable,
    ProfiledDemand,
    SampleStore,
    cap_step,
    clamp_pair,
    count_replicas,
    find_aggregated_capacity,
    fit_aggregated,
    fit_decode,
    fit_pair,
    fit_prefill,
    guard_pair,
    plan_pools,
    predict,
    round_to_budget,
    step_aggregated_load,
    step_prefill_load,
)

COUNTS = range(0, 13, 3)
BUDGETS = [
    AcceleratorBudget(g_p, g_d, lowest, highest, p_min, d_min)
    for g_p, g_d in ((1, 1), (2, 4), (4, 1))
    for lowest, highest in ((-1, 9), (9, 9), (5, 12), (6, -1))
    for p_min, d_min in ((1, 1), (2, 1))
]


@pytest.mark.parametrize("budget", BUDGETS)
def test_the_ceiling_is_never_exceeded_and_minimums_hold_where_they_fit(budget: AcceleratorBudget) -> None:
    for prefill, decode in itertools.product(COUNTS, COUNTS):
        clamped = clamp_pair(Pair(prefill, decode), budget)
        assert not budget.is_above(clamped)
        if budget.count(clamped) > 0 and (prefill >= budget.min_prefill) and (decode >= budget.min_decode):
            assert clamped.prefill >= budget.min_prefill
            assert clamped.decode >= budget.min_decode


@pytest.mark.parametrize("budget", BUDGETS)
def test_moves_from_inside_the_band_stay_inside(budget: AcceleratorBudget) -> None:
    inside = [
        pair
        for pair in itertools.starmap(Pair, itertools.product(range(1, 10), range(1, 10)))
        if not budget.is_above(pair) and not budget.is_below(pair)
    ]
    for current in inside:
        for steps in itertools.product((-1, 0, 1), (-1, 0, 1)):
            proposed = Pair(current.prefill + steps[0], current.decode + steps[1])
            guarded, _ = guard_pair(current, proposed, budget)
            assert guarded in (current, proposed)
            assert not budget.is_above(guarded)
            assert not budget.is_below(guarded)
        for target in ((current.prefill + 7, current.decode + 3), (1, current.decode + 9), (1, 1)):
            fitted = fit_pair(current, Pair(*target), budget)
            assert not budget.is_above(fitted)
            assert not budget.is_below(fitted)


def test_rounding_may_exceed_the_budget_and_nothing_else_of_the_first_generation_does() -> None:
    sizes = PoolSizes(2, 4, 1, 16)
    assert round_to_budget(3, 7, sizes) == (1, 4)  # 18 accelerators: the peer's quirk
    for prefill, decode in itertools.product(range(1, 12), range(1, 12)):
        single = round_to_budget(prefill, decode, PoolSizes(1, 1, 1, 8))
        assert sum(single) <= 8


def test_more_requests_never_plan_fewer_replicas() -> None:
    sizes = PoolSizes(budget_accelerators=None)
    plans = [
        plan_pools(ProfiledDemand(n, 60.0, 3000.0, 150.0), (9000.0, 700.0), 1.0, sizes) for n in range(0, 2000, 50)
    ]
    for before, after in itertools.pairwise(plans):
        assert after[0] >= before[0]
        assert after[1] >= before[1]
    counts = [count_replicas(0.1 * demand, 0.7, 1) for demand in range(100)]
    assert counts == sorted(counts)
    assert all(abs(cap_step(20, computed, 8) - 20) <= 8 for computed in range(100))


def test_an_overloaded_prefill_pool_gets_no_more_than_a_calm_one() -> None:
    demand, sizes = ProfiledDemand(2000.0, 60.0, 3000.0, 150.0), PoolSizes(budget_accelerators=None)
    calm, overloaded = (plan_pools(demand, (9000.0, 700.0), ratio, sizes) for ratio in (1.0, 5.0))
    assert calm == overloaded


def test_a_law_is_found_again_in_its_own_iterations() -> None:
    generator = np.random.default_rng(3)
    one, two = SampleStore(), SampleStore()
    for _ in range(40):
        tokens, kv_tokens = (float(value) for value in generator.uniform((0.0, 0.0), (2000.0, 50_000.0)))
        one = one.add(IterationSample((tokens,), 2e-5 * tokens + 0.004))
        two = two.add(IterationSample((tokens, kv_tokens), 2e-5 * tokens + 3e-7 * kv_tokens + 0.004))
    prefill, aggregated, decode = fit_prefill(one), fit_aggregated(two), fit_decode(two)
    assert prefill is not None
    assert aggregated is not None
    assert decode is not None
    assert (prefill.per_token_s, prefill.fixed_s) == pytest.approx((2e-5, 0.004))
    assert (aggregated.per_prefill_token_s, aggregated.per_kv_token_s, aggregated.fixed_s) == pytest.approx(
        (2e-5, 3e-7, 0.004)
    )
    assert (decode.per_request_s, decode.per_kv_token_s) == pytest.approx((2e-5, 3e-7))


def test_few_or_contradicting_samples_give_no_law() -> None:
    store = SampleStore()
    for tokens in (1.0, 2.0, 3.0, 4.0):
        store = store.add(IterationSample((tokens,), tokens))
    assert fit_prefill(store) is None
    falling = SampleStore(tuple(IterationSample((float(n),), 1.0 - 0.1 * n) for n in range(6)))
    assert fit_prefill(falling) is None
    constant = SampleStore(tuple(IterationSample((5.0,), 1.0) for _ in range(6)))
    assert fit_prefill(constant) == PrefillLaw(0.0, 1.0)


def test_quantities_that_vary_together_share_the_slope() -> None:
    store = SampleStore(tuple(IterationSample((float(n), 2.0 * n), 5.0 * n + 1.0) for n in range(6)))
    law = fit_aggregated(store)
    assert law is not None
    assert (law.per_prefill_token_s, law.per_kv_token_s, law.fixed_s) == pytest.approx((1.0, 2.0, 1.0))
    constant = fit_aggregated(SampleStore(tuple(IterationSample((1.0, 2.0), 3.0) for _ in range(5))))
    assert constant == AggregatedLaw(0.0, 0.0, 3.0)


def test_a_full_store_gives_up_the_oldest_of_its_fullest_cell() -> None:
    store = SampleStore(most_samples=5, cells=4)
    for place, time_s in ((0.0, 1.0), (10.0, 2.0), (10.0, 3.0), (10.0, 4.0), (4.0, 5.0), (5.0, 6.0)):
        store = store.add(IterationSample((place,), time_s))
    assert [sample.time_s for sample in store.samples] == [1.0, 3.0, 4.0, 5.0, 6.0]


def test_tighter_targets_never_give_more_capacity() -> None:
    law, limits = AggregatedLaw(2e-5, 2e-7, 0.005), BatchLimits(2048, 400_000.0, 256)
    found = [
        find_aggregated_capacity(
            law, MeanLengths(1000.0, 200.0), limits, target_ttft_s=1.0, target_itl_s=target_itl_s
        ).capacity_per_s
        for target_itl_s in (0.01, 0.02, 0.03, 0.05, 0.2)
    ]
    assert found == sorted(found)


def test_both_roles_grow_if_either_suffers_and_shrink_only_if_neither_would() -> None:
    law, usual = AggregatedLaw(1e-5, 1e-6, 0.001), (LoadSettings(0.1), LoadSettings(0.05))

    def ask(queued_tokens: float, kv_tokens: float) -> LoadReason:
        prefill = PrefillLoad((queued_tokens,) * 2, 1000.0, 2048)
        decode = DecodeLoad((kv_tokens,) * 2, (0.0,) * 2, 1000.0, 10.0, 100_000.0)
        return step_aggregated_load(law, prefill, decode, *usual).reason

    assert ask(30_000.0, 1000.0) is LoadReason.UP
    assert ask(0.0, 60_000.0) is LoadReason.UP
    assert ask(0.0, 1000.0) is LoadReason.DOWN
    assert ask(0.0, 30_000.0) is LoadReason.REFUSED


def test_deeper_queues_never_ask_for_fewer_replicas() -> None:
    law, settings = PrefillLaw(1e-5, 0.001), LoadSettings(0.1)
    asked = [
        step_prefill_load(law, PrefillLoad((500.0 * depth,) * 3, 1000.0, 2048), settings).replicas
        for depth in range(60)
    ]
    assert asked == sorted(asked)
    assert {2, 3, 4} == set(asked)


def test_tables_answer_what_was_measured_and_clamp() -> None:
    lengths = [100.0, 1000.0, 2000.0, 4000.0, 8000.0]
    table = PrefillTable(lengths, [1e-4 * n for n in lengths], [9000.0] * 5)
    assert table.find_ttft_s(2000.0) == pytest.approx(0.2)
    assert table.find_ttft_s(1e6) == pytest.approx(0.8)
    assert table.find_tokens_per_s(1.0) == pytest.approx(9000.0)
    points = [
        DecodePoint(kv, context, 0.01 + 0.05 * kv, 1000.0 * kv / (context / 1000.0) + 1.0)
        for kv in (0.0, 0.25, 0.5, 0.75, 1.0)
        for context in (1000.0, 2000.0, 4000.0)
    ]
    decode = DecodeTable(points)
    assert decode.find_itl_s(0.5, 2000.0) == pytest.approx(0.035, rel=0.03)
    within, nowhere = decode.find_tokens_per_s(0.036, 2000.0), decode.find_tokens_per_s(0.001, 4000.0)
    assert within == pytest.approx(251.0, rel=0.05)
    assert nowhere < 20.0
    with pytest.raises(InvalidInput, match="ascending"):
        PrefillTable([1.0, 1.0, 2.0, 3.0], [0.1] * 4, [1.0] * 4)
    with pytest.raises(InvalidInput, match="points"):
        DecodeTable(points[:3])


def test_a_short_or_constant_series_stays_and_a_trend_goes_on() -> None:
    assert predict(PredictorKind.ARIMA, [3.0, 9.0]) == 9.0
    assert predict(PredictorKind.ARIMA, [4.0] * 8) == 4.0
    assert predict(PredictorKind.ARIMA, [10.0 * n for n in range(1, 9)]) == pytest.approx(90.0)
    assert predict(PredictorKind.CONSTANT, []) == 0.0
