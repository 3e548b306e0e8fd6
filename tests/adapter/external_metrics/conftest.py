"""A cluster that says who somebody is, and our API that asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapter.clock import ScaledClock
from adapter.kube.reviews import KubeReviewer
from tests.builders.fake_kube_api import open_fake_kube_api
from tests.builders.review_tables import ReviewTables
from tests.builders.secured_api import SecuredApi, open_secured_api


@pytest.fixture
async def reviews() -> AsyncIterator[ReviewTables]:
    async with open_fake_kube_api() as api:
        yield ReviewTables(api)


@pytest.fixture
async def reviewer(reviews: ReviewTables) -> AsyncIterator[KubeReviewer]:
    async with reviews.api.open_client() as client:
        yield KubeReviewer(client, ScaledClock.starting_now(100.0))


@pytest.fixture
async def secured(reviewer: KubeReviewer) -> AsyncIterator[SecuredApi]:
    async with open_secured_api(reviewer) as api:
        yield api
