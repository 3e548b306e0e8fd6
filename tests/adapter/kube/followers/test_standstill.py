"""Who stands still whatever our number says, and for how long before that counts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from adapter.cluster import ClusterView, Follower, FollowerKind, Obstacle, Standstill, VariantFacts
from adapter.inventory import Inventory, WorkloadEntry
from adapter.kube.followers import LASTS_AFTER_S, StandstillMemory, find_standstills
from optimizer.domain import WorkloadRef

A = WorkloadRef("chat", "a")
HPA, KEDA = FollowerKind.HPA, FollowerKind.KEDA


def find(
    requested: int | None,
    *followers: Follower,
    zeroed_by: Mapping[WorkloadRef, str] | None = None,
    minor: int = 37,
    patches_zero: bool = False,
) -> Standstill | None:
    entries = () if requested is None else (WorkloadEntry(A, requested, ()),)
    view = ClusterView(
        variants=(VariantFacts(A),),
        followers={A: followers} if followers else {},
        inventory=Inventory(entries),
    )
    found = find_standstills(view, zeroed_by or {}, kubernetes_minor=minor, patches_zero=patches_zero)
    return found.get(A)


def make_follower(kind: FollowerKind = HPA, least: int = 1, *codes: str, **given: object) -> Follower:
    obstacles = tuple(Obstacle(code, f"because of {code}") for code in codes)
    return Follower(kind, "a", A, least, 32, obstacles, is_active=True, **given)  # type: ignore[arg-type]


def test_what_is_followed_however_inexactly_moves() -> None:
    assert find(3, make_follower()) is None
    assert find(3, make_follower(HPA, 1, "ToleranceAboveZero", "SlowScaleUp", "MaxReplicasBelowPlan")) is None
    assert find(32, make_follower()) is None  # its bounds are told by themselves


def test_what_nobody_follows_stands_at_what_it_asks_for() -> None:
    found = find(3)
    assert found is not None
    assert (found.replicas, found.ends_with_scale) == (3, True)
    assert "no autoscaler reads the number" in found.message


@pytest.mark.parametrize("code", ["Paused", "ScaleUpDisabled"])
def test_an_autoscaler_that_adds_nothing_stands_still_even_where_we_may_patch(code: str) -> None:
    found = find(2, make_follower(KEDA, 0, code))
    assert found is not None
    assert (found.replicas, found.message, found.ends_with_scale) == (2, f"because of {code}", False)


def test_one_that_scales_by_something_else_may_add_replicas() -> None:
    assert find(2, make_follower(HPA, 1, "ReadsOtherMetrics", reads_our_number=False)) is None


def test_zero_by_hand_stands_still_and_only_a_person_ends_it() -> None:
    for followers in ((), (make_follower(),)):
        found = find(0, *followers, patches_zero=True)
        assert found is not None
        assert (found.replicas, found.ends_with_scale) == (0, False)


def test_zero_of_ours_or_of_an_autoscaler_is_left_by_whoever_may_leave_it() -> None:
    ours, theirs = {A: "us"}, {A: "hpa"}
    assert find(0, make_follower(), zeroed_by=ours, patches_zero=True) is None
    assert find(0, make_follower(HPA, 0, has_scaled_to_zero=True), zeroed_by=theirs) is None
    assert find(0, make_follower(KEDA, 0), zeroed_by={}) is None
    asleep = find(0, make_follower(), zeroed_by=ours)
    assert asleep is not None
    assert "cannot wake it" in asleep.message


def test_what_is_not_known_of_is_not_said_to_stand_still() -> None:
    assert find(None) is None


def test_a_standstill_counts_once_it_has_lasted_and_begins_anew_after_an_interruption() -> None:
    memory, found = StandstillMemory(), {A: Standstill(2, "nobody")}
    assert memory.keep_lasting(found, 100.0) == {}
    assert memory.keep_lasting(found, 100.0 + LASTS_AFTER_S - 1.0) == {}
    assert memory.keep_lasting(found, 100.0 + LASTS_AFTER_S) == found
    assert memory.keep_lasting({}, 200.0) == {}
    assert memory.keep_lasting(found, 201.0) == {}
