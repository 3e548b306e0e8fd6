"""How the cluster is asked: many questions at a time, and failures kept as answers. It judges nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from adapter.doctor.finding import Check, Finding, cannot_tell
from adapter.errors import AdapterError, Denied
from adapter.kube.client import Json, KubeClient
from adapter.kube.resource import SUBJECT_ACCESS_REVIEWS, Resource

_AT_ONCE = 8

T = TypeVar("T")
R = TypeVar("R")


async def attempt(work: Awaitable[T]) -> T | AdapterError:
    """Return what `work` comes to, or why it came to nothing."""
    try:
        return await work
    except AdapterError as failure:
        return failure


async def ask_each(ask: Callable[[T], Awaitable[R]], items: Sequence[T]) -> list[R | AdapterError]:
    """Return for each of `items` what `ask` answers, or why there is no answer; some at a time."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask_one(item: T) -> R | AdapterError:
        async with gate:
            return await attempt(ask(item))

    return list(await asyncio.gather(*(ask_one(item) for item in items)))


async def list_items(
    client: KubeClient, resource: Resource, namespace: str | None = None, query: Mapping[str, str] | None = None
) -> tuple[Json, ...]:
    """Return the objects of `namespace`, or of all for None.

    Raises
    ------
    AdapterError
        When they cannot be listed.
    """
    return tuple((await client.list(resource, namespace, query=query)).get("items") or ())


async def list_everywhere(client: KubeClient, resource: Resource, namespaces: Sequence[str]) -> tuple[Json, ...]:
    """Return the objects of all of `namespaces`, () for the whole cluster.

    Raises
    ------
    AdapterError
        When those of one of them cannot be listed.
    """
    pages = [await list_items(client, resource, namespace) for namespace in namespaces or (None,)]
    return tuple(item for page in pages for item in page)


@dataclass(frozen=True, slots=True)
class Right:
    """What an account should be allowed to do.

    Attributes
    ----------
    user
        The account as the API server knows it, ``system:serviceaccount:NAMESPACE:NAME``.
    can
        In words.
    attributes
        As the API server is asked: ``resourceAttributes`` of a SubjectAccessReview.
    """

    user: str
    can: str
    attributes: Mapping[str, str]


async def ask_right(client: KubeClient, right: Right) -> bool:
    """Return whether the API server would let `right` be used; asking leaves nothing behind.

    Raises
    ------
    AdapterError
        When that cannot be asked.
    """
    namespace = right.user.split(":")[2]
    groups = ["system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    spec = {"user": right.user, "groups": groups, "resourceAttributes": dict(right.attributes)}
    body = {"apiVersion": SUBJECT_ACCESS_REVIEWS.api_version, "kind": SUBJECT_ACCESS_REVIEWS.kind, "spec": spec}
    status = (await client.create(SUBJECT_ACCESS_REVIEWS, None, body)).get("status") or {}
    return status.get("allowed") is True and status.get("denied") is not True


def tell_failure(check: Check, about: str, failure: AdapterError, *, right: str = "", message: str = "") -> Finding:
    """Return that a point could not be looked at.

    `right` is what the examiner lacks where access was denied, as ``kubectl auth can-i`` takes it; `message` stands in
    place of what the API server says.
    """
    remedy = f"you need this right: kubectl auth can-i {right}" if right and isinstance(failure, Denied) else ""
    return cannot_tell(check, about, message or str(failure), remedy)
