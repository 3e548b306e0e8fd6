"""What is asked of the cluster about a caller, and what is remembered of the answers. Others carry the questions out.

Defaults are those of Kubernetes' own servers: answers count for 10 s, and are waited for as long.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from adapter.clock import Clock
from adapter.errors import AdapterError, BadDocument
from adapter.external_metrics import wire
from adapter.external_metrics.answers import StatusError
from adapter.external_metrics.identity import User, decode_user
from adapter.external_metrics.shared_cache import SharedCache
from adapter.telemetry import log_event

ANSWER_COUNTS_S = 10.0
PATIENCE_S = 10.0


class Reviewer(Protocol):
    """Asks the cluster. Every method raises `AdapterError` when no answer can be had."""

    async def review_token(self, token: str) -> Mapping[str, Any] | None:
        """Return ``status.user`` of a TokenReview, None when the token is nobody's."""
        ...

    async def review_access(self, spec: Mapping[str, Any]) -> tuple[bool, str]:
        """Return whether the SubjectAccessReview `spec` is allowed, and the reason given, "" for none."""
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """What somebody wants to do.

    Attributes
    ----------
    verb
        As in RBAC.
    path
        For what is no resource, else "".
    namespace, resource
        For metrics: the namespace, "" for none, and the metric's name.
    """

    verb: str
    path: str = ""
    namespace: str = ""
    resource: str = ""

    def __str__(self) -> str:
        """Return it in words, as refusals show it."""
        if self.path:
            return f"{self.verb} path {self.path}"
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} resource {self.resource!r} in API group {wire.GROUP!r}{where}"


class Reviews:
    """Asks a `Reviewer`, at most once for the same thing within 10 s.

    Parameters
    ----------
    patience_s
        How long an answer is waited for [s].
    """

    def __init__(self, reviewer: Reviewer, clock: Clock, *, patience_s: float = PATIENCE_S) -> None:
        self._reviewer, self._patience_s = reviewer, patience_s
        self._users: SharedCache[bytes, User | None] = SharedCache(clock, ANSWER_COUNTS_S)
        self._accesses: SharedCache[tuple[User, Access], tuple[bool, str]] = SharedCache(clock, ANSWER_COUNTS_S)

    async def find_user(self, token: str) -> User | None:
        """Return whose `token` it is, None when nobody's.

        Raises
        ------
        StatusError
            503 when nobody can tell.
        """
        key = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()  # the token itself is kept nowhere
        return await self._users.get(key, lambda: self._ask_user(token))

    async def is_allowed(self, user: User, access: Access) -> tuple[bool, str]:
        """Return whether `user` may do `access`, and the reason given.

        Raises
        ------
        StatusError
            503 when nobody can tell.
        """
        return await self._accesses.get((user, access), lambda: self._ask_access(user, access))

    async def _ask_user(self, token: str) -> User | None:
        try:
            async with asyncio.timeout(self._patience_s):
                document = await self._reviewer.review_token(token)
            return None if document is None else decode_user(document)
        except BadDocument:
            return None
        except (AdapterError, TimeoutError) as cause:
            raise self._to_outage("who asks", cause) from cause

    async def _ask_access(self, user: User, access: Access) -> tuple[bool, str]:
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._reviewer.review_access(to_access_review(user, access))
        except (AdapterError, TimeoutError) as cause:
            raise self._to_outage(f"whether {user.name!r} may {access}", cause) from cause

    def _to_outage(self, question: str, cause: Exception) -> StatusError:
        why = str(cause) or f"no answer within {self._patience_s:g} s"
        log_event("review_failed", level="warning", question=question, why=why)
        return StatusError(
            HTTPStatus.SERVICE_UNAVAILABLE, f"the Kubernetes API was asked {question} and did not say: {why}"
        )


def to_access_review(user: User, access: Access) -> dict[str, Any]:
    """Return the spec of the SubjectAccessReview that asks whether `user` may do `access`."""
    spec: dict[str, Any] = {"user": user.name, "groups": list(user.groups)}
    if user.uid:
        spec["uid"] = user.uid
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in user.extra}
    if access.path:
        return {**spec, "nonResourceAttributes": {"path": access.path, "verb": access.verb}}
    attributes = {
        "verb": access.verb,
        "group": wire.GROUP,
        "version": wire.VERSION,
        "resource": access.resource,
        **({"namespace": access.namespace} if access.namespace else {}),
    }
    return {**spec, "resourceAttributes": attributes}
