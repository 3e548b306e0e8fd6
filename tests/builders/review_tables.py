"""What a cluster in memory says about callers: whose token it is, and who may do what, from two tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.builders.fake_kube_api import FakeKubeApi

Json = Mapping[str, Any]


class ReviewTables:
    """Answers TokenReviews and SubjectAccessReviews of `api`.

    Attributes
    ----------
    users
        ``status.user`` by token.
    is_allowed
        Judges the spec of a SubjectAccessReview.
    asked
        Every spec that was answered, in order.
    """

    def __init__(self, api: FakeKubeApi) -> None:
        self.api = api
        self.users: dict[str, Json] = {}
        self.is_allowed: Callable[[Json], bool] = lambda _spec: False
        self.asked: list[Json] = []
        api.reviewers["TokenReview"] = self._review_token
        api.reviewers["SubjectAccessReview"] = self._review_access

    @property
    def accesses(self) -> list[Json]:
        return [spec for spec in self.asked if "token" not in spec]

    @property
    def tokens(self) -> list[str]:
        return [spec["token"] for spec in self.asked if "token" in spec]

    def _review_token(self, body: Json) -> dict[str, Any]:
        self.asked.append(body["spec"])
        user = self.users.get(body["spec"]["token"])
        return {"authenticated": False, "error": "no"} if user is None else {"authenticated": True, "user": user}

    def _review_access(self, body: Json) -> dict[str, Any]:
        self.asked.append(body["spec"])
        allowed = self.is_allowed(body["spec"])
        return {"allowed": allowed, "reason": "by a rule" if allowed else "no rule allows it"}
