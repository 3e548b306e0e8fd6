"""The same seed gives the same bytes in any process, and the same decisions on any vector unit, whoever decides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from optimizer.simulation import deciders
from tests.builders.every_decider import DECIDERS

ROOT = Path(__file__).parents[4]
ENVIRONMENTS = {
    "first": {"PYTHONHASHSEED": "0"},
    "other hashes": {"PYTHONHASHSEED": "4711"},
    "older vector units": {"PYTHONHASHSEED": "1", "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL"},
    "another BLAS": {"PYTHONHASHSEED": "2", "OPENBLAS_CORETYPE": "Nehalem"},
}


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, dict[str, Any]]]:
    """Return what each of the processes, run at the same time, found of every scaler."""
    started = {
        name: subprocess.Popen(
            [sys.executable, "-m", "tests.builders.every_decider"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
        )
        for name, environment in ENVIRONMENTS.items()
    }
    return {name: json.loads(process.communicate(timeout=500)[0]) for name, process in started.items()}


def test_every_scaler_is_played() -> None:
    makers = {name.removeprefix("make_") for name in deciders.__all__ if name.startswith("make_")}
    assert makers <= DECIDERS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", DECIDERS)
def test_two_processes_with_different_hashes_give_the_same_bytes(name: str, answers: dict[str, Any]) -> None:
    assert answers["other hashes"][name] == answers["first"][name]
    assert answers["first"][name]["decisions"]


@pytest.mark.slow
def test_the_runs_that_were_compared_are_eventful(answers: dict[str, dict[str, dict[str, Any]]]) -> None:
    runs = answers["first"].values()
    assert all(run["lost_pages"] > 0 for run in runs)
    assert sum(run["failed_starts"] > 0 for run in runs) >= 10
    assert sum(run["changes"] > 3 for run in runs) >= 10
    assert len({run["digest"] for run in runs}) > len(DECIDERS) - 6


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["older vector units", "another BLAS"])
@pytest.mark.parametrize("name", DECIDERS)
def test_older_vector_units_and_another_blas_decide_the_same(
    name: str, environment: str, answers: dict[str, Any]
) -> None:
    first, other = answers["first"][name], answers[environment][name]
    assert other["decisions"] == first["decisions"]
    assert other["endings"] == first["endings"]
    assert other["cost"] == pytest.approx(first["cost"], abs=1e-9)
