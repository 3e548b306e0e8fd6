from __future__ import annotations

import math
from dataclasses import replace

import pytest

from optimizer import CapacityNeed, ModelView, VariantView
from optimizer.demand import DemandHistory, DemandNow, LoadShares, RateSample, RobustForecaster
from optimizer.domain import (
    ClassSource,
    ClassSourceKind,
    Observation,
    ReasonCode,
    Routing,
    ServedModel,
    ServiceClass,
)
from optimizer.policy import SloPolicy, compute_lead_time_s
from tests.builders.snapshots import make_state, make_workload
from tests.builders.story import CHAT, get_capacity_per_s, make_model, make_settings, make_variant

QUICK, LATE = make_variant("quick", startup_s=20.0), make_variant("late", startup_s=200.0, speed=1.5)
SETTINGS = make_settings()


def make_history(rate_per_s: float, growth_per_s2: float = 0.0) -> DemandHistory:
    history = DemandHistory()
    for index in range(24):
        start_s = 15.0 * index
        history = history.append(RateSample(start_s, start_s + 15.0, rate_per_s + growth_per_s2 * (start_s + 7.5)))
    return history


def look(model: ServedModel, ready: int = 2, waiting: float = 0.0, growth_per_s2: float = 0.0) -> ModelView:
    lines = tuple(
        VariantView(
            variant.key(),
            variant,
            make_state(variant.name, tuple(f"{variant.name}-{n}" for n in range(ready))),
            ready,
            1.0,
        )
        for variant in model.variants
    )
    demand = DemandNow(Observation(4.0), None, waiting, None, 0.0, 15.0)
    history = make_history(4.0, growth_per_s2)
    return ModelView(model, lines, demand, history, LoadShares(), make_workload(4.0))


def propose(view: ModelView) -> CapacityNeed:
    proposal, _ = SloPolicy().propose(view, {}, 360.0, SETTINGS)
    return proposal


def test_the_need_is_the_forecast_over_the_lead_time_of_every_variant() -> None:
    proposal = propose(look(make_model(QUICK, LATE), growth_per_s2=0.01))
    lead_times_s = tuple(compute_lead_time_s(variant, SETTINGS.decision) for variant in (QUICK, LATE))
    assert lead_times_s == (65.0, 245.0)
    assert proposal.need.lead_times_s == lead_times_s
    history = make_history(4.0, 0.01)
    expected = RobustForecaster().forecast(history, lead_times_s, (SETTINGS.decision.forecast_level_ratio,))[:, 0]
    assert [proposal.need.sum_rate_per_s(lead) for lead in lead_times_s] == pytest.approx(expected.tolist())
    assert proposal.forecast_per_s.value == pytest.approx(expected.max())


def test_a_quick_starter_is_bought_against_less_growth_than_a_late_one() -> None:
    need = propose(look(make_model(QUICK, LATE), growth_per_s2=0.01)).need
    assert need.sum_rate_per_s(65.0) < need.sum_rate_per_s(245.0)


def test_capacities_are_those_of_the_queueing_model() -> None:
    table = propose(look(make_model(QUICK, LATE))).capacity_table
    assert table.get(QUICK.key()) == pytest.approx(get_capacity_per_s(QUICK))
    assert table.get(LATE.key()) == pytest.approx(get_capacity_per_s(LATE))


def test_a_queue_that_ready_capacity_clears_in_time_asks_for_nothing() -> None:
    calm, queued = propose(look(make_model(QUICK), ready=4)), propose(look(make_model(QUICK), ready=4, waiting=30.0))
    assert queued.need == calm.need


def test_a_queue_that_stays_is_paid_out_of_the_headroom_first() -> None:
    calm, queued = propose(look(make_model(QUICK))), propose(look(make_model(QUICK), waiting=20.0))
    assert queued.need.peak_per_s == pytest.approx(calm.need.peak_per_s)


def test_a_queue_beyond_the_headroom_asks_for_what_clears_it_in_a_minute() -> None:
    calm, queued = propose(look(make_model(QUICK), ready=1)), propose(look(make_model(QUICK), ready=1, waiting=300.0))
    ceiling_ratio = SETTINGS.decision.utilization_ceiling_ratio
    assert queued.need.peak_per_s == pytest.approx(ceiling_ratio * (calm.need.peak_per_s + 300.0 / 60.0))


def test_without_lengths_the_capacity_is_absent_with_the_reason() -> None:
    proposal = propose(replace(look(make_model(QUICK)), workload=None))
    assert proposal.capacity_table.entries == ()
    reason = proposal.estimates[QUICK.key()].reason
    assert reason is not None
    assert reason.code is ReasonCode.NO_DATA


def test_a_variant_that_cannot_be_grown_sets_no_lead_time() -> None:
    stuck = replace(LATE, max_replicas=0)
    assert propose(look(make_model(QUICK, stuck))).need.lead_times_s == (65.0,)


def test_classes_told_apart_by_shares_have_entries_of_their_own_that_add_up() -> None:
    classes = tuple(
        ServiceClass(name, CHAT.slos, priority=priority, source=ClassSource(ClassSourceKind.SHARE, share_ratio=share))
        for name, priority, share in (("gold", 9, 0.25), ("rest", 1, 0.75))
    )
    model = replace(make_model(QUICK), service_classes=classes)
    need, whole = propose(look(model)).need, propose(look(make_model(QUICK))).need
    assert {entry.service_class: entry.priority for entry in need.entries} == {"gold": 9, "rest": 1}
    assert need.peak_per_s == pytest.approx(whole.peak_per_s)


def test_classes_that_cannot_be_told_apart_share_one_entry_of_the_highest_priority() -> None:
    classes = (replace(CHAT, name="gold", priority=9), replace(CHAT, name="rest", priority=1))
    (entry,) = propose(look(replace(make_model(QUICK), service_classes=classes))).need.entries
    assert (entry.service_class, entry.priority) == ("", 9)


def test_the_routing_last_measured_is_remembered_while_nothing_is_measured() -> None:
    view = look(make_model(QUICK, LATE, routing=Routing.AUTO))
    proposal, memory = SloPolicy().propose(view, {"measured_routing": "weighted"}, 360.0, SETTINGS)
    assert (proposal.routing, memory) == (Routing.WEIGHTED, {"measured_routing": "weighted"})
    proposal, memory = SloPolicy().propose(view, {"measured_routing": "nonsense"}, 360.0, SETTINGS)
    assert (proposal.routing, memory) == (Routing.UNIFORM, {})


def test_the_need_is_finite_and_never_negative() -> None:
    proposal = propose(replace(look(make_model(QUICK)), history=DemandHistory()))
    assert proposal.need.peak_per_s == 0.0
    assert math.isfinite(proposal.need.peak_per_s)
