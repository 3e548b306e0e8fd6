"""Reviews as the API server takes them; what may be asked again is asked again."""

from __future__ import annotations

import pytest

from adapter.clock import ScaledClock
from adapter.errors import BadDocument, Denied, Unreachable
from adapter.kube.client import KubeClient
from adapter.kube.reviews import KubeReviewer
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.review_tables import ReviewTables

SPEC = {"user": "bob", "groups": [], "nonResourceAttributes": {"path": "/apis", "verb": "get"}}


@pytest.fixture
def reviewer(kube_client: KubeClient) -> KubeReviewer:
    return KubeReviewer(kube_client, ScaledClock.starting_now(1000.0))


async def test_tells_whose_a_token_is_and_what_somebody_may(kube_api: FakeKubeApi, reviewer: KubeReviewer) -> None:
    tables = ReviewTables(kube_api)
    tables.users["t"] = {"username": "bob", "groups": ["dev"]}
    tables.is_allowed = lambda spec: bool(spec == SPEC)
    assert await reviewer.review_token("t") == {"username": "bob", "groups": ["dev"]}
    assert await reviewer.review_token("u") is None
    assert await reviewer.review_access(SPEC) == (True, "by a rule")
    assert await reviewer.review_access({**SPEC, "user": "eve"}) == (False, "no rule allows it")


@pytest.mark.parametrize("code", [0, 429, 500, 503])
async def test_asks_again_when_nobody_answered(kube_api: FakeKubeApi, reviewer: KubeReviewer, code: int) -> None:
    ReviewTables(kube_api).is_allowed = lambda _spec: True
    kube_api.fail(code, times=2)
    assert (await reviewer.review_access(SPEC))[0]
    kube_api.fail(code)
    with pytest.raises(Unreachable):
        await reviewer.review_access(SPEC)
    assert kube_api.count("create") == 6


async def test_a_missing_right_of_ours_is_not_asked_about_twice(kube_api: FakeKubeApi, reviewer: KubeReviewer) -> None:
    kube_api.deny("create", "tokenreviews")
    with pytest.raises(Denied, match="tokenreviews"):
        await reviewer.review_token("t")
    assert kube_api.count("create") == 1


async def test_odd_answers_are_no_permission(kube_api: FakeKubeApi, reviewer: KubeReviewer) -> None:
    kube_api.reviewers["SubjectAccessReview"] = lambda _body: {"allowed": True, "denied": True, "evaluationError": "e"}
    assert await reviewer.review_access(SPEC) == (False, "e")
    kube_api.reviewers["SubjectAccessReview"] = lambda _body: {"allowed": "true"}
    assert await reviewer.review_access(SPEC) == (False, "")
    kube_api.reviewers["TokenReview"] = lambda _body: {"authenticated": True}
    with pytest.raises(BadDocument, match="names no user"):
        await reviewer.review_token("t")
