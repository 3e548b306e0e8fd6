from __future__ import annotations

import json

from tests.engine.adapter_view import read_decisions, select_disjoint, select_quantile
from tests.engine.compare import LengthEstimate, QuantileEstimate, Span
from tests.engine.compare_rates import RateEstimate
from tests.engine.watch import Answer

ORIGIN_UNIX_S = 1_000_000.0


def make_answer(time_s: float, start_s: float, end_s: float) -> Answer:
    stretch = {"start_s": ORIGIN_UNIX_S + start_s, "end_s": ORIGIN_UNIX_S + end_s}
    observed = {
        "arrivals": {**stretch, "count": 4.0},
        "input_tokens": {**stretch, "requests": 2.0, "mean_tokens": 30.0},
        "output_tokens": {**stretch, "requests": 0.0, "mean_tokens": None},
        "latencies": {"ttft": {**stretch, "p50_s": 0.1, "p90_s": None}},
    }
    model = {"observed": observed, "variants": [{"planned_replicas": 2}, {"planned_replicas": 1}]}
    return Answer(time_s, "200", json.dumps({"models": [model]}))


def test_a_decision_becomes_estimates_in_the_time_of_the_trial() -> None:
    view = read_decisions([make_answer(3.0, 1.0, 3.0)], ORIGIN_UNIX_S)
    assert view.rates == (RateEstimate(1.0, 3.0, 4.0),)
    assert view.input_lengths == (LengthEstimate(1.0, 3.0, 2.0, 60.0),)
    assert view.output_lengths == (LengthEstimate(1.0, 3.0, 0.0, 0.0),)
    assert select_quantile(view.quantiles, "ttft", 0.5, Span(0.0, 9.0)) == QuantileEstimate(1.0, 3.0, "ttft", 0.5, 0.1)
    assert view.replicas == ((3.0, 3),)


def test_a_decision_read_twice_is_one_estimate() -> None:
    view = read_decisions([make_answer(3.0, 1.0, 3.0), make_answer(4.0, 1.0, 3.0)], ORIGIN_UNIX_S)
    assert (view.answers, len(view.rates)) == (2, 1)


def test_answers_without_decisions_or_figures_yield_none() -> None:
    silent = Answer(2.0, "200", json.dumps({"models": [{"variants": [{"planned_replicas": 1}]}]}))
    answers = [Answer(0.0, "ClientConnectorError", ""), Answer(1.0, "200", '{"models": []}'), silent]
    view = read_decisions(answers, ORIGIN_UNIX_S)
    assert (view.answers, view.rates, view.quantiles) == (1, (), ())


def test_overlapping_estimates_are_counted_once_from_the_newest_back() -> None:
    estimates = [LengthEstimate(start_s, start_s + 10.0, 1, 1) for start_s in (0.0, 5.0, 10.0, 15.0, 25.0)]
    chosen = select_disjoint(estimates, Span(2.0, 26.0))
    assert [one.start_s for one in chosen] == [5.0, 15.0]
