from __future__ import annotations

import numpy as np
import pytest

from optimizer.demand.traffic import SPAN_S
from tests.engine.adapter_view import select_disjoint
from tests.engine.compare import LengthEstimate, Span
from tests.engine.record import count_sent
from tests.engine.schedule import (
    LEAST_STEADY_S,
    SETTLING_S,
    STRETCH_S,
    TRIAL,
    Phase,
    Restart,
    plan_requests,
    shorten,
)


def test_the_same_seed_gives_the_same_requests() -> None:
    phase = Phase("x", 30.0, 5.0, leaving_ratio=0.5)
    first, second = (plan_requests(phase, np.random.default_rng(7)) for _ in range(2))
    assert first == second
    assert plan_requests(phase, np.random.default_rng(8)) != first


def test_requests_come_in_order_of_time_and_a_burst_comes_first() -> None:
    requests = plan_requests(Phase("x", 30.0, 5.0, burst_requests=9), np.random.default_rng(1))
    offsets_s = [one.offset_s for one in requests]
    assert offsets_s == sorted(offsets_s)
    assert offsets_s[:9] == [0.0] * 9
    assert offsets_s[9] > 0.0
    assert offsets_s[-1] <= 30.0


def test_a_long_phase_has_the_rate_and_the_lengths_it_states() -> None:
    requests = plan_requests(Phase("x", 4000.0, 2.0), np.random.default_rng(1))
    assert len(requests) == pytest.approx(8000, abs=4 * 8000**0.5)
    assert np.mean([one.input_tokens for one in requests]) == pytest.approx(np.exp(4.5 + 0.6**2 / 2), rel=0.03)
    assert np.mean([one.output_tokens for one in requests]) == pytest.approx(np.exp(3.8 + 0.5**2 / 2), rel=0.03)
    assert all(one.patience_s is None for one in requests)


def test_the_trial_has_steady_minutes_before_and_after_a_restart() -> None:
    steady = [isinstance(part, Phase) and part.is_steady for part in TRIAL]
    restart = next(number for number, part in enumerate(TRIAL) if isinstance(part, Restart))
    assert any(steady[:restart])
    assert any(steady[restart:])


@pytest.mark.parametrize("first_s", np.linspace(0.0, 2.0, 9))
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_steady_phase_holds_a_whole_published_stretch_wherever_the_pages_fall(first_s: float, lost: int) -> None:
    pages_s = [first_s + 2.0 * number for number in range(100)]
    last = max(number for number, page_s in enumerate(pages_s) if page_s <= LEAST_STEADY_S)
    ends_s = [page_s for number, page_s in enumerate(pages_s) if not last - lost < number <= last]
    stretches = [
        LengthEstimate(min(page_s for page_s in pages_s if page_s >= end_s - STRETCH_S), end_s, 1.0, 1.0)
        for end_s in ends_s
    ]
    assert select_disjoint(stretches, Span(SETTLING_S, LEAST_STEADY_S))
    assert STRETCH_S == SPAN_S
    assert all(part.duration_s >= LEAST_STEADY_S for part in TRIAL if isinstance(part, Phase) and part.is_steady)


def test_a_shortened_trial_judges_no_steady_minute_it_does_not_have() -> None:
    assert shorten(TRIAL, 1.0) == TRIAL
    assert not any(isinstance(part, Phase) and part.is_steady for part in shorten(TRIAL, 0.5))


def test_sending_times_are_counted_without_the_first_and_with_the_last_moment() -> None:
    assert count_sent([1.0, 2.0, 3.0, 4.0], 1.0, 3.0) == 2
