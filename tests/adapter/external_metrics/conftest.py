"""A cluster that says who somebody is, and our API that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapter.clock import ScaledClock
from adapter.kube.reviews import KubeReviewer
from tests.builders.fake_review_api import FakeReviewApi, open_client_of, open_fake_review_api
from tests.builders.secured_api import SecuredApi, open_secured_api


@pytest.fixture
async def reviews() -> AsyncIterator[FakeReviewApi]:
    async with open_fake_review_api() as api:
        yield api


@pytest.fixture
async def reviewer(reviews: FakeReviewApi) -> AsyncIterator[KubeReviewer]:
    async with open_client_of(reviews) as client:
        yield KubeReviewer(client, ScaledClock.starting_now(100.0))


@pytest.fixture
async def secured(reviewer: KubeReviewer) -> AsyncIterator[SecuredApi]:
    async with open_secured_api(reviewer) as api:
        yield api
