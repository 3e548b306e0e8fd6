"""Where the times of iterations come from, and the noise on them."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.domain import IterationLaw, IterationTable
from optimizer.errors import InvalidInput
from optimizer.simulation import EngineLimits, EngineRequest, NoisyStepTime, StepTime, TokenEngine, make_step_time
from optimizer.simulation.step_time import NOISE_ITERATIONS
from optimizer.simulation.ticks import TICKS_PER_S

LAW = IterationLaw(fixed_s=0.01, per_request_s=2e-4, per_context_token_s=3e-7, per_prompt_token_s=5e-5)
TABLE = IterationTable(
    batches=(1.0, 100.0),
    contexts_tokens=(100.0, 4000.0),
    decode_s=((0.012, 0.012), (0.020, 0.040)),
    prompts_tokens=(1000.0, 2000.0),
    prefill_s=(0.060, 0.120),
)


def plan_s(step_time: StepTime, n: int, context_tokens: int, prompt_tokens: int, iteration: int = 0) -> float:
    """Return the time of the first iteration planned [s]."""
    return step_time.plan_steps(n, context_tokens, prompt_tokens, iteration).first_ticks / TICKS_PER_S


def test_a_law_gives_its_sum() -> None:
    assert plan_s(make_step_time(LAW), 10, 5000, 800) == pytest.approx(0.01 + 0.002 + 0.0015 + 0.04)


def test_a_request_on_a_measured_table_takes_the_measured_times() -> None:
    engine = TokenEngine(make_step_time(TABLE), EngineLimits(kv_capacity_tokens=100_000, max_batched_tokens=4096))
    engine.submit(EngineRequest("r", 0.0, 2000, 2))
    [ended] = [event.ended for event in engine.advance(10.0) if event.ended]
    assert ended.ttft_s == pytest.approx(0.120)
    assert ended.itl_s == pytest.approx(0.012)


def test_noise_keeps_the_mean_and_has_the_spread_asked_for() -> None:
    noisy = NoisyStepTime(make_step_time(LAW), 0.3, np.random.default_rng(5))
    times_s = np.array([plan_s(noisy, 1, 0, 0, NOISE_ITERATIONS * block) for block in range(20_000)])
    assert times_s.mean() == pytest.approx(0.0102, rel=0.01)
    assert np.log(times_s).std() == pytest.approx(0.3, rel=0.02)


def test_no_noise_is_the_law_itself() -> None:
    noisy = NoisyStepTime(make_step_time(LAW), 0.0, np.random.default_rng(5))
    assert plan_s(noisy, 1, 0, 0) == plan_s(make_step_time(LAW), 1, 0, 0)


def test_negative_noise_is_a_wrong_call() -> None:
    with pytest.raises(InvalidInput, match="sigma_ratio"):
        NoisyStepTime(make_step_time(LAW), -0.1, np.random.default_rng(5))


@pytest.mark.parametrize("performance", [LAW, TABLE], ids=["law", "table"])
def test_a_slowed_replica_takes_as_many_times_longer(performance: IterationLaw | IterationTable) -> None:
    usual, slowed = make_step_time(performance), make_step_time(performance, 1.5)
    for n, context_tokens, prompt_tokens in ((1, 50, 0), (7, 9000, 300), (0, 0, 2000), (120, 600_000, 0)):
        expected_s = 1.5 * plan_s(usual, n, context_tokens, prompt_tokens)
        assert plan_s(slowed, n, context_tokens, prompt_tokens) == pytest.approx(expected_s, rel=1e-9)


@pytest.mark.parametrize("slowdown_ratio", [0.0, -1.0, float("inf"), float("nan")])
def test_a_slowdown_that_is_none_is_a_wrong_call(slowdown_ratio: float) -> None:
    with pytest.raises(InvalidInput, match="slowdown_ratio"):
        make_step_time(LAW, slowdown_ratio)


def test_a_table_s_steps_end_where_its_cell_does() -> None:
    """A batch of 50 leaves the first cell when its mean context passes 100 tokens."""
    steps = make_step_time(TABLE).plan_steps(50, 50 * 90 + 30, 0, 0)
    assert (steps.limit, steps.growth_ticks) == (10, 0)
    assert make_step_time(TABLE).plan_steps(50, 50 * 100 + 30, 0, 0).growth_ticks > 0


def test_noise_stays_for_a_while_and_then_changes() -> None:
    noisy = NoisyStepTime(make_step_time(LAW), 0.3, np.random.default_rng(1))
    steps = noisy.plan_steps(1, 0, 0, NOISE_ITERATIONS + 10)
    assert steps.limit == NOISE_ITERATIONS - 10
    assert plan_s(noisy, 1, 0, 0, 2 * NOISE_ITERATIONS - 1) == plan_s(noisy, 1, 0, 0, NOISE_ITERATIONS + 11)
    assert len({plan_s(noisy, 1, 0, 0, NOISE_ITERATIONS * block) for block in range(2, 30)}) > 20
