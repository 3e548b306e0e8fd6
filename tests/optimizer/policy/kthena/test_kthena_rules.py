"""The peer's rules against plain restatements: windows by looking at every value, spreads by counting, bounds kept."""

from __future__ import annotations

import json

import numpy as np
import pytest

from optimizer.errors import InvalidInput
from optimizer.policy.kthena.behavior import Behavior, PanicRule, RateLimit, Select
from optimizer.policy.kthena.blocks import GroupTarget, distribute, list_blocks
from optimizer.policy.kthena.capacity import distribute_capacity
from optimizer.policy.kthena.correct import Span, correct, make_memory
from optimizer.policy.kthena.histogram import compute_gained_quantile
from optimizer.policy.kthena.memory import decode_memory, encode_memory
from optimizer.policy.kthena.ratio import RatioRule, is_ratio_reachable, keeps_ratio, repair_ratio
from optimizer.policy.kthena.recommend import MOST_REPLICAS, MetricReports, MetricRule, recommend
from optimizer.policy.kthena.step import step_peer
from optimizer.policy.kthena.windows import Best, LineWindow, RecordWindow


def find_best(best: Best, values: list[int]) -> int:
    return max(values) if best is Best.HIGHEST else min(values)


@pytest.mark.parametrize("best", Best)
@pytest.mark.parametrize("seed", range(10))
def test_a_record_window_answers_the_best_of_what_is_fresh(best: Best, seed: int) -> None:
    generator = np.random.default_rng(seed)
    window, said, now_s = RecordWindow(best, 20.0), list[tuple[float, int]](), 0.0
    for _ in range(200):
        now_s += float(generator.integers(0, 9))
        if generator.random() < 0.7:
            said.append((now_s, int(generator.integers(0, 12))))
            window = window.append(said[-1][1], now_s)
        fresh = [value for time_s, value in said if time_s >= now_s - 20.0]
        assert window.query(now_s) == (find_best(best, fresh) if fresh else None)
        assert len(window.kept) <= 12


@pytest.mark.parametrize("best", Best)
@pytest.mark.parametrize("seed", range(10))
def test_a_line_window_answers_the_best_of_the_line_and_the_present(best: Best, seed: int) -> None:
    generator = np.random.default_rng(seed)
    window, replaced, newest, now_s = LineWindow(RecordWindow(best, 20.0)), list[tuple[float, int]](), (0.0, 0), 1.0
    window = window.append(5, now_s)
    newest = (now_s, 5)
    for _ in range(200):
        now_s += float(generator.integers(0, 9)) if generator.random() < 0.95 else 60.0
        if generator.random() < 0.7:
            if newest[0] + 40.0 >= now_s:
                replaced.append((now_s, newest[1]))
            newest = (now_s, int(generator.integers(0, 12)))
            window = window.append(newest[1], now_s)
        current = int(generator.integers(0, 12))
        fresh = [value for time_s, value in replaced if time_s >= now_s - 20.0]
        holding = [newest[1]] if newest[0] + 40.0 >= now_s else []
        assert window.query(current, now_s) == find_best(best, [current, *holding, *fresh])


@pytest.mark.parametrize("rate_percent", [0, 50, 100, 150, 200, 300])
def test_a_spread_is_the_beginning_of_one_sequence(rate_percent: int) -> None:
    targets = [GroupTarget("a", 3.0, 1, 9), GroupTarget("b", 1.0, 0, 7), GroupTarget("c", 2.0, 2, 5)]
    last = distribute(3, targets, rate_percent)
    assert last == {"a": 1, "b": 0, "c": 2}
    for total in range(4, 25):
        now = distribute(total, targets, rate_percent)
        assert sum(now.values()) == min(total, 21)
        assert sum(now[name] - last[name] for name in now) == (1 if total <= 21 else 0)
        assert all(now[name] >= last[name] for name in now)
        assert distribute_capacity(float(total), targets, rate_percent).replicas == now
        last = now


def test_blocks_fill_exactly_the_room_of_every_target() -> None:
    targets = [GroupTarget("a", 3.0, 1, 900), GroupTarget("b", 1.0, 0, 70), GroupTarget("c", 2.0, 5, 5)]
    for rate_percent in (0, 100, 110, 200, 1000):
        rooms = {"a": 0, "b": 0, "c": 0}
        for block in list_blocks(targets, rate_percent):
            rooms[block.target] += block.replicas
        assert rooms == {"a": 899, "b": 70, "c": 0}


def test_two_targets_of_one_name_and_a_capacity_of_nothing_are_wrong_calls() -> None:
    with pytest.raises(InvalidInput, match="different names"):
        list_blocks([GroupTarget("a", 1.0, 0, 1)] * 2, 200)
    with pytest.raises(InvalidInput, match="capacity_per_s"):
        distribute_capacity(1.0, [GroupTarget("a", 1.0, 0, 1, 0.0)], 200)


@pytest.mark.parametrize("seed", range(40))
def test_a_repaired_ratio_keeps_bounds_and_the_ratio_unless_bounds_forbid(seed: int) -> None:
    generator = np.random.default_rng(seed)
    least = [int(value) for value in generator.integers(1, 4, 2)]
    most = [low + int(value) for low, value in zip(least, generator.integers(0, 12, 2), strict=True)]
    ratios = sorted(float(value) for value in generator.integers(1, 12, 2) / 4)
    rule = RatioRule(ratios[0], ratios[1])
    bounds = ((least[0], most[0]), (least[1], most[1]))
    pairs = [
        (one, other)
        for one in range(least[0], most[0] + 1)
        for other in range(least[1], most[1] + 1)
        if keeps_ratio(one, other, rule)
    ]
    assert is_ratio_reachable(*bounds, rule) is bool(pairs)
    for one in range(least[0], most[0] + 1):
        for other in range(least[1], most[1] + 1):
            repaired = repair_ratio(one, other, *bounds, rule)
            assert bounds[0][0] <= repaired[0] <= bounds[0][1]
            assert bounds[1][0] <= repaired[1] <= bounds[1][1]
            if keeps_ratio(one, other, rule):
                assert repaired == (one, other, False)


@pytest.mark.parametrize("seed", range(20))
def test_more_load_never_recommends_fewer(seed: int) -> None:
    generator = np.random.default_rng(seed)
    current, unready, missing = (int(value) for value in generator.integers(0, 6, 3))
    shape = generator.random(int(generator.integers(1, 7)))
    rule, last = MetricRule({"q": 10.0}, 0, 100, float(generator.random() / 4)), 0
    for level in np.linspace(0.0, 60.0, 61):
        reports = tuple({"q": float(level * share)} for share in shape) + ({},) * missing
        asked = recommend(MetricReports(current, unready, reports), rule)
        assert asked is not None
        assert asked >= last or _is_within_the_dead_band(asked, current)
        last = asked


def _is_within_the_dead_band(asked: int, current: int) -> bool:
    """The peer keeps the present count within its tolerance, whatever lies on both sides of it."""
    return asked == current


@pytest.mark.parametrize("seed", range(30))
def test_a_corrected_count_keeps_bounds_limits_and_directions(seed: int) -> None:
    generator = np.random.default_rng(seed)
    selects = (Select.OR, Select.AND, Select.NEITHER)

    def draw(stabilization_s: float) -> RateLimit:
        numbers = [int(value) for value in generator.integers(0, 4, 3)]
        return RateLimit(numbers[0], 50 * numbers[1], selects[numbers[2] % 3], 60.0, stabilization_s)

    behavior = Behavior(draw(0.0), draw(120.0), PanicRule(100, 60.0, 200, float(generator.integers(0, 2) * 45)))
    rule, memory, current = MetricRule({"q": 10.0}, 1, 40), make_memory(behavior), 5
    for tick in range(1, 120):
        now_s = 15.0 * tick
        total = float(generator.integers(0, 300))
        seen = MetricReports(current, 0, (), {"q": total})
        cycle, memory = step_peer(memory, seen, now_s, rule, behavior)
        assert cycle.recommended_replicas is not None
        assert 1 <= cycle.corrected_replicas <= 40
        if cycle.is_panic:
            assert cycle.corrected_replicas >= current
        elif cycle.recommended_replicas >= current:
            assert current <= cycle.corrected_replicas <= max(cycle.recommended_replicas, current)
        else:
            assert cycle.recommended_replicas <= cycle.corrected_replicas <= current
        assert decode_memory(json.loads(json.dumps(encode_memory(memory))), behavior) == memory
        current = cycle.corrected_replicas


def test_a_window_without_length_limits_nothing() -> None:
    behavior = Behavior(RateLimit(0, 0, period_s=0.0), RateLimit(0, 0, period_s=0.0))
    memory = make_memory(behavior).record(3, 3, 1.0)
    assert correct(90, Span(1, 100, 3), behavior, memory, 1.0) == 90
    assert correct(1, Span(1, 100, 3), behavior, memory, 1.0) == 1


def test_what_is_not_a_number_asks_for_nothing_and_what_is_infinite_for_the_most() -> None:
    rule = MetricRule({"q": 10.0}, 0, MOST_REPLICAS + 1)
    assert recommend(MetricReports(4, 0, (), {"q": float("nan")}), rule) == 0
    assert recommend(MetricReports(4, 0, (), {"q": float("inf")}), rule) == MOST_REPLICAS
    assert recommend(MetricReports(4, 0, (), {"q": -50.0}), rule) == 0


def test_a_quantile_of_nothing_is_zero() -> None:
    assert compute_gained_quantile([], [], 95) == 0.0
