"""Points the suite at an adapter: options or environment variables name one, else ours is opened for each test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from tests.contract.external_metrics.adapter_under_test import AdapterUnderTest, Target, open_our_own, open_target

OPTIONS = {
    "url": "base URL of the adapter, such as https://localhost:6443",
    "ca": "file with the authorities that vouch for its certificate (default: the system's)",
    "server-name": "the name in its certificate, where that is not the one in the URL",
    "token": "bearer token of somebody who may read everything, or @FILE (default: it asks for none)",
    "series": "NAMESPACE/DEPLOYMENT about which it has a number (default: what needs one is skipped)",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("contract", "contract of the external metrics API; also as ADAPTER_URL and the like")
    for name, words in OPTIONS.items():
        group.addoption(f"--adapter-{name}", default=None, help=words)


@pytest.fixture
async def adapter(request: pytest.FixtureRequest) -> AsyncIterator[AdapterUnderTest]:
    def read(name: str) -> str:
        word = f"adapter-{name}".replace("-", "_")
        option = request.config.getoption(word, default=None)  # unknown where another folder is collected too
        return str(option or os.environ.get(word.upper(), ""))

    target = Target(read("url"), read("ca"), read("server-name"), read("token"), read("series"))
    async with open_target(target) if target.url else open_our_own() as opened:
        yield opened


@pytest.fixture
def series(adapter: AdapterUnderTest) -> AdapterUnderTest:
    """The adapter, with a workload about which it has a number."""
    if not adapter.deployment:
        pytest.skip("no series is named: --adapter-series NAMESPACE/DEPLOYMENT")
    return adapter
