"""What every test may ask for. Fixtures of one room stand in the conftest of its folder."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the data carried for tests: pages, recordings, vectors, traces, each with its source."""
    return Path(__file__).resolve().parent / "data"
