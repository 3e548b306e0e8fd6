"""Questions about callers: asked patiently but not for ever, in the cluster's own words."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.external_metrics.answers import StatusError
from adapter.external_metrics.identity import User
from adapter.external_metrics.reviews import Access, Reviews, to_access_review
from adapter.kube.reviews import KubeReviewer
from tests.builders.decisions import ManualClock
from tests.builders.review_tables import ReviewTables

LIST = Access("list", namespace="prod", resource="deployment_replicas")


async def test_a_silent_cluster_is_not_waited_for_longer_than_patience(
    reviews: ReviewTables, reviewer: KubeReviewer
) -> None:
    reviews.api.hang()
    asking = Reviews(reviewer, ManualClock(), patience_s=0.05)
    with pytest.raises(StatusError, match=r"whether 'bob' may list .* no answer within 0.05 s") as refusal:
        await asking.is_allowed(User("bob"), LIST)
    assert refusal.value.code == 503
    with pytest.raises(StatusError, match=r"who asks and did not say: no answer") as refusal:
        await asking.find_user("t0ken")
    assert "t0ken" not in str(refusal.value)


async def test_denials_count_as_long_as_permissions(reviews: ReviewTables, reviewer: KubeReviewer) -> None:
    clock = ManualClock()
    asking = Reviews(reviewer, clock)
    for _ in range(5):
        assert await asking.is_allowed(User("bob"), LIST) == (False, "no rule allows it")
        assert await asking.find_user("nobody's") is None
    assert len(reviews.asked) == 2
    clock.time_s += 10.1
    reviews.is_allowed = lambda _spec: True
    reviews.users["nobody's"] = {"username": "bob"}
    assert await asking.is_allowed(User("bob"), LIST) == (True, "by a rule")
    assert await asking.find_user("nobody's") == User("bob")


async def test_users_that_differ_in_anything_are_asked_about_apart(
    reviews: ReviewTables, reviewer: KubeReviewer
) -> None:
    asking = Reviews(reviewer, ManualClock())
    users = [
        User("bob"),
        User("bob", uid="1"),
        User("bob", groups=("a,b",)),
        User("bob", groups=("a", "b")),
        User("bob", extra=(("k", ("v",)),)),
    ]
    for user in users:
        await asking.is_allowed(user, LIST)
    for access in (Access("watch", namespace="prod", resource="deployment_replicas"), Access("list", resource="x")):
        await asking.is_allowed(users[0], access)
    assert len(reviews.asked) == 7


async def test_a_review_that_names_nobody_is_nobody(reviews: ReviewTables, reviewer: KubeReviewer) -> None:
    asking = Reviews(reviewer, ManualClock())
    said: tuple[dict[str, Any], ...] = ({}, {"username": ""}, {"username": 7}, {"username": "a", "extra": []})
    reviews.users = {str(number): user for number, user in enumerate(said)}
    assert await asking.find_user("0") is None
    assert await asking.find_user("1") is None
    assert await asking.find_user("2") is None
    assert await asking.find_user("3") == User("a")


def test_the_review_carries_what_is_known_and_no_more() -> None:
    user = User("bob", "7", ("dev",), (("k", ("v", "w")),))
    attributes = {
        "verb": "list",
        "group": "external.metrics.k8s.io",
        "version": "v1beta1",
        "resource": "deployment_replicas",
        "namespace": "prod",
    }
    assert to_access_review(user, LIST) == {
        "user": "bob",
        "uid": "7",
        "groups": ["dev"],
        "extra": {"k": ["v", "w"]},
        "resourceAttributes": attributes,
    }
    assert to_access_review(User("a"), Access("get", path="/apis")) == {
        "user": "a",
        "groups": [],
        "nonResourceAttributes": {"path": "/apis", "verb": "get"},
    }
