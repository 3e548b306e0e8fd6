"""The token engine as the queues whose behavior is known exactly.

Each figure is the mean over 25 independent runs. The known value must lie in Student's 99.9 % interval, and the
interval within the stated error of the known value, or the test would show nothing.

Source: M/M/1, M/D/1 and M/G/1 processor sharing, e.g. Kleinrock, Queueing Systems I (1975) and II (1976).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from optimizer.domain import IterationLaw
from optimizer.simulation import EngineLimits
from tests.builders.replications import DrawTokens, Estimate, Run, estimate, replicate

MEAN_TOKENS = 500
TOKEN_S = 0.01
SERVICE_S = MEAN_TOKENS * TOKEN_S
RUNS = 25
ROOM_TOKENS = 10_000_000

ALONE = EngineLimits(ROOM_TOKENS, max_running_requests=1)
"""One request after the other, each token taking the same: first come, first served."""
SAME_TIME = IterationLaw(fixed_s=TOKEN_S, per_request_s=0.0, per_context_token_s=0.0, per_prompt_token_s=0.0)

TOGETHER = EngineLimits(ROOM_TOKENS, max_running_requests=1000)
"""All at once, an iteration taking as long as the batch is large: each gets an equal share of one server."""
SHARED_TIME = IterationLaw(fixed_s=1e-12, per_request_s=TOKEN_S, per_context_token_s=0.0, per_prompt_token_s=TOKEN_S)

DRAWS: dict[str, DrawTokens] = {
    "constant": lambda _, count: np.full(count, MEAN_TOKENS),
    "exponential": lambda generator, count: generator.geometric(1 / MEAN_TOKENS, count),
    "many short, few long": lambda generator, count: np.where(generator.random(count) < 0.9, 250, 2750),
}


def mean_over(runs: list[Run], figure: str) -> Estimate:
    return estimate([float(getattr(run, figure).mean()) for run in runs])


def show(what: str, found: Estimate, expected: float) -> None:
    print(f"{what:<66} known {expected:9.4f}   found {found.mean:9.4f} ± {found.half_width:.4f}")


@dataclass(frozen=True, slots=True)
class Load:
    """How much is offered, for how many requests a run, and how wide the interval of a mean may be."""

    ratio: float
    requests: int
    error_ratio: float

    @property
    def rate_per_s(self) -> float:
        return self.ratio / SERVICE_S


LOADS = [Load(0.5, 600, 0.2), pytest.param(Load(0.8, 8000, 0.12), marks=pytest.mark.slow)]
SHARED_LOADS = [Load(0.5, 600, 0.2), pytest.param(Load(0.7, 4000, 0.15), marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=LOADS, ids=lambda load: f"load {load.ratio}")
def load(request: pytest.FixtureRequest) -> Load:
    chosen: Load = request.param
    return chosen


@pytest.fixture(scope="module")
def exponential(load: Load) -> list[Run]:
    return replicate(SAME_TIME, ALONE, load.rate_per_s, DRAWS["exponential"], runs=RUNS, requests=load.requests)


def test_m_m_1_has_its_mean_sojourn_and_wait(exponential: list[Run], load: Load) -> None:
    sojourn_s = SERVICE_S / (1 - load.ratio)
    for figure, expected_s in (("sojourns_s", sojourn_s), ("waits_s", load.ratio * sojourn_s)):
        found = mean_over(exponential, figure)
        show(f"M/M/1, load {load.ratio}, mean of {figure}", found, expected_s)
        assert found.agrees_with(expected_s, error_ratio=load.error_ratio)


def test_m_m_1_has_an_exponential_sojourn(exponential: list[Run], load: Load) -> None:
    sojourn_s = SERVICE_S / (1 - load.ratio)
    for share_ratio in (0.5, 0.1):
        time_s = -sojourn_s * np.log(share_ratio)
        found = estimate([float((run.sojourns_s > time_s).mean()) for run in exponential])
        show(f"M/M/1, load {load.ratio}, P(sojourn > {time_s:.1f} s)", found, share_ratio)
        assert found.agrees_with(share_ratio, error_ratio=0.3)


def test_m_m_1_is_found_with_geometrically_many_requests(exponential: list[Run], load: Load) -> None:
    for requests in (1, 3):
        found = estimate([float((run.found_requests >= requests).mean()) for run in exponential])
        expected = load.ratio**requests
        show(f"M/M/1, load {load.ratio}, P({requests} or more there)", found, expected)
        assert found.agrees_with(expected, error_ratio=0.3)


def test_m_d_1_has_half_the_wait(load: Load) -> None:
    runs = replicate(SAME_TIME, ALONE, load.rate_per_s, DRAWS["constant"], runs=RUNS, requests=load.requests)
    found, expected_s = mean_over(runs, "waits_s"), load.ratio * SERVICE_S / (2 * (1 - load.ratio))
    show(f"M/D/1, load {load.ratio}, mean wait", found, expected_s)
    assert found.agrees_with(expected_s, error_ratio=load.error_ratio)


def test_each_wait_is_that_of_the_recursion_of_a_single_server(exponential: list[Run]) -> None:
    """Who comes next waits for what the one before had left: exact, request by request."""
    for run in exponential[:5]:
        arrivals_s = np.array([record.request.arrival_s for record in run.ended])
        wait_s, expected = run.waits_s[0], []
        for gap_s, output_tokens in zip(np.diff(arrivals_s), run.output_tokens, strict=False):
            wait_s = max(0.0, wait_s + output_tokens * TOKEN_S - gap_s)
            expected.append(wait_s)
        assert run.waits_s[1:] == pytest.approx(expected, abs=1e-5)


@pytest.fixture(scope="module", params=SHARED_LOADS, ids=lambda load: f"load {load.ratio}")
def shared_load(request: pytest.FixtureRequest) -> Load:
    chosen: Load = request.param
    return chosen


@pytest.fixture(scope="module", params=DRAWS)
def lengths(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sharing(shared_load: Load, lengths: str) -> list[Run]:
    load = shared_load
    return replicate(SHARED_TIME, TOGETHER, load.rate_per_s, DRAWS[lengths], runs=RUNS, requests=load.requests)


def test_processor_sharing_takes_the_mean_length_over_what_is_left(
    sharing: list[Run], shared_load: Load, lengths: str
) -> None:
    found, expected_s = mean_over(sharing, "sojourns_s"), SERVICE_S / (1 - shared_load.ratio)
    show(f"M/G/1-PS, load {shared_load.ratio}, {lengths}, mean sojourn", found, expected_s)
    assert found.agrees_with(expected_s, error_ratio=shared_load.error_ratio)


def test_processor_sharing_is_found_with_as_many_requests_whatever_the_lengths(
    sharing: list[Run], shared_load: Load, lengths: str
) -> None:
    found, expected = mean_over(sharing, "found_requests"), shared_load.ratio / (1 - shared_load.ratio)
    show(f"M/G/1-PS, load {shared_load.ratio}, {lengths}, mean found there", found, expected)
    assert found.agrees_with(expected, error_ratio=shared_load.error_ratio)


@pytest.mark.parametrize("is_long", [False, True], ids=["short", "long"])
def test_processor_sharing_slows_short_and_long_requests_alike(
    sharing: list[Run], shared_load: Load, lengths: str, is_long: bool
) -> None:
    """A request of x seconds alone stays x / (1 - load), whatever the other lengths are."""
    slowdowns = []
    for run in sharing:
        chosen = (run.output_tokens > MEAN_TOKENS) == is_long
        if chosen.any():
            slowdowns.append(float(run.sojourns_s[chosen].sum() / (run.output_tokens[chosen].sum() * TOKEN_S)))
    if not slowdowns:
        assert (lengths, is_long) == ("constant", True)
        return
    found, expected = estimate(slowdowns), 1 / (1 - shared_load.ratio)
    show(
        f"M/G/1-PS, load {shared_load.ratio}, {lengths}, sojourn over {'long' if is_long else 'short'}", found, expected
    )
    assert found.agrees_with(expected, error_ratio=shared_load.error_ratio)
