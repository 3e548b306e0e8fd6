"""Who asks for what: LLMs and service classes by chance, cached prefixes, and what scalers are told of the mean."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from adapter.simulation.asking import find_class_shares, find_workloads, to_requests
from adapter.simulation.fleet import Fleet
from adapter.simulation.run_options import RunOptions, TruthOptions
from adapter.simulation.traces import Trace
from optimizer import InvalidInput
from optimizer.domain import ClassSource, ClassSourceKind, LatencyQuantity, ServiceClass, Slo
from tests.builders.simulated_fleets import make_fleet, make_trace

COUNT = 4000


def make_class(name: str, share_ratio: float | None = None) -> ServiceClass:
    source = ClassSource() if share_ratio is None else ClassSource(ClassSourceKind.SHARE, "", share_ratio)
    return ServiceClass(name, (Slo(LatencyQuantity.TTFT, 1.0),), source=source)


def make_trace_of(count: int = COUNT) -> Trace:
    return make_trace(sorted(np.random.default_rng(5).uniform(0.0, 600.0, count).tolist()), 600.0)


def make_classed_fleet(*classes: ServiceClass, llms: int = 1) -> Fleet:
    fleet = make_fleet()
    model = replace(fleet.settings.models[0], service_classes=classes)
    models = tuple(
        replace(
            model,
            model_id=f"llama-{number}",
            variants=tuple(replace(variant, model_id=f"llama-{number}") for variant in model.variants),
        )
        for number in range(llms)
    )
    (truth,) = fleet.engines.values()
    engines = {variant.key(): truth for one in models for variant in one.variants}
    return replace(fleet, settings=replace(fleet.settings, models=models), engines=engines, shares=(1.0 / llms,) * llms)


@pytest.mark.parametrize(
    "told, expected",
    [
        ((0.7, 0.3), (0.7, 0.3)),
        ((0.7, None), (0.7, 0.3)),
        ((0.4, None, None), (0.4, 0.3, 0.3)),
        ((None, None, None, None), (0.25, 0.25, 0.25, 0.25)),
        ((0.2, 0.2), (0.5, 0.5)),  # no class is left for the rest
        ((None,), (1.0,)),
    ],
)
def test_shares_of_classes_are_those_of_the_configuration_and_the_rest_goes_to_those_without(
    told: tuple[float | None, ...], expected: tuple[float, ...]
) -> None:
    classes = [make_class(f"c{number}", share) for number, share in enumerate(told)]
    assert find_class_shares(classes) == pytest.approx(expected)


def test_weights_win_over_the_configuration_and_classes_left_out_get_no_request() -> None:
    classes = [make_class("chat", 0.5), make_class("batch", 0.5), make_class("idle")]
    assert find_class_shares(classes, {"chat": 3.0, "batch": 1.0}) == (0.75, 0.25, 0.0)
    with pytest.raises(InvalidInput, match="above 0 for one of chat, batch, idle"):
        find_class_shares(classes, {"other": 1.0})


def test_requests_of_every_llm_are_drawn_by_the_shares_of_its_classes() -> None:
    fleet = make_classed_fleet(make_class("chat", 0.8), make_class("batch"), llms=2)
    requests = to_requests(make_trace_of(), fleet, RunOptions(seed=3))
    for index in range(2):
        mine = requests.service_class[requests.model == index]
        spread = math.sqrt(len(mine) * 0.8 * 0.2)
        assert abs(np.count_nonzero(mine == 0) - 0.8 * len(mine)) < 4.0 * spread
    again = to_requests(make_trace_of(), fleet, RunOptions(seed=3))
    assert np.array_equal(again.service_class, requests.service_class)
    other = to_requests(make_trace_of(), fleet, RunOptions(seed=4))
    assert not np.array_equal(other.service_class, requests.service_class)


def test_a_class_without_weight_is_never_drawn() -> None:
    fleet = make_classed_fleet(make_class("idle"), make_class("chat"), make_class("idle-too"))
    requests = to_requests(make_trace_of(), fleet, RunOptions(class_shares={"chat": 1.0}))
    assert set(requests.service_class.tolist()) == {1}


def test_a_share_of_every_prompt_is_cached_and_scalers_are_told_the_mean() -> None:
    fleet, trace = make_fleet(), make_trace_of()
    requests = to_requests(trace, fleet, RunOptions(truth=TruthOptions(cached_ratio=0.5)))
    assert set(requests.cached_tokens.tolist()) == {500}
    models = fleet.settings.models
    (workload,) = find_workloads(requests, models, 600.0, is_peak=False).values()
    assert workload.cached_ratio == 0.5
    assert workload.arrival_rate_per_s == pytest.approx(COUNT / 600.0)
    (plain,) = find_workloads(to_requests(trace, fleet, RunOptions()), models, 600.0, is_peak=False).values()
    assert plain.cached_ratio == 0.0
