from __future__ import annotations

import math

import pytest

from optimizer.errors import InvalidInput
from optimizer.policy.hpa_law import PodValues, propose_by_pods


@pytest.mark.parametrize(
    "values, target, current, expected",
    [
        ((5.0, 5.0), 5.0, 2, 2),
        ((11.0, 0.0), 5.0, 2, 2),  # 1.1 is within the band
        ((11.01, 0.0), 5.0, 2, 3),
        ((0.0, 0.0), 5.0, 2, 0),
        ((0.1, 0.1, 0.1), 0.1, 3, 3),
        ((0.1, 0.2), 0.1, 2, 3),  # 0.1 + 0.2 is not 0.30000000000000004 here
        ((100.0,), 5.0, 1, 20),
        ((9.0,), 5.0, 8, 2),  # fewer pods than the spec says, none missing: what they carry counts
    ],
)
def test_with_every_pod_heard_the_sum_over_the_target_is_asked_for(
    values: tuple[float, ...], target: float, current: int, expected: int
) -> None:
    assert propose_by_pods(PodValues(values), target, current) == expected


def test_nobody_heard_says_nothing() -> None:
    assert propose_by_pods(PodValues((), 3), 5.0, 3) is None


def test_who_is_missing_counts_as_busy_when_the_others_are_idle() -> None:
    assert propose_by_pods(PodValues((0.0, 0.0), 2), 5.0, 4) == 2
    assert propose_by_pods(PodValues((4.9, 4.9), 6), 5.0, 8) == 8  # within the band with them


def test_who_is_missing_counts_as_idle_when_the_others_are_busy() -> None:
    assert propose_by_pods(PodValues((20.0, 20.0), 2), 5.0, 4) == 8
    assert propose_by_pods(PodValues((6.0, 6.0), 2), 5.0, 4) == 4  # 1.2 without them, 0.6 with them: no direction


def test_who_is_missing_takes_nothing_away_where_the_others_are_on_target() -> None:
    assert propose_by_pods(PodValues((5.0,) * 5, 5), 5.0, 10) == 10
    assert propose_by_pods(PodValues((5.0,) * 5, 5), 5.0, 10, 0.0) == 10


def test_a_proposal_never_goes_against_its_direction() -> None:
    assert propose_by_pods(PodValues((12.0,), 1), 5.0, 8) == 8  # more is wanted, but of two pods
    assert propose_by_pods(PodValues((1.0,), 3), 5.0, 2) == 2  # less is wanted, of more pods than the spec has


def test_more_load_never_asks_for_fewer() -> None:
    for missing in (0, 1, 3):
        asked = [propose_by_pods(PodValues((load, load / 2), missing), 5.0, 2 + missing) for load in range(60)]
        assert all(entry is not None for entry in asked)
        assert sorted(entry for entry in asked if entry is not None) == asked


def test_it_never_asks_for_more_than_there_can_be() -> None:
    assert propose_by_pods(PodValues((1e12,)), 0.001, 1) == 2**31 - 1
    assert math.isfinite(propose_by_pods(PodValues((1e12,), 1), 0.001, 1) or 0)


def test_a_target_below_the_resolution_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"target must be >= 0\.001"):
        propose_by_pods(PodValues((1.0,)), 0.0001, 1)
