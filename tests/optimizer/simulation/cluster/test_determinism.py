"""The same seed gives the same bytes in any process, and the same decisions on any vector unit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]
SCRIPT = """
import json
from optimizer.simulation.cluster import *
from optimizer.simulation.deciders.slo import make_slo
from tests.builders.simulated_clusters import *
a, b = make_variant("a"), make_variant("b", accelerator="L40S", startup_s=60.0)
requests = make_changing_requests([(2.0, 60.0), (30.0, 90.0), (3.0, 250.0)])
plant = Plant(LAW, LIMITS, startup=StartupTime(60.0, 150.0))
scenario = make_scenario(requests, 400.0, variants=(a, b), plant=plant, quota={"H100": 3})
options = ClusterOptions(scrape=ScrapeOptions(loss_ratio=0.1), start=StartOptions(failure_ratio=0.2, image_pull_s=20.0))
result = simulate(scenario, make_slo(scenario.to_settings()), options, seed=5)
print(json.dumps({
    "digest": result.to_digest(), "cost": result.cost, "endings": [int(n) for n in result.endings.values()],
    "decisions": [(c.time_s, c.key.variant, c.replicas) for c in result.decisions],
    "latencies": sum(result.columns.ttlt_s),
}))
"""


ENVIRONMENTS = {
    "first": {"PYTHONHASHSEED": "0"},
    "second": {"PYTHONHASHSEED": "4711"},
    "older": {
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL",
        "OPENBLAS_CORETYPE": "Nehalem",
        "PYTHONHASHSEED": "1",
    },
}


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    """Return what each of three processes, run at the same time, found."""
    started = {
        name: subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
        )
        for name, environment in ENVIRONMENTS.items()
    }
    return {name: json.loads(process.communicate(timeout=120)[0]) for name, process in started.items()}


def test_two_processes_with_different_hashes_give_the_same_bytes(answers: dict[str, dict[str, Any]]) -> None:
    assert answers["second"] == answers["first"]
    assert len(answers["first"]["decisions"]) > 4


def test_older_vector_units_and_another_blas_decide_the_same(answers: dict[str, dict[str, Any]]) -> None:
    first, other = answers["first"], answers["older"]
    assert other["decisions"] == first["decisions"]
    assert other["endings"] == first["endings"]
    assert other["cost"] == pytest.approx(first["cost"], abs=1e-9)
    assert other["latencies"] == pytest.approx(first["latencies"], rel=1e-9)
