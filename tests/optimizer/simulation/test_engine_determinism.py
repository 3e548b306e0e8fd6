"""A play comes out the same to the last bit in every process, whatever the CPU can do."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from optimizer.domain import IterationTable
from optimizer.simulation import EngineLimits, EngineRequest, NoisyStepTime, TokenEngine, make_step_time
from tests.builders.engine_plays import list_figures, play

TABLE = IterationTable(
    batches=(1.0, 3.0, 7.0),
    contexts_tokens=(20.0, 75.5, 110.0, 160.0),
    decode_s=((0.010, 0.011, 0.013, 0.02), (0.012, 0.012, 0.019, 0.03), (0.02, 0.02, 0.05, 0.08)),
    prompts_tokens=(16.0, 64.0, 100.0),
    prefill_s=(0.011, 0.013, 0.02),
)
ENVIRONMENTS = {
    "another hash seed": {"PYTHONHASHSEED": "12345"},
    "an old CPU": {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL", "OPENBLAS_CORETYPE": "Nehalem"},
    "an old libm": {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX"},
}


def digest() -> str:
    """Return a fingerprint of a noisy play short of blocks, drawn from integers only."""
    generator = np.random.default_rng(8)
    gaps, inputs, outputs = generator.integers(1, 120, (3, 300)).tolist()
    requests, arrival_ms = [], 0
    for number, (gap, input_tokens, output_tokens) in enumerate(zip(gaps, inputs, outputs, strict=True)):
        arrival_ms += gap
        requests.append(EngineRequest(f"r{number}", arrival_ms / 1000, input_tokens, output_tokens))
    limits = EngineLimits(kv_capacity_tokens=16 * 41, max_running_requests=8, max_batched_tokens=64)
    engine = TokenEngine(NoisyStepTime(make_step_time(TABLE, 1.3), 0.25, np.random.default_rng(3)), limits)
    _, ended = play(engine, requests)
    return hashlib.sha256(repr((list_figures(engine), ended)).encode()).hexdigest()


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_a_play_is_the_same_in_another_process(environment: dict[str, str]) -> None:
    found = subprocess.run(
        [sys.executable, "-W", "ignore", __file__],
        env={**os.environ, "PYTHONPATH": os.getcwd(), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert found.stdout.strip() == digest()


if __name__ == "__main__":
    print(digest())
