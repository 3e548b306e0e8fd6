from __future__ import annotations

import numpy as np
import pytest

from optimizer.demand import compute_length_sums, estimate_lengths, merge_length_sums
from optimizer.domain import LengthSums
from tests.builders.readings import make_count, make_histogram

EDGES = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]


@pytest.mark.parametrize("log_mean, log_sd", [(4.5, 0.7), (6.5, 1.0), (3.0, 0.4)])
def test_moments_of_lengths_come_out_of_their_histogram(log_mean: float, log_sd: float) -> None:
    lengths = np.random.default_rng(1).lognormal(log_mean, log_sd, 5000).round().clip(1.0, EDGES[-1]).tolist()
    sums = compute_length_sums(make_histogram(EDGES, lengths))
    assert (sums.requests, sums.tokens) == (5000.0, sum(lengths))
    assert sums.squares_tokens2 == pytest.approx(sum(length**2 for length in lengths), rel=0.13)
    assert sum(sums.counts) == 5000.0


def test_equal_lengths_have_no_less_than_their_own_square() -> None:
    sums = compute_length_sums(make_histogram(EDGES, [100.0] * 10))
    assert sums.squares_tokens2 >= 10 * 100.0**2


def test_lengths_above_the_last_edge_are_as_long_as_the_total_leaves() -> None:
    sums = compute_length_sums(make_histogram([10, 20], [15.0] * 10 + [1000.0] * 10))
    assert sums.squares_tokens2 == pytest.approx(10 * 15.0**2 + 10 * 1000.0**2, rel=0.01)


def test_lengths_without_a_shape_are_taken_as_widely_spread() -> None:
    sums = compute_length_sums(make_count(10.0, 1000.0))
    assert sums == LengthSums(10.0, 1000.0, 2 * 10 * 100.0**2)
    distribution = estimate_lengths(sums)
    assert distribution is not None
    assert (distribution.mean_tokens, distribution.mean_square_tokens2) == (100.0, 20_000.0)
    assert distribution.edges_tokens == ()


def test_no_request_has_no_distribution() -> None:
    assert estimate_lengths(compute_length_sums(make_histogram(EDGES, []))) is None
    assert estimate_lengths(compute_length_sums(make_count(0.0))) is None


def test_distribution_is_normalized_and_exact_on_edges() -> None:
    lengths = list(np.random.default_rng(2).lognormal(5.0, 1.0, 1000).round())
    distribution = estimate_lengths(compute_length_sums(make_histogram(EDGES, lengths)))
    assert distribution is not None
    assert distribution.mean_tokens == pytest.approx(float(np.mean(lengths)))
    for edge, ratio in zip(distribution.edges_tokens, distribution.cumulative_ratio, strict=True):
        assert ratio == pytest.approx(sum(length <= edge for length in lengths) / 1000)


def test_sums_add_up_to_those_of_all_requests() -> None:
    generator = np.random.default_rng(3)
    one, other = (list(generator.lognormal(5.0, 0.8, 400).round()) for _ in range(2))
    merged = merge_length_sums(
        compute_length_sums(make_histogram(EDGES, one)), compute_length_sums(make_histogram(EDGES, other))
    )
    expected = compute_length_sums(make_histogram(EDGES, one + other))
    assert (merged.requests, merged.counts) == (expected.requests, expected.counts)
    assert merged.tokens == pytest.approx(expected.tokens)
    assert merged.squares_tokens2 == pytest.approx(expected.squares_tokens2, rel=0.05)


def test_servers_of_different_context_length_add_up() -> None:
    merged = merge_length_sums(
        compute_length_sums(make_histogram(EDGES[:11], [300.0] * 10)),
        compute_length_sums(make_histogram(EDGES, [300.0] * 10 + [4000.0] * 5)),
    )
    distribution = estimate_lengths(merged)
    assert merged.edges_tokens == tuple(map(float, EDGES))
    assert merged.counts[EDGES.index(500)] == 20.0
    assert merged.counts[EDGES.index(5000)] == 5.0
    assert distribution is not None
    assert distribution.cumulative_ratio[-1] == 1.0
