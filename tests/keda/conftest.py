"""Real KEDA for the tests that ask for it. They are run by ``-m keda`` only, and fail where it cannot be had."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.control_plane.cluster import Cluster
from tests.control_plane.conftest import cluster, control_plane
from tests.control_plane.toolchain import Say
from tests.control_plane.unavailable import Unavailable
from tests.deploy.conftest import helm
from tests.keda.build import KedaPrograms, find_keda
from tests.keda.installation import Keda, open_keda
from tests.keda.modules import fetch_module

__all__ = ["cluster", "control_plane", "helm"]  # fixtures of others

FetchModule = Callable[[str], Path]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.keda)
        item.add_marker(pytest.mark.slow)
    if "keda" not in config.getoption("markexpr"):
        items[:] = [item for item in items if item not in ours]
        config.hook.pytest_deselected(items=ours)


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Say:
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", flush=True)

    return say


@pytest.fixture(scope="session")
def keda_programs(say: Say) -> KedaPrograms:
    try:
        return find_keda(say)
    except Unavailable as reason:
        pytest.fail(f"no KEDA: {reason}", pytrace=False)


@pytest.fixture(scope="session")
def fetch(say: Say) -> FetchModule:
    """Fetches the source of a Go module."""

    def fetch(module: str) -> Path:
        try:
            return fetch_module(module, say)
        except Unavailable as reason:
            pytest.fail(f"no {module}: {reason}", pytrace=False)

    return fetch


@pytest.fixture
async def keda(cluster: Cluster, keda_programs: KedaPrograms, tmp_path: Path) -> AsyncIterator[Keda]:
    folder = tmp_path / "keda"
    folder.mkdir()
    async with open_keda(cluster, keda_programs, folder) as opened:
        yield opened
