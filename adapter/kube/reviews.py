"""Asks the cluster who a token belongs to and what somebody may do. It remembers nothing and decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapter.clock import Clock
from adapter.errors import BadDocument, Unreachable
from adapter.kube.backoff import Backoff
from adapter.kube.client import Json, KubeClient
from adapter.kube.resource import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS, Resource

_ATTEMPTS = 3


class KubeReviewer:
    """Carries reviews to the API server; what can be asked again is asked again, for a connection may just have ended.

    Our account needs ``create`` on tokenreviews and subjectaccessreviews (ClusterRole ``system:auth-delegator``).
    """

    def __init__(self, client: KubeClient, clock: Clock) -> None:
        self._client, self._clock = client, clock

    async def review_token(self, token: str) -> Mapping[str, Any] | None:
        """Return ``status.user`` of the TokenReview of `token`, None when it is nobody's.

        Raises
        ------
        AdapterError
            When there is no answer.
        """
        status = await self._review(TOKEN_REVIEWS, {"token": token})
        user = status.get("user")
        if status.get("authenticated") is not True:
            return None
        if not isinstance(user, dict):
            raise BadDocument("a TokenReview names no user")
        return user

    async def review_access(self, spec: Mapping[str, Any]) -> tuple[bool, str]:
        """Return whether the SubjectAccessReview `spec` is allowed, and the reason given, "" for none.

        Raises
        ------
        AdapterError
            When there is no answer.
        """
        status = await self._review(SUBJECT_ACCESS_REVIEWS, spec)
        allowed = status.get("allowed") is True and status.get("denied") is not True
        return allowed, str(status.get("reason") or status.get("evaluationError") or "")

    async def _review(self, resource: Resource, spec: Mapping[str, Any]) -> Json:
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "spec": dict(spec)}
        backoff = Backoff(resource.plural, first_s=0.1, longest_s=1.0)
        for attempt in range(_ATTEMPTS):
            try:
                answer = await self._client.create(resource, None, body)
                break
            except Unreachable:
                if attempt == _ATTEMPTS - 1:
                    raise
                await self._clock.sleep(backoff.get_wait_s(self._clock.now_s()))
        status = answer.get("status")
        if not isinstance(status, dict):
            raise BadDocument(f"a {resource.kind} came back without a status")
        return status
