"""The part of the Kubernetes API that says who somebody is and what they may, over real HTTP, from two tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from kubernetes_asyncio.client import ApiClient, Configuration

from adapter.kube.client import KubeClient

Json = Mapping[str, Any]


@dataclass
class FakeReviewApi:
    """Answers TokenReviews and SubjectAccessReviews; `trouble` comes before either.

    Attributes
    ----------
    users
        ``status.user`` by token.
    is_allowed
        Judges the spec of a SubjectAccessReview.
    trouble
        None, ``hang`` (no answer), ``reset`` (the connection breaks once), or a status code.
    asked
        Every spec that came, in order.
    """

    users: dict[str, Json] = field(default_factory=dict)
    is_allowed: Callable[[Json], bool] = lambda _spec: False
    trouble: str | int | None = None
    asked: list[Json] = field(default_factory=list)
    url: str = ""

    @property
    def accesses(self) -> list[Json]:
        return [spec for spec in self.asked if "token" not in spec]

    @property
    def tokens(self) -> list[str]:
        return [spec["token"] for spec in self.asked if "token" in spec]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body["spec"])
        if self.trouble == "hang":
            await asyncio.Event().wait()
        if self.trouble == "reset":
            self.trouble = None
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(self.trouble, int):
            status = {"kind": "Status", "status": "Failure", "message": "in trouble", "code": self.trouble}
            return web.json_response(status, status=self.trouble)
        status = self._review_token(body) if "token" in body["spec"] else self._review_access(body)
        return web.json_response({**body, "status": status}, status=201)

    def _review_token(self, body: Json) -> Json:
        user = self.users.get(body["spec"]["token"])
        return {"authenticated": False, "error": "no"} if user is None else {"authenticated": True, "user": user}

    def _review_access(self, body: Json) -> Json:
        allowed = self.is_allowed(body["spec"])
        return {"allowed": allowed, "reason": "by a rule" if allowed else "no rule allows it"}


@asynccontextmanager
async def open_fake_review_api() -> AsyncIterator[FakeReviewApi]:
    api, app = FakeReviewApi(), web.Application()
    app.router.add_post("/apis/authentication.k8s.io/v1/tokenreviews", api.handle)
    app.router.add_post("/apis/authorization.k8s.io/v1/subjectaccessreviews", api.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield api
    finally:
        await runner.cleanup()


@asynccontextmanager
async def open_client_of(api: FakeReviewApi) -> AsyncIterator[KubeClient]:
    configuration = Configuration()
    configuration.host = api.url
    async with ApiClient(configuration) as client:
        yield KubeClient(client)
