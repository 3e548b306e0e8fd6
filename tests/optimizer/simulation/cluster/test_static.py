"""A fleet that nobody scales: its cost by hand, what queueing theory says of it, and that every request ends once."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.domain import IterationLaw
from optimizer.errors import InvalidInput
from optimizer.simulation import EngineLimits
from optimizer.simulation.cluster import ClusterOptions, Ending, Plant, Requests, RouterKind, Scenario, simulate
from tests.builders.simulated_clusters import (
    KEY,
    LAW,
    LIMITS,
    PRICE_PER_HOUR,
    make_requests,
    make_scenario,
    make_static,
)


def test_it_costs_price_times_replicas_times_hours() -> None:
    scenario = make_scenario(make_requests(1.0, 1800.0), 1800.0, initial=3)
    result = simulate(scenario, make_static(3))
    assert result.cost == 3 * PRICE_PER_HOUR * 0.5
    assert result.variants[KEY].billed_ns == 3 * 1800 * 10**9


def test_replicas_asked_for_later_cost_from_then_on() -> None:
    scenario = make_scenario(make_requests(0.1, 3601.0), 3601.0, initial=1)
    result = simulate(scenario, make_static(5))  # asked at 1 s
    assert result.cost == pytest.approx(PRICE_PER_HOUR * (3601 + 4 * 3600) / 3600, abs=1e-12)


def test_light_requests_take_what_the_law_says() -> None:
    requests = Requests.from_columns([10.0, 60.0], 1000, 100)
    result = simulate(make_scenario(requests, 120.0), make_static(1))
    prefill_s = 0.010 + 1000 * 2e-5
    decode_s = sum(0.010 + 0.0002 + 1e-7 * (1000 + token) for token in range(1, 100))
    assert list(result.columns.ttft_s) == pytest.approx([prefill_s] * 2, abs=1e-8)
    assert list(result.columns.ttlt_s) == pytest.approx([prefill_s + decode_s] * 2, abs=1e-8)
    assert list(result.columns.itl_s) == pytest.approx([decode_s / 99] * 2, abs=1e-9)


@pytest.mark.parametrize("router", [RouterKind.ROUND_ROBIN, RouterKind.LEAST_LOAD, RouterKind.INSTANCE_AWARE])
def test_every_request_ends_exactly_once(router: RouterKind) -> None:
    requests = make_requests(12.0, 300.0)
    small = Plant(LAW, EngineLimits(kv_capacity_tokens=12_000, max_queued_requests=12))
    result = simulate(
        make_scenario(requests, 300.0, initial=2, plant=small), make_static(2), ClusterOptions(router=router)
    )
    assert sum(result.endings.values()) == len(requests)
    assert result.endings[Ending.OPEN] == 0
    assert result.endings[Ending.REJECTED] > 0
    assert sum(figures.requests for figures in result.classes) == len(requests)


def test_requests_in_the_system_equal_rate_times_time_in_it() -> None:
    """Little's law, on the sampled figures of the pages against the latencies of the requests."""
    horizon_s = 1800.0
    requests = make_requests(3.0, horizon_s)
    decider = make_static(2)
    decider.period_s, decider.keeps_views = 15.0, True
    result = simulate(make_scenario(requests, horizon_s, initial=2), decider)
    seen = [
        sum(
            (pod.running_requests or 0.0) + (pod.waiting_requests or 0.0)
            for pod in view.snapshot.models[0].variants[0].pods
        )
        for view in decider.views
    ]
    by_little = len(requests) / horizon_s * float(np.mean(np.array(result.columns.ttlt_s)))
    error = float(np.std(seen)) / len(seen) ** 0.5
    assert float(np.mean(seen)) == pytest.approx(by_little, abs=4 * error)


def test_a_queue_of_one_server_waits_as_long_as_pollaczek_and_khinchine_say() -> None:
    """One place in the batch, no time per token: M/D/1, mean wait rho * D / 2 / (1 - rho)."""
    service_s, rate_per_s, count = 0.5, 1.2, 10_000
    law = IterationLaw(service_s / 2, 0.0, 0.0, 0.0)  # two tokens
    arrivals_s = np.cumsum(np.random.default_rng(3).exponential(1.0 / rate_per_s, count))
    requests = Requests.from_columns(arrivals_s, 10, 2)
    plant = Plant(law, EngineLimits(kv_capacity_tokens=4096, max_running_requests=1))
    scenario = make_scenario(requests, float(arrivals_s[-1]) + 1.0, plant=plant)
    result = simulate(scenario, make_static(1))
    waits_s = np.array(result.columns.ttlt_s) - service_s
    rho = rate_per_s * service_s
    means = waits_s.reshape(40, -1).mean(axis=1)
    assert float(means.mean()) == pytest.approx(rho * service_s / 2 / (1 - rho), abs=4 * float(means.std()) / 40**0.5)


def test_a_request_that_no_engine_can_hold_is_refused() -> None:
    requests = Requests.from_columns([1.0, 2.0], [500_000, 100], 10)
    result = simulate(make_scenario(requests, 10.0), make_static(1))
    assert result.endings[Ending.TOO_LONG] == 1
    assert result.endings[Ending.FINISHED] == 1


def test_what_is_in_service_at_the_horizon_is_served_to_its_end_but_not_billed() -> None:
    requests = Requests.from_columns([9.9], 1000, 1000)
    result = simulate(make_scenario(requests, 10.0), make_static(1))
    assert result.endings[Ending.FINISHED] == 1
    assert result.columns.ttlt_s[0] > 9.0
    assert result.variants[KEY].billed_ns == 10 * 10**9


def test_requests_are_refused_where_columns_do_not_fit() -> None:
    with pytest.raises(InvalidInput, match=r"requests\.arrival_ns"):
        Requests.from_columns([2.0, 1.0], 1, 1)
    with pytest.raises(InvalidInput, match=r"requests\.input_tokens"):
        Requests.from_columns([1.0], 0, 1)
    with pytest.raises(InvalidInput, match="horizon"):
        make_scenario(make_requests(1.0, 60.0), 30.0)
    model = make_scenario(make_requests(1.0, 60.0), 60.0).models[0]
    with pytest.raises(InvalidInput, match="plants"):
        Scenario((model,), (), {}, make_requests(1.0, 60.0), 60.0)
    assert LIMITS.kv_capacity_tokens > 0
