"""Helm for the tests that ask for it: at hand, or built once; they are slow, for quick tests need no Go."""

from __future__ import annotations

import os

import pytest

from tests.control_plane.unavailable import Unavailable
from tests.deploy.chart import Helm
from tests.deploy.helm_binary import find_helm


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and "helm" in item.fixturenames:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def helm(request: pytest.FixtureRequest) -> Helm:
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", flush=True)

    try:
        return Helm(find_helm(say))
    except Unavailable as reason:
        if os.environ.get("REQUIRE_CONTROL_PLANE") == "1":
            pytest.fail(f"REQUIRE_CONTROL_PLANE=1, but there is no Helm: {reason}", pytrace=False)
        pytest.skip(f"no Helm: {reason}")
