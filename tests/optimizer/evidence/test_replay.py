from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer import Bill, DemandRecord, DemandStep, ReplayOptions, gather_evidence, replay
from optimizer.domain import Limit, LimitKind
from optimizer.evidence.fluid_fleet import FluidPool
from tests.builders.snapshots import MODEL, make_key, make_workload
from tests.builders.story import get_capacity_per_s, make_model, make_settings, make_variant

SMALL = make_variant("small", cost_per_hour=1.0)
BIG = make_variant("big", cost_per_hour=2.7, speed=2.0)
MU = get_capacity_per_s(SMALL)


def make_record(rates_per_s: list[float], step_s: float = 300.0) -> DemandRecord:
    return {
        MODEL: tuple(
            DemandStep(step_s * index, step_s * (index + 1), make_workload(rate))
            for index, rate in enumerate(rates_per_s)
        )
    }


def test_a_pool_pays_from_creation_to_deletion_and_serves_after_the_start() -> None:
    pool = FluidPool(make_key("small"), replace(SMALL, startup_s=30.0), 2.0)
    pool.request(2, 0.0, is_warm=True)
    pool.request(5, 0.0)
    assert (pool.count_ready(29.0), pool.count_ready(30.0)) == (2, 5)
    pool.pay(1800.0)
    assert pool.cost == pytest.approx(5.0)
    pool.request(1, 1800.0)
    pool.pay(3600.0)
    assert pool.cost == pytest.approx(7.0)


def test_those_that_do_not_serve_yet_go_first() -> None:
    pool = FluidPool(make_key("small"), replace(SMALL, startup_s=30.0), 2.0)
    pool.request(2, 0.0, is_warm=True)
    pool.request(4, 10.0)
    pool.request(2, 20.0)
    assert pool.count_ready(20.0) == 2


def test_steady_demand_costs_what_its_fleet_costs() -> None:
    bills = replay(make_record([2.5 * MU] * 3), make_settings(make_model(SMALL)))
    assert bills == {MODEL: Bill(pytest.approx(3 * 900.0 / 3600.0), 1.0)}  # type: ignore[arg-type]


def test_a_step_misses_what_arrives_before_new_replicas_serve() -> None:
    options = ReplayOptions(initial_replicas={SMALL.key(): 3})
    settings = make_settings(make_model(SMALL))
    bill = replay(make_record([2.0 * MU, 4.0 * MU]), settings, options)[MODEL]
    # Seen after 15 s, acted on 5 s later, served 10 s after that: a quarter of the demand of 30 s is missed.
    assert bill.attainment_ratio == pytest.approx(1.0 - 30.0 * 1.0 / (300.0 * 6.0), abs=0.01)
    late = replay(make_record([2.0 * MU, 4.0 * MU]), settings, replace(options, sync_phase_s=14.0))[MODEL]
    assert late.attainment_ratio < bill.attainment_ratio


def test_no_demand_costs_one_replica_where_nothing_may_wake_it() -> None:
    bill = replay(make_record([0.0, 0.0]), make_settings(make_model(SMALL)))[MODEL]
    assert bill.attainment_ratio == 1.0
    assert bill.cost <= 600.0 / 3600.0


def test_silence_is_free_where_a_gateway_may_wake_it() -> None:
    model = make_model(SMALL, gateway=True, idle_to_zero_s=60.0)
    bill = replay(make_record([MU, 0.0, 0.0, 0.0, 0.0, MU]), make_settings(model))[MODEL]
    assert bill.cost < 1200.0 * 2 / 3600.0
    assert bill.attainment_ratio > 0.9


def test_an_empty_record_has_no_bill() -> None:
    assert replay({}, make_settings(make_model(SMALL))) == {}
    assert gather_evidence({}, make_settings(make_model(SMALL))) == ()


def test_evidence_says_what_it_is() -> None:
    real = {MODEL: Bill(1.23, 0.997)}
    record = make_record([2.5 * MU, 4.5 * MU])
    (evidence,) = gather_evidence(record, make_settings(make_model(SMALL, BIG)), real)
    assert evidence.real == real[MODEL]
    costs = [entry.cost for entry in evidence.like_for_like]
    assert len(costs) == 2
    assert costs == sorted(costs)
    assert "same forecast" in evidence.best_like_for_like.text
    assert "100 % attainment assumed" in evidence.homogeneous.text
    assert "100 % attainment assumed" in evidence.static_peak.text
    assert evidence.homogeneous.cost <= evidence.static_peak.cost


def test_like_for_like_keeps_the_limits_that_concern_it() -> None:
    limit = Limit("gpus", LimitKind.ACCELERATORS, {SMALL.key(): 1.0, BIG.key(): 1.0}, 3.0)
    settings = make_settings(make_model(SMALL, BIG), limits=(limit,))
    options = ReplayOptions(initial_replicas={BIG.key(): 2})
    (evidence,) = gather_evidence(make_record([4.5 * MU, 4.5 * MU]), settings, options=options)
    by_name = {entry.variant: entry for entry in evidence.like_for_like}
    assert by_name["small"].attainment_ratio < 0.75
    assert by_name["big"].attainment_ratio > 0.9
    assert evidence.best_like_for_like.variant == "big"


def test_a_variant_that_cannot_serve_alone_is_no_baseline() -> None:
    slow = make_variant("slow", speed=0.1)
    (evidence,) = gather_evidence(make_record([MU]), make_settings(make_model(SMALL, slow)))
    assert [entry.variant for entry in evidence.like_for_like] == ["small"]
