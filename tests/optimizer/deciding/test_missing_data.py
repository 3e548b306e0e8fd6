"""Whoever proposes: what is not known never takes replicas away, while nothing being asked does."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders.told_fleet import OPTIONS, Fleet, make_served

SEEN, BLIND = 14, 9


def settle(fleet: Fleet, offered: float, stream: np.random.Generator) -> dict[str, int]:
    """Return what is published once a fleet, which follows the numbers, is asked for the worth of `offered`."""
    published: dict[str, int] = {}
    for _ in range(SEEN):
        published = fleet.pass_by(min(offered / max(len(fleet.pods), 1), 1.0), frozenset(), stream, offered)
        fleet.counts = dict(published)
    return published


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("gateway", [False, True])
@pytest.mark.parametrize("case", OPTIONS)
def test_nothing_is_taken_away_while_no_page_tells_anything(case: str, gateway: bool, seed: int) -> None:
    stream = np.random.default_rng(seed)
    fleet, offered = Fleet(make_served(case, gateway=gateway), {"one": 3, "two": 2}), float(stream.uniform(2.0, 6.0))
    published = settle(fleet, offered, stream)
    assert sum(published.values()) >= 2
    for _ in range(BLIND):
        now = fleet.pass_by(0.0, frozenset(fleet.pods), stream, offered)
        assert all(now[variant] >= published[variant] for variant in now), (fleet.now_s, published, now)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("gateway", [False, True])
@pytest.mark.parametrize("case", OPTIONS)
def test_a_variant_of_which_a_pod_tells_nothing_keeps_what_it_has(case: str, gateway: bool, seed: int) -> None:
    stream = np.random.default_rng(100 + seed)
    fleet, offered = Fleet(make_served(case, gateway=gateway), {"one": 3, "two": 2}), float(stream.uniform(2.0, 6.0))
    published = settle(fleet, offered, stream)
    hidden = frozenset(stream.choice(fleet.pods, size=int(stream.integers(1, len(fleet.pods) + 1)), replace=False))
    for _ in range(BLIND):
        now = fleet.pass_by(0.0, hidden, stream, offered)  # the others are idle
        for variant in {pod.split("-")[0] for pod in hidden}:
            assert now[variant] >= published[variant], (fleet.now_s, hidden, published, now)


@pytest.mark.parametrize("case", sorted(OPTIONS.keys() - {"slo"}))
def test_a_gateway_that_counts_nothing_takes_nothing_away_from_pods_that_tell_nothing(case: str) -> None:
    stream = np.random.default_rng(5)
    fleet = Fleet(make_served(case, gateway=True), {"one": 3, "two": 2})
    published = settle(fleet, 5.0, stream)
    hidden = frozenset({"one-0"})
    for _ in range(2 * BLIND):
        assert fleet.pass_by(0.0, hidden, stream, 0.0)["one"] >= published["one"]


@pytest.mark.parametrize("case", OPTIONS)
def test_nothing_being_asked_is_known_and_takes_all_but_one_away(case: str) -> None:
    stream = np.random.default_rng(7)
    fleet = Fleet(make_served(case), {"one": 6, "two": 2})
    for _ in range(8):
        published = fleet.pass_by(1.0, frozenset(), stream)
    begin = sum(published.values())
    for _ in range(60):
        published = fleet.pass_by(0.0, frozenset(), stream)
        fleet.counts = dict(published)
    assert begin >= 4
    assert 1 <= sum(published.values()) <= 2
