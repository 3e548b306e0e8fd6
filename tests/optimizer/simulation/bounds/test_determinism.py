"""Another process, other hashes, older vector units and another BLAS give the same bounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
SCRIPT = """
import json
import numpy as np
from optimizer.simulation.bounds import compute_ladder, make_bound_cases, make_step_problem
from optimizer.solver.clairvoyant import solve_clairvoyant
from tests.builders.simulated_clusters import *
a, b = make_variant("a"), make_variant("b", accelerator="L40S", startup_s=60.0)
chance = np.random.default_rng(3)
times_s = np.sort(chance.random(4000)) * 600.0
requests = Requests.from_columns(times_s, chance.integers(1, 3000, 4000), chance.integers(1, 300, 4000))
(case,) = make_bound_cases(make_scenario(requests, 600.0, variants=(a, b)), period_s=15.0)
ladder = compute_ladder(case, 0.97)
path = solve_clairvoyant(make_step_problem(case)[0], with_path=True).path
print(json.dumps({"rungs": [(rung.name, rung.cost, rung.states, rung.steps) for rung in ladder.rungs],
                  "path": path.tolist()}))
"""
ENVIRONMENTS = (
    {"PYTHONHASHSEED": "0"},
    {
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL",
        "OPENBLAS_CORETYPE": "Nehalem",
        "PYTHONHASHSEED": "4711",
    },
)


def test_every_environment_gives_the_same_ladder() -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
        )
        for environment in ENVIRONMENTS
    ]
    first, other = (json.loads(process.communicate(timeout=120)[0]) for process in started)
    assert other["path"] == first["path"]
    assert len(first["rungs"]) == 6
    for mine, theirs in zip(first["rungs"], other["rungs"], strict=True):
        assert (mine[0], *mine[2:]) == (theirs[0], *theirs[2:])
        assert mine[1] == pytest.approx(theirs[1], rel=1e-9)
