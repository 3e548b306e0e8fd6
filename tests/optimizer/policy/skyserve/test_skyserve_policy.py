"""The policy `skyserve`: the proposed cases, and what it mends of the peer, in figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.demand import DemandHistory, DemandNow, LoadShares, RateSample
from optimizer.domain import (
    Limit,
    LimitKind,
    Observation,
    PodPhase,
    Reason,
    ReasonCode,
    ServedModel,
    Settings,
    Variant,
    Workload,
)
from optimizer.policy import FixedReplicas, ModelView, VariantView
from optimizer.policy.skyserve import SkyServePolicy
from optimizer.policy.skyserve.delays import Patience, decode_patience, encode_patience, step_patience
from optimizer.policy.skyserve.fleet import FleetReplica, Market, Offer, change_fleet, compute_wanted, list_by_removal
from optimizer.policy.skyserve.replicas import Status
from tests.builders.snapshots import INPUT, OUTPUT, make_key, make_pod, make_state, make_workload
from tests.builders.story import get_capacity_per_s, make_model, make_settings, make_variant

VECTORS = Path(__file__).parents[3] / "data" / "vectors" / "skyserve.json"
CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text())["cases"]
SETTINGS = make_settings()


def find_cases(function: str, *bases: str) -> list[Any]:
    chosen = [case for case in CASES if case["name"].split("/")[0] == function]
    chosen = [case for case in chosen if case["name"].split("/")[1] in bases]
    assert chosen
    return [pytest.param(case["input"], case["expected"], id=case["name"]) for case in chosen]


def to_offers(rates_per_s: Mapping[str, float], rows: list[dict[str, Any]]) -> dict[str, Offer]:
    prices = {row["accelerator"]: row.get("cost_per_hour") for row in rows}
    return {name: Offer(make_key(name), rate, prices.get(name)) for name, rate in rates_per_s.items()}


def to_fleet(offers: Mapping[str, Offer], rows: list[dict[str, Any]]) -> list[FleetReplica]:
    return [
        FleetReplica(offers[row["accelerator"]], Status(row["status"]), row.get("id", place), row.get("version", 1))
        for place, row in enumerate(rows)
    ]


@pytest.mark.parametrize("given, expected", find_cases("instance_aware_target", "proposed"))
def test_targets_are_as_proposed(given: dict[str, Any], expected: dict[str, Any]) -> None:
    offers = to_offers(given["target_rate_per_s"], [])
    wanted = compute_wanted(
        given["arrival_rate_per_s"],
        to_fleet(offers, given["replicas"]),
        Market(tuple(offers.values())),
        given["min_replicas"],
        given["max_replicas"],
    )
    assert wanted.replicas == expected["target_replicas"]


@pytest.mark.parametrize("given, expected", find_cases("removal_order", "proposed"))
def test_replicas_go_in_the_proposed_order(given: dict[str, Any], expected: dict[str, Any]) -> None:
    fleet = to_fleet(to_offers(given["target_rate_per_s"], given["replicas"]), given["replicas"])
    removed = list_by_removal(fleet)[: given["remove_replicas"]]
    assert [replica.id for replica in removed] == expected["replica_ids"]


@pytest.mark.parametrize("given, expected", find_cases("hysteresis_seconds", "proposed"))
def test_wishes_wait_as_proposed(given: dict[str, Any], expected: dict[str, Any]) -> None:
    patience, seen = Patience(given["start_replicas"]), []
    for wish in given["computed_replicas"]:
        tick_s, delays_s = given["decision_interval_s"], (given["upscale_delay_s"], given["downscale_delay_s"])
        patience = step_patience(patience, wish, tick_s, *delays_s)
        patience = decode_patience(json.loads(json.dumps(encode_patience(patience))), 0)
        seen.append(patience.target_replicas)
    assert seen == expected["target_replicas"]


A100 = replace(make_variant("a", maximum=10), accelerator="A100", cost_per_hour=4.0)
V100 = replace(make_variant("v", maximum=10), accelerator="V100", cost_per_hour=3.0)
TABLE = {"A100:1": 10.0, "V100": 5.0}


def make_served(*variants: Variant, **options: Any) -> ServedModel:
    usual = {"target_qps_per_replica": TABLE, "upscale_delay": 0, "downscale_delay": 0}
    served = make_model(*variants, policy="skyserve")
    return replace(served, expected_workload=None, policy_options={**usual, **options})


def look(
    model: ServedModel,
    rate_per_s: float,
    ready: Mapping[str, int],
    published: Mapping[str, int] | None = None,
    *,
    is_complete: bool = True,
    workload: Workload | None = None,
) -> ModelView:
    lines = []
    for variant in model.variants:
        count, asked = ready.get(variant.name, 0), (published or ready).get(variant.name, 0)
        state = make_state(variant.name, tuple(f"{variant.name}-{place}" for place in range(count)), asked)
        starting = tuple(make_pod(f"{variant.name}+{place}", PodPhase.STARTING) for place in range(asked - count))
        state = replace(state, pods=(*state.pods, *starting))
        lines.append(VariantView(variant.key(), variant, state, asked, variant.cost_per_hour or 1.0))
    reason = None if is_complete else Reason(ReasonCode.PARTIAL_DATA, "one pod does not tell")
    demand = DemandNow(Observation(rate_per_s), reason, 0.0, None, 0.0, 15.0)
    return ModelView(model, tuple(lines), demand, DemandHistory(), LoadShares(), workload or make_workload(rate_per_s))


def ask(
    view: ModelView, state: Mapping[str, Any] | None = None, now_s: float = 100.0, settings: Settings = SETTINGS
) -> tuple[dict[str, int], FixedReplicas, dict[str, Any]]:
    proposal, memory = SkyServePolicy().propose(view, state or {}, now_s, settings)
    counts = {key.variant: count for key, count in proposal.by_variant.items()}
    return counts, proposal, json.loads(json.dumps(memory))


def test_what_is_missing_is_bought_cheapest_per_rate_first() -> None:
    served = make_served(A100, V100)
    assert ask(look(served, 35.0, {"v": 2}))[0] == {"a": 3, "v": 2}
    dear = make_served(replace(A100, cost_per_hour=9.0), V100)
    assert ask(look(dear, 35.0, {"a": 2}))[0] == {"a": 2, "v": 3}


def test_a_full_variant_passes_the_rest_to_the_next() -> None:
    served = make_served(replace(A100, max_replicas=2), V100)
    assert ask(look(served, 35.0, {"v": 2}))[0] == {"a": 2, "v": 3}


def test_a_limit_passes_the_rest_to_the_next_and_what_is_left_is_said() -> None:
    limit = Limit("A100", LimitKind.ACCELERATORS, {A100.key(): 1.0}, 1.0)
    settings = replace(SETTINGS, limits=(limit,))
    assert ask(look(make_served(A100, V100), 35.0, {"v": 1}), settings=settings)[0] == {"a": 1, "v": 5}
    few = make_served(A100, replace(V100, max_replicas=3))
    counts, proposal, _ = ask(look(few, 35.0, {"v": 1}), settings=settings)
    assert counts == {"a": 1, "v": 3}
    assert proposal.note is not None
    assert proposal.note.message == "bounds and limits leave 10/s of 35/s without a replica"


def test_what_is_on_its_way_is_not_bought_again_and_not_cancelled() -> None:
    served = make_served(A100)
    assert ask(look(served, 12.0, {"a": 1}, {"a": 2}))[0] == {"a": 2}
    assert ask(look(served, 25.0, {"a": 1}, {"a": 3}))[0] == {"a": 3}
    mixed = make_served(A100, V100)
    assert ask(look(mixed, 12.0, {"a": 1}, {"a": 1, "v": 3}))[0] == {"a": 1, "v": 1}


def test_the_dearest_per_rate_goes_first_and_what_stays_carries_more_than_the_arrivals() -> None:
    served = make_served(A100, V100)
    assert ask(look(served, 9.9, {"a": 1, "v": 1}))[0] == {"a": 1, "v": 0}
    assert ask(look(served, 10.0, {"a": 1, "v": 1}))[0] == {"a": 1, "v": 1}
    dear = make_served(replace(A100, cost_per_hour=9.0), V100)
    assert ask(look(dear, 4.9, {"a": 1, "v": 1}))[0] == {"a": 0, "v": 1}


def test_a_minimum_protects_its_variant_and_counts_for_what_stays() -> None:
    served = make_served(A100, replace(V100, min_replicas=1))
    assert ask(look(served, 4.0, {"a": 2, "v": 1}))[0] == {"a": 0, "v": 1}
    assert ask(look(served, 12.0, {"a": 2, "v": 1}))[0] == {"a": 1, "v": 1}


def test_the_first_arrival_wakes_it_and_silence_lets_it_go() -> None:
    served = make_served(A100, V100, upscale_delay="5m", downscale_delay="1m")
    counts, _, state = ask(look(served, 0.0, {}))
    assert counts == {"a": 0, "v": 0}
    counts, _, state = ask(look(served, 12.0, {}), state, 115.0)
    assert counts == {"a": 2, "v": 0}
    seen = []
    for tick in range(4):
        counts, _, state = ask(look(served, 0.0, {"a": 2}), state, 130.0 + 15.0 * tick)
        seen.append(counts["a"])
    assert seen == [2, 2, 2, 0]


def test_arrivals_not_all_seen_may_raise_and_never_lower() -> None:
    served = make_served(A100)
    assert ask(look(served, 4.0, {"a": 3}, is_complete=False))[0] == {"a": 3}
    assert ask(look(served, 44.0, {"a": 3}, is_complete=False))[0] == {"a": 5}


def test_delays_are_seconds_whatever_the_period() -> None:
    served, state, seen = make_served(A100, upscale_delay="60s"), None, []
    for now_s in (10.0, 40.0, 50.0, 60.0, 70.0):
        counts, _, state = ask(look(served, 35.0, {"a": 1}), state, now_s)
        seen.append(counts["a"])
    assert seen == [1, 1, 1, 4, 4]


def test_a_gap_counts_no_more_than_two_periods() -> None:
    served = make_served(A100, upscale_delay="60s")
    _, _, state = ask(look(served, 35.0, {"a": 1}), None, 10.0)
    counts, _, state = ask(look(served, 35.0, {"a": 1}), state, 1000.0)
    assert counts == {"a": 1}
    assert state["up_s"] == 45.0


def test_a_changed_table_counts_at_once_and_resets_nothing() -> None:
    served = make_served(A100, upscale_delay="60s")
    _, _, state = ask(look(served, 35.0, {"a": 1}), None, 15.0)
    changed = make_served(A100, upscale_delay="60s", target_qps_per_replica={"A100": 5.0})
    counts, _, state = ask(look(changed, 35.0, {"a": 1}), state, 30.0)
    assert (counts, state["up_s"], state["up_wish"]) == ({"a": 1}, 30.0, 4)
    _, _, state = ask(look(changed, 35.0, {"a": 1}), {**state, "up_s": 45.0, "up_wish": None}, 45.0)
    assert state["target_replicas"] == 7


def test_what_a_replica_is_counted_with_is_published_for_whoever_routes() -> None:
    _, proposal, _ = ask(look(make_served(A100, V100), 35.0, {"a": 1}))
    assert proposal.capacity_per_s == {A100.key(): 10.0, V100.key(): 5.0}


def test_a_count_that_is_fixed_needs_no_rate() -> None:
    fixed = replace(A100, min_replicas=2, max_replicas=2)
    served = replace(make_served(fixed), policy_options={})
    SkyServePolicy().check_options(served)
    _, proposal, _ = ask(look(served, 35.0, {"a": 1}))
    assert (proposal.by_variant, proposal.capacity_per_s) == ({fixed.key(): 2}, {})


def test_more_is_kept_on_top() -> None:
    assert ask(look(make_served(A100, num_overprovision=2), 15.0, {"a": 1}))[0] == {"a": 4}


def test_the_forecast_counts_not_the_last_sample() -> None:
    history = DemandHistory()
    for place in range(24):
        history = history.append(RateSample(15.0 * place, 15.0 * (place + 1), 1.0 + place))
    late = replace(look(make_served(replace(A100, startup_s=200.0)), 24.0, {"a": 1}), history=history)
    assert ask(late)[0]["a"] > 3


def test_one_rate_for_all_takes_the_cheaper_first() -> None:
    served = make_served(A100, V100, target_qps_per_replica=5)
    assert ask(look(served, 14.0, {}))[0] == {"a": 0, "v": 3}


def test_measured_rates_are_the_capacities_within_the_slo() -> None:
    quick = make_variant("quick", speed=2.0, cost_per_hour=1.5, maximum=9)
    served = make_served(make_variant("slow", maximum=9), quick, target_qps_per_replica="measured")
    rate_per_s = get_capacity_per_s(quick)
    assert ask(look(served, 2.5 * rate_per_s, {}))[0] == {"slow": 0, "quick": 3}
    unknown = make_served(replace(quick, performance=None), target_qps_per_replica="measured")
    _, proposal, state = ask(look(unknown, 5.0, {"quick": 2}))
    assert proposal.hold is not None
    assert (proposal.hold.code, state) == (ReasonCode.NO_PROFILE, {})


def test_a_variant_whose_rate_nobody_knows_stays_as_it_is() -> None:
    quick = make_variant("quick", maximum=9)
    strange = replace(make_variant("strange", maximum=9), performance=None)
    served = make_served(strange, quick, target_qps_per_replica="measured")
    counts, proposal, _ = ask(look(served, 2.5 * get_capacity_per_s(quick), {"strange": 4}))
    assert counts == {"strange": 4, "quick": 3}
    assert proposal.note is not None
    assert "strange is not known" in proposal.note.message


def test_given_rates_follow_the_lengths_where_both_are_known() -> None:
    variant = replace(make_variant("a", maximum=20), accelerator="A100")
    served = replace(make_served(variant), expected_workload=make_workload())
    longer = replace(
        make_workload(35.0),
        output_lengths=replace(OUTPUT, mean_tokens=3.0 * OUTPUT.mean_tokens, mean_square_tokens2=5e5),
        input_lengths=INPUT,
    )
    usual, long = ask(look(served, 35.0, {}))[0], ask(look(served, 35.0, {}, workload=longer))[0]
    assert usual == {"a": 4}
    assert long["a"] > 4
    fixed = replace(served, policy_options={**served.policy_options, "weigh_lengths": False})
    assert ask(look(fixed, 35.0, {}, workload=longer))[0] == {"a": 4}


@pytest.mark.parametrize(
    "broken", [{"target_replicas": -1}, {"target_replicas": 2, "up_s": "x"}, {"up_s": float("nan")}]
)
def test_a_memory_that_makes_no_sense_begins_at_what_is_there(broken: Mapping[str, Any]) -> None:
    proposal, _ = SkyServePolicy().propose(
        look(make_served(A100, upscale_delay=60), 35.0, {"a": 2}), broken, 1.0, SETTINGS
    )
    assert proposal.by_variant == {A100.key(): 2}


@pytest.mark.parametrize("seed", range(30))
def test_more_arrivals_never_ask_for_fewer_and_bounds_are_kept(seed: int) -> None:
    generator = np.random.default_rng(seed)
    offers = tuple(
        Offer(
            make_key(name),
            float(generator.integers(1, 9)),
            float(generator.integers(1, 9)),
            int(generator.integers(0, 2)),
            int(generator.integers(2, 6)),
        )
        for name in ("a", "b", "c")
    )
    statuses = (Status.READY, Status.STARTING)
    fleet = [
        FleetReplica(offer, statuses[int(generator.integers(0, 2))], place)
        for offer in offers
        for place in range(int(generator.integers(offer.min_replicas, (offer.max_replicas or 9) + 1)))
    ]
    market, last = Market(offers), 0
    least, most = sum(offer.min_replicas for offer in offers), sum(offer.max_replicas or 9 for offer in offers)
    for rate_per_s in np.linspace(0.0, 100.0, 60).tolist():
        wanted = compute_wanted(rate_per_s, fleet, market, least, most)
        assert last <= wanted.replicas <= most
        last = wanted.replicas
        counts = change_fleet(fleet, wanted.replicas, market)
        assert all(offer.min_replicas <= counts[offer.key] <= (offer.max_replicas or 9) for offer in offers)
        carried_per_s = sum(offer.rate_per_s * counts[offer.key] for offer in offers)
        assert carried_per_s >= rate_per_s or wanted.uncovered_per_s == pytest.approx(rate_per_s - carried_per_s)
        if sum(counts.values()) < len(fleet):
            assert carried_per_s > rate_per_s or not rate_per_s


@pytest.mark.parametrize("key", ["A100", "A100:4"])
def test_a_key_may_name_the_count_of_accelerators(key: str) -> None:
    four = replace(A100, accelerators_per_replica=4)
    served = make_served(four, target_qps_per_replica={key: 10.0})
    SkyServePolicy().check_options(served)
    assert ask(look(served, 35.0, {}))[0] == {"a": 4}


def test_the_key_with_the_count_goes_before_the_one_without() -> None:
    four = replace(A100, accelerators_per_replica=4)
    served = make_served(four, V100, target_qps_per_replica={"A100": 10.0, "A100:4": 40.0, "V100:1": 1.0})
    assert ask(look(served, 35.0, {}))[0] == {"a": 1, "v": 0}
