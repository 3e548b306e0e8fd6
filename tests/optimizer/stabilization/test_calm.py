from __future__ import annotations

import numpy as np
import pytest

from optimizer import InvalidInput
from optimizer.domain import CapacityEntry, CapacityTable, Need, NeedEntry
from optimizer.stabilization import StabilizationState, calm_need, calm_replicas
from tests.builders.snapshots import make_key

WINDOW_S = 120.0
TABLE = CapacityTable((CapacityEntry(make_key("a"), 2.0),))


def play(rates_per_s: list[float], period_s: float = 15.0) -> list[float]:
    """Return the need that is planned with in each pass."""
    state, calmed = StabilizationState(), []
    for index, rate_per_s in enumerate(rates_per_s):
        need, _, state = calm_need(state, Need((NeedEntry(60.0, rate_per_s),)), TABLE, index * period_s, WINDOW_S)
        calmed.append(need.peak_per_s)
    return calmed


def test_growth_passes_at_once() -> None:
    assert play([1.0, 5.0, 9.0]) == [1.0, 5.0, 9.0]


def test_a_fall_counts_only_after_a_whole_window() -> None:
    calmed = play([9.0, *[4.0] * 12])
    assert calmed[:8] == [9.0] * 8
    assert calmed[-1] == 4.0
    assert calmed.index(4.0) * 15.0 <= WINDOW_S * (1.0 + 1.0 / 12) + 15.0


@pytest.mark.parametrize("period_s", [1.0, 7.0, 15.0, 60.0])
def test_it_is_a_sliding_maximum_that_forgets_at_most_one_bin_late(period_s: float) -> None:
    rates = np.random.default_rng(5).uniform(1.0, 9.0, 400).tolist()
    calmed = play(rates, period_s)
    for index, value in enumerate(calmed):
        start = int(np.ceil((index * period_s - WINDOW_S + 1e-9) / period_s))
        sharp = max(rates[max(start, 0) : index + 1])
        late = int(np.floor((index * period_s - WINDOW_S * (1 + 1 / 12)) / period_s))
        assert sharp <= value <= max(rates[max(late, 0) : index + 1])


@pytest.mark.parametrize("window_s", [1.0, 20.0, 30.0])
def test_a_window_of_few_periods_is_watched_though_passes_are_late(window_s: float) -> None:
    state = StabilizationState()
    for index in range(6):
        _, _, state = calm_need(state, Need(), TABLE, 15.5 * index, window_s, longest_gap_s=30.0)
    assert state.has_been_calm(5 * 15.5, window_s)
    _, _, state = calm_need(state, Need(), TABLE, 5 * 15.5 + 31.0, window_s, longest_gap_s=30.0)
    assert not state.has_been_calm(5 * 15.5 + 31.0, window_s)


def test_spikes_that_recur_within_the_window_leave_a_flat_line() -> None:
    spikes = [9.0 if index % 6 == 0 else 3.0 for index in range(60)]
    assert set(play(spikes)) == {9.0}


def test_the_smallest_capacity_of_the_window_is_planned_with() -> None:
    state = StabilizationState()
    planned = []
    for index, capacity_per_s in enumerate([2.0, 1.5, *[2.0] * 12]):
        table = CapacityTable((CapacityEntry(make_key("a"), capacity_per_s),))
        _, calmed, state = calm_need(state, Need((NeedEntry(60.0, 1.0),)), table, 15.0 * index, WINDOW_S)
        planned.append(calmed.get(make_key("a")))
    assert planned[:9] == [2.0, *[1.5] * 8]
    assert planned[-1] == 2.0


def test_a_need_of_other_lead_times_is_compared_with_the_next_longer_one() -> None:
    before = Need((NeedEntry(60.0, 5.0), NeedEntry(180.0, 8.0)))
    _, _, state = calm_need(StabilizationState(), before, TABLE, 0.0, WINDOW_S)
    after = Need((NeedEntry(100.0, 1.0), NeedEntry(300.0, 2.0)))
    calmed, _, _ = calm_need(state, after, TABLE, 15.0, WINDOW_S)
    assert [entry.rate_per_s for entry in calmed.entries] == [8.0, 8.0]


def test_nothing_has_been_calm_before_a_window_was_watched_without_a_gap() -> None:
    state = StabilizationState()
    assert not state.has_been_calm(1000.0, WINDOW_S)
    for now_s in (0.0, 30.0, 60.0, 90.0, 119.0):
        _, _, state = calm_need(state, Need(), TABLE, now_s, WINDOW_S)
        assert not state.has_been_calm(now_s, WINDOW_S)
    _, _, state = calm_need(state, Need(), TABLE, 121.0, WINDOW_S)
    assert state.has_been_calm(121.0, WINDOW_S)
    _, _, state = calm_need(state, Need(), TABLE, 400.0, WINDOW_S)
    assert not state.has_been_calm(400.0, WINDOW_S)


def test_fixed_counts_are_calmed_alike() -> None:
    key, state = make_key("a"), StabilizationState()
    planned = []
    for index, count in enumerate([5, *[2] * 12, 6]):
        replicas, state = calm_replicas(state, {key: count}, 15.0 * index, WINDOW_S)
        planned.append(replicas[key])
    assert planned[:8] == [5] * 8
    assert planned[-2:] == [2, 6]


def test_a_window_without_length_is_refused() -> None:
    with pytest.raises(InvalidInput, match="window_s"):
        calm_need(StabilizationState(), Need(), TABLE, 0.0, 0.0)
