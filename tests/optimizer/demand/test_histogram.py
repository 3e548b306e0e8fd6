from __future__ import annotations

import math

import numpy as np
import pytest

from optimizer import InvalidInput
from optimizer.demand import compute_attained_ratio, compute_quantile, merge_histograms
from optimizer.demand.histogram import interpolate_count, subtract_histogram
from optimizer.domain import HistogramReading, ReasonCode
from tests.builders.readings import make_count, make_histogram

EDGES = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0]


def draw(seed: int, count: int) -> list[float]:
    return list(np.random.default_rng(seed).lognormal(-1.0, 0.8, count))


def test_difference_of_two_moments_is_the_histogram_of_what_came_between() -> None:
    values = draw(1, 300)
    between = subtract_histogram(make_histogram(EDGES, values), make_histogram(EDGES, values[:120]))
    expected = make_histogram(EDGES, values[120:])
    assert between is not None
    assert (between.edges, between.cumulative, between.count) == (expected.edges, expected.cumulative, expected.count)
    assert between.total == pytest.approx(expected.total)


def test_difference_that_goes_back_anywhere_is_none() -> None:
    older, newer = make_histogram([1, 2], [0.5] * 5), make_histogram([1, 2], [1.5] * 6)
    assert subtract_histogram(newer, older) is None
    assert subtract_histogram(older, newer) is None


def test_difference_of_other_edges_has_no_shape() -> None:
    difference = subtract_histogram(make_histogram([1, 2], [1, 1, 1]), make_histogram([1, 3], [1, 1]))
    assert difference == make_count(1.0, 1.0)


def test_merging_equal_edges_is_the_histogram_of_all() -> None:
    one, other = draw(2, 90), draw(3, 40)
    merged = merge_histograms(make_histogram(EDGES, one), make_histogram(EDGES, other))
    expected = make_histogram(EDGES, one + other)
    assert (merged.cumulative, merged.count) == (expected.cumulative, expected.count)


def test_merging_different_edges_is_exact_on_common_edges_and_close_between() -> None:
    one, other = draw(4, 4000), draw(5, 4000)
    merged = merge_histograms(make_histogram([0.1, 0.3, 0.5, 1, 5], one), make_histogram([0.1, 0.2, 0.5, 2, 5], other))
    assert merged.edges == (0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
    exact = make_histogram(merged.edges, one + other)
    for edge, close, true in zip(merged.edges, merged.cumulative, exact.cumulative, strict=True):
        assert close == pytest.approx(true, rel=0 if edge in (0.1, 0.5, 5.0) else 0.12)
    assert merged.count == 8000.0


def test_what_lies_above_the_last_edge_of_one_stays_above_all_edges() -> None:
    merged = merge_histograms(make_histogram([1, 2], [1, 5, 5]), make_histogram([1, 2, 10], [1, 5]))
    assert merged.cumulative == (2.0, 2.0, 3.0)
    assert merged.count == 5.0


def test_histogram_without_observations_changes_nothing_not_even_edges() -> None:
    full, empty = make_histogram(EDGES, [0.3, 0.4]), make_count(0.0)
    assert merge_histograms(full, empty) == merge_histograms(empty, full) == full


def test_histogram_without_a_shape_takes_the_shape_away() -> None:
    assert merge_histograms(make_histogram(EDGES, [0.3]), make_count(2.0, 1.0)) == make_count(3.0, 1.3)


def test_merging_does_not_depend_on_order() -> None:
    one, other = make_histogram([1, 2, 5], draw(6, 50)), make_histogram([2, 4], draw(7, 70))
    assert merge_histograms(one, other) == merge_histograms(other, one)


# --- attained share ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("target", EDGES)
def test_attained_share_is_exact_on_an_edge(target: float) -> None:
    values = draw(8, 500)
    attained = compute_attained_ratio(make_histogram(EDGES, values), target)
    assert attained.value == sum(value <= target for value in values) / 500


def test_attained_share_between_edges_lies_between_theirs_and_grows() -> None:
    histogram = make_histogram(EDGES, draw(9, 500))
    shares = [compute_attained_ratio(histogram, target).value or 0.0 for target in np.linspace(0.0, 5.0, 200)]
    assert shares == sorted(shares)
    assert shares[0] == 0.0


def test_attained_share_above_the_last_edge_is_a_lower_bound() -> None:
    assert compute_attained_ratio(make_histogram([1, 2], [0.5, 3.0]), 100.0).value == 0.5


@pytest.mark.parametrize("histogram", [make_count(0.0), make_histogram(EDGES, []), make_count(9.0, 4.0)])
def test_attained_share_of_nothing_is_absent(histogram: HistogramReading) -> None:
    reason = compute_attained_ratio(histogram, 1.0).reason
    assert reason is not None
    assert reason.code is ReasonCode.NO_DATA


def test_lowest_bucket_may_begin_at_its_edge() -> None:
    histogram = make_histogram([0.0, 1.0], [0.0, 0.0, 0.5])
    assert [interpolate_count(histogram, value) for value in (0.0, 0.5, 1.0, 2.0)] == [2.0, 2.5, 3.0, 3.0]


# --- quantiles --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9, 0.95, 0.99])
def test_quantile_lies_in_the_bucket_of_the_true_one(ratio: float) -> None:
    values = draw(10, 2000)
    quantile = compute_quantile(make_histogram(EDGES, values), ratio).value
    true = sorted(values)[math.ceil(ratio * 2000) - 1]
    assert quantile is not None
    low, high = max([0.0, *(edge for edge in EDGES if edge < true)]), min(edge for edge in EDGES if edge >= true)
    assert low <= quantile <= high


@pytest.mark.parametrize("ratio", [0.03, 0.25, 0.5, 0.77, 0.97])
def test_quantile_is_the_inverse_of_the_attained_share(ratio: float) -> None:
    histogram = make_histogram(EDGES, draw(11, 700))
    quantile = compute_quantile(histogram, ratio).value
    assert quantile is not None
    assert compute_attained_ratio(histogram, quantile).value == pytest.approx(ratio)


def test_quantile_above_the_last_edge_is_infinite() -> None:
    assert compute_quantile(make_histogram([1.0], [0.5] * 80 + [9.0] * 20), 0.9).value == math.inf


@pytest.mark.parametrize("ratio, enough", [(0.5, 6), (0.9, 30), (0.95, 30), (0.99, 100)])
def test_quantile_needs_observations_enough(ratio: float, enough: int) -> None:
    assert compute_quantile(make_histogram(EDGES, [0.3] * enough), ratio).is_known
    reason = compute_quantile(make_histogram(EDGES, [0.3] * (enough - 1)), ratio).reason
    assert reason is not None
    assert reason.code is ReasonCode.FEW_SAMPLES


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.5, 95.0, math.nan])
def test_quantile_outside_the_open_unit_interval_is_a_wrong_call(ratio: float) -> None:
    with pytest.raises(InvalidInput, match="ratio must be > 0 and < 1"):
        compute_quantile(make_histogram(EDGES, [0.3] * 200), ratio)
