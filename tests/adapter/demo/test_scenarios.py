"""Stories of traffic are seeded, endless, in order, and have the rates they promise."""

from __future__ import annotations

from itertools import islice, takewhile

import pytest

from adapter.demo.catalog import MODEL_NAMES, CatalogOptions, build_model
from adapter.demo.profiles import read_trace
from adapter.demo.scenarios import (
    SUMMARIES,
    TRACE_BEGIN_S,
    TRACE_PERIOD_S,
    Arrival,
    Scenario,
    ScenarioName,
    build_scenario,
)

MODELS = tuple(build_model(name, CatalogOptions()) for name in MODEL_NAMES)
RATES_PER_S = {model.key: 1.5 for model in MODELS}


def build(name: ScenarioName, startup_s: float = 10.0) -> Scenario:
    return build_scenario(name, MODELS, RATES_PER_S, startup_s)


def play(scenario: Scenario, duration_s: float, seed: int = 1) -> list[Arrival]:
    return list(takewhile(lambda arrival: arrival.offset_s < duration_s, scenario.play(seed)))


def count(arrivals: list[Arrival], begin_s: float, end_s: float) -> int:
    return sum(begin_s <= arrival.offset_s < end_s for arrival in arrivals)


@pytest.mark.parametrize("name", list(ScenarioName))
def test_arrivals_come_in_order_without_end_and_the_seed_decides(name: ScenarioName) -> None:
    scenario = build(name)
    arrivals = list(islice(scenario.play(1), 6000))
    assert len(arrivals) == 6000
    offsets = [arrival.offset_s for arrival in arrivals]
    assert offsets == sorted(offsets)
    assert offsets[0] >= 0.0
    assert all(arrival.input_tokens >= 1 and arrival.output_tokens >= 1 for arrival in arrivals)
    assert arrivals[:200] == list(islice(scenario.play(1), 200))
    assert arrivals[:200] != list(islice(scenario.play(2), 200))
    assert {arrival.key for arrival in arrivals} == {model.key for model in MODELS}


@pytest.mark.parametrize("name", [name for name in ScenarioName if name is not ScenarioName.TRACE])
def test_the_opening_rate_is_the_rate_of_the_first_seconds(name: ScenarioName) -> None:
    scenario = build(name, startup_s=120.0)
    expected = sum(scenario.opening_rates_per_s.values()) * 20.0
    mean = sum(len(play(scenario, 20.0, seed)) for seed in range(20)) / 20
    assert mean == pytest.approx(expected, rel=0.15)


def test_every_scenario_says_what_happens_in_it() -> None:
    assert set(SUMMARIES) == set(ScenarioName)


def test_the_trace_is_replayed_as_it_was() -> None:
    arrivals = play(build(ScenarioName.TRACE), TRACE_PERIOD_S)
    stretch = [
        (round(request.offset_s - TRACE_BEGIN_S, 6), request.input_tokens, request.output_tokens)
        for request in read_trace()
        if TRACE_BEGIN_S <= request.offset_s < TRACE_BEGIN_S + TRACE_PERIOD_S
    ]
    played = [(round(arrival.offset_s, 6), arrival.input_tokens, arrival.output_tokens) for arrival in arrivals]
    remaining = iter(stretch)
    assert all(request in remaining for request in played)  # thinned, and otherwise as it was
    for model in MODELS:
        asked = sum(arrival.key == model.key for arrival in arrivals)
        assert asked / len(stretch) == pytest.approx(model.trace_share_ratio, abs=0.02)


def test_the_trace_asks_one_model_as_often_alone_as_beside_another() -> None:
    alone = play(build_scenario(ScenarioName.TRACE, MODELS[:1], RATES_PER_S, 10.0), TRACE_PERIOD_S)
    beside = [arrival for arrival in play(build(ScenarioName.TRACE), TRACE_PERIOD_S) if arrival.key == MODELS[0].key]
    assert alone == beside


def test_the_ramp_climbs_to_five_and_returns() -> None:
    arrivals = play(build(ScenarioName.RAMP), 1260.0)
    unit = 2 * 1.5 * 60.0  # both models, one replica's worth, a minute
    assert count(arrivals, 0.0, 60.0) / unit == pytest.approx(1.2, rel=0.2)
    assert count(arrivals, 570.0, 630.0) / unit == pytest.approx(4.9, rel=0.1)
    assert count(arrivals, 1200.0, 1260.0) / unit == pytest.approx(1.0, rel=0.2)


def test_the_step_doubles_at_once() -> None:
    arrivals = play(build(ScenarioName.STEP), 600.0)
    assert count(arrivals, 300.0, 600.0) / count(arrivals, 0.0, 300.0) == pytest.approx(2.0, rel=0.1)


def test_spikes_have_the_period_of_the_start_up() -> None:
    arrivals = play(build(ScenarioName.SPIKES, startup_s=10.0), 600.0)
    high = sum(arrival.offset_s % 10.0 >= 5.0 for arrival in arrivals)
    assert high / (len(arrivals) - high) == pytest.approx(3.0, rel=0.1)


def test_zero_is_silent_for_eight_minutes() -> None:
    scenario = build(ScenarioName.ZERO)
    arrivals = play(scenario, 1560.0)
    assert scenario.goes_to_zero
    assert count(arrivals, 300.0, 780.0) == 0
    assert count(arrivals, 0.0, 300.0) > 0
    assert count(arrivals, 780.0, 1080.0) > 0


def test_the_mix_shifts_at_a_constant_rate() -> None:
    arrivals = play(build(ScenarioName.MIX), 600.0)
    early = [arrival.input_tokens for arrival in arrivals if arrival.offset_s < 300.0]
    late = [arrival.input_tokens for arrival in arrivals if arrival.offset_s >= 300.0]
    assert len(late) == pytest.approx(len(early), rel=0.1)
    assert max(early) < min(late)
