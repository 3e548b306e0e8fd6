"""A healthy cluster in memory, for each test to break in one place."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.builders.doctor_stage import DoctorStage, open_doctor_stage


@pytest.fixture
async def stage() -> AsyncIterator[DoctorStage]:
    async with open_doctor_stage() as opened:
        yield opened
