"""Whether who asks may have it: health is open, masters may do everything, the cluster is asked about all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from adapter.external_metrics import wire
from adapter.external_metrics.answers import StatusError
from adapter.external_metrics.authentication import CHALLENGE
from adapter.external_metrics.identity import User
from adapter.external_metrics.reviews import Access, Reviews

OPEN_PATHS = frozenset({"/livez", "/readyz", "/openapi/v2"})
"""Answered to everybody: health, and a "not found" that has to be exactly that, or API servers ask again and again."""

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


async def check_access(reviews: Reviews, user: User, access: Access) -> None:
    """Return when `user` may do `access`.

    Masters are not asked about, so that a broken way of asking does not take the whole API down: the checks of the API
    server come from one.

    Raises
    ------
    StatusError
        403 when not, 401 for nobody in particular, 503 when nobody can tell.
    """
    if user.is_master:
        return
    allowed, reason = await reviews.is_allowed(user, access)
    if allowed:
        return
    if user.is_anonymous:
        raise StatusError(HTTPStatus.UNAUTHORIZED, f"credentials are needed to {access}", CHALLENGE)
    because = f": {reason}" if reason else ""
    raise StatusError(HTTPStatus.FORBIDDEN, f"user {user.name!r} may not {access}{because}")


def to_access(
    method: str, path: str, parts: Sequence[str], route: Mapping[str, str], *, is_watch: bool = False
) -> Access:
    """Return what a request wants, in the terms in which Kubernetes authorizes it.

    Parameters
    ----------
    method, path
        As requested.
    parts
        Segments of the path, decoded one by one.
    route
        What the router took from the path: with ``namespace`` and ``metric`` they are what will be answered, so that
        nothing else is authorized than what is served.
    is_watch
        Whether the query asks to watch.

    Source
    ------
    Kubernetes, authorization overview: reading a collection is ``list``, one object ``get``; all else is a path.
    """
    verb = _VERBS.get(method, method.lower())
    reading = "watch" if is_watch else "list"
    if "metric" in route:
        return Access(reading, namespace=route["namespace"], resource=route["metric"])
    if tuple(parts[:3]) != ("apis", wire.GROUP, wire.VERSION) or len(parts) < 4:
        return Access(verb, path=path)
    namespace, rest = "", parts[3:]
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    return Access(reading if verb == "get" and len(rest) == 1 else verb, namespace=namespace, resource=rest[0])
