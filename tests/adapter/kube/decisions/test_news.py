"""Which changes of a status are worth an event, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.cluster import Trouble
from adapter.kube.decisions.news import News, list_news, tell_trouble
from optimizer.domain import Reason, ReasonCode, WorkloadRef

STATUS: dict[str, Any] = {
    "plannedReplicas": 3,
    "reason": {"code": "Steady", "message": "3 replicas"},
    "modelReason": {"code": "Steady", "message": "need 7/s"},
    "conditions": [
        {"type": "Fresh", "status": "True", "reason": "Steady", "message": "all is seen"},
        {"type": "Following", "status": "True", "reason": "Followed", "message": "hpa follows"},
        {"type": "Troubled", "status": "False", "reason": "Steady", "message": ""},
    ],
    "obstacles": [],
}


def turn(name: str, status: str, message: str = "because", **fields: Any) -> dict[str, Any]:
    others = [entry for entry in STATUS["conditions"] if entry["type"] != name]
    changed = {"type": name, "status": status, "reason": "Stale", "message": message}
    return {**STATUS, "conditions": [*others, changed], **fields}


def test_the_first_decision_is_no_news_where_all_is_well() -> None:
    assert list_news({}, STATUS) == ()


def test_the_same_again_is_no_news() -> None:
    assert list_news(STATUS, STATUS) == ()


def test_a_plan_that_changes_is_told_with_old_and_new_number() -> None:
    after = {**STATUS, "plannedReplicas": 0, "reason": {"code": "ScaleToZero", "message": "3 -> 0"}}
    assert list_news(STATUS, after) == (News("ScaleToZero", "planned replicas 3 -> 0: need 7/s", "Decide"),)


def test_a_bound_that_begins_to_cost_something_is_told_once() -> None:
    bound = {**STATUS, "reason": {"code": "BoundBinds", "message": "3 replicas: the lower bound"}}
    assert list_news(STATUS, bound) == (News("BoundBinds", "3 replicas: the lower bound", "Decide"),)
    assert list_news(bound, bound) == list_news(bound, STATUS) == ()


def test_a_plan_in_shadow_says_that_nothing_acts_on_it() -> None:
    override = {"mode": "shadow", "source": "annotation"}
    (news,) = list_news({**STATUS, "override": override}, {**STATUS, "override": override, "plannedReplicas": 5})
    assert news.message.startswith("in shadow, nothing acts on it: planned replicas 3 -> 5")


def test_an_override_is_told_with_who_and_until_when_and_when_it_ends() -> None:
    override = {"mode": "pin", "replicas": 4, "by": "ada", "until": "2026-11-21T05:33:34Z", "source": "annotation"}
    (begun,) = list_news(STATUS, {**STATUS, "override": override})
    assert begun == News("Pinned", "overridden: pin=4 by ada until 2026-11-21T05:33:34Z, annotation", "Override")
    (ended,) = list_news({**STATUS, "override": override}, STATUS)
    assert ended.reason == "OverrideEnded"


def test_a_condition_that_falls_is_a_warning_and_one_that_recovers_is_none() -> None:
    (fallen,) = list_news(STATUS, turn("Fresh", "False"))
    assert fallen == News("Stale", "Fresh is False: because", "Judge", is_warning=True)
    (recovered,) = list_news(turn("Fresh", "False"), STATUS)
    assert (recovered.reason, recovered.is_warning) == ("Steady", False)


@pytest.mark.parametrize("before, after", [("True", "Unknown"), ("Unknown", "True"), ("False", "Unknown")])
def test_a_condition_that_is_merely_not_known_is_no_news(before: str, after: str) -> None:
    assert list_news(turn("Fresh", before), turn("Fresh", after)) == ()


def test_what_is_wrong_from_the_beginning_is_news() -> None:
    (news,) = list_news({}, turn("Fresh", "False"))
    assert news.is_warning


def test_the_remedy_of_not_following_is_in_the_event_and_new_obstacles_are_news() -> None:
    tolerance = {"code": "ToleranceAboveZero", "message": "steps are lost", "remedy": "a:\n  b: 0"}
    limit = {"code": "MaxReplicasBelowPlan", "message": "too few", "remedy": "maxReplicas: 9"}
    once = turn("Following", "False", obstacles=[tolerance])
    twice = turn("Following", "False", obstacles=[limit, tolerance])
    (news,) = list_news(STATUS, once)
    assert news.message == "Following is False: because\na:\n  b: 0"
    assert list_news(once, once) == ()
    (more,) = list_news(once, twice)
    assert "maxReplicas: 9" in more.message


def test_troubles_are_told_by_themselves_not_by_their_condition() -> None:
    assert list_news(STATUS, turn("Troubled", "True")) == ()
    trouble = Trouble(WorkloadRef("prod", "llama"), Reason(ReasonCode.BAD_ANNOTATION, "cost is no number"), "write 1.5")
    assert tell_trouble(trouble) == News("BadAnnotation", "cost is no number; write 1.5", "Discover", is_warning=True)


def test_what_every_start_passes_through_is_told_without_a_warning() -> None:
    first = turn("Fresh", "False")
    first["conditions"][-1]["reason"] = "FirstReading"
    unread = turn("Following", "False", obstacles=[{"code": "CannotRead", "message": "no metric yet"}])
    for start in (first, unread):
        assert [news.is_warning for news in list_news({}, start)] == [False]
        assert [news.is_warning for news in list_news(STATUS, start)] == [True]


def test_what_is_wrong_beside_a_start_is_a_warning() -> None:
    obstacles = [{"code": "CannotRead", "message": "no metric yet"}, {"code": "NoFollower", "message": "none"}]
    assert [news.is_warning for news in list_news({}, turn("Following", "False", obstacles=obstacles))] == [True]
