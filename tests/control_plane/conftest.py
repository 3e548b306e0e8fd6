"""A real control plane for the tests that ask for one; they are slow, and skipped where none can be had."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.control_plane.build import find_programs
from tests.control_plane.cluster import Cluster, open_cluster
from tests.control_plane.control_plane import ControlPlane, ControlPlaneOptions, open_control_plane
from tests.control_plane.kubernetes_version import read_wanted_version
from tests.control_plane.unavailable import Unavailable
from tests.deploy import conftest as deploy

helm = deploy.helm  # the same fixture


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and "control_plane" in item.fixturenames:
            item.add_marker(pytest.mark.control_plane)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    version = read_wanted_version()
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", flush=True)

    try:
        programs = find_programs(version, say)
    except Unavailable as reason:
        if os.environ.get("REQUIRE_CONTROL_PLANE") == "1":
            pytest.fail(f"REQUIRE_CONTROL_PLANE=1, but there is no control plane: {reason}", pytrace=False)
        pytest.skip(f"no control plane: {reason}")
    folder = tmp_path_factory.mktemp("control-plane")
    with open_control_plane(folder, programs, ControlPlaneOptions(version)) as opened:
        yield opened


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    async with open_cluster(control_plane) as opened:
        yield opened
