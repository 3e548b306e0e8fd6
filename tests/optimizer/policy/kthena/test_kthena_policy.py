"""The policy `kthena`: what it mends of the peer, in figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optimizer.demand import DemandHistory, DemandNow, LoadShares
from optimizer.domain import (
    Observation,
    PodSignals,
    Reason,
    ReasonCode,
    Role,
    ServedModel,
    SignalKind,
    SignalSpec,
    Variant,
)
from optimizer.policy import FixedReplicas, ModelView, OptionsChecker, SignalReader, VariantView
from optimizer.policy.kthena import KthenaPolicy
from tests.builders.snapshots import make_pod_key, make_state, make_workload
from tests.builders.story import get_capacity_per_s, make_model, make_settings, make_variant

SETTINGS = make_settings()
WAITING = "vllm:num_requests_waiting"
OPTIONS: dict[str, Any] = {
    "metrics": [{"name": "waiting", "target_value": 10}],
    "metric_sources": {"waiting": {"series": WAITING}},
}
FREE = {
    "scale_up": {"stable_policy": {"period": 0}},
    "scale_down": {"period": 0, "stabilization_window": 0},
}
Values = Mapping[str, list[float | None]]


def make_served(*variants: Variant, **options: Any) -> ServedModel:
    return replace(make_model(*variants, policy="kthena"), policy_options={**OPTIONS, **options})


def look(model: ServedModel, values: Values, published: Mapping[str, int] | None = None, silent_s: float = 0.0) -> Any:
    """Show the LLM with one pod per value, None for a pod that does not tell; the others that are asked for start."""
    lines, signals = [], list[PodSignals]()
    for variant in model.variants:
        told = values.get(variant.name, [])
        key = variant.key(variant.main_role)
        names = tuple(f"{variant.name}-{index}" for index in range(len(told)))
        count = (published or {}).get(variant.name, len(told))
        state = replace(make_state(variant.name, names, requested=count), key=key)
        lines.append(VariantView(key, variant, state, count, variant.cost_per_hour or 1.0))
        signals += [
            PodSignals(make_pod_key(name), key, 0.0, {"waiting": _observe(value)})
            for name, value in zip(names, told, strict=True)
        ]
    demand = DemandNow(Observation(4.0), None, 0.0, None, silent_s, 15.0)
    workload = make_workload(4.0)
    return ModelView(model, tuple(lines), demand, DemandHistory(), LoadShares(), workload, signals=tuple(signals))


def _observe(value: float | None) -> Observation:
    return Observation.absent(ReasonCode.SCRAPE_FAILED, "no answer") if value is None else Observation(value)


def ask(view: ModelView, state: Mapping[str, Any] | None = None, now_s: float = 100.0) -> tuple[FixedReplicas, Any]:
    proposal, memory = KthenaPolicy().propose(view, state or {}, now_s, SETTINGS)
    return proposal, json.loads(json.dumps(memory))


def count(proposal: FixedReplicas) -> dict[str, int]:
    return {key.variant: replicas for key, replicas in proposal.by_variant.items()}


SOLO = make_variant("solo", maximum=100)


def test_five_percent_over_at_ten_replicas_holds() -> None:
    proposal, _ = ask(look(make_served(SOLO), {"solo": [10.5] * 10}))
    assert count(proposal) == {"solo": 10}


def test_the_load_of_one_replica_on_ten_shrinks() -> None:
    proposal, _ = ask(look(make_served(SOLO, behavior=FREE), {"solo": [1.05] * 10}))
    assert count(proposal) == {"solo": 2}


def test_a_pod_that_does_not_tell_counts_as_on_target_when_shrinking_and_stops_nobody() -> None:
    proposal, _ = ask(look(make_served(SOLO, behavior=FREE), {"solo": [1.0] * 9 + [None]}))
    assert count(proposal) == {"solo": 2}


def test_replicas_that_start_damp_growth_and_do_not_block_shrinking() -> None:
    served = make_served(SOLO, behavior=FREE)
    assert count(ask(look(served, {"solo": [30.0] * 2}, {"solo": 6}))[0]) == {"solo": 6}
    assert count(ask(look(served, {"solo": [30.0] * 2}, {"solo": 3}))[0]) == {"solo": 6}
    assert count(ask(look(served, {"solo": [15.0] * 2}, {"solo": 4}))[0]) == {"solo": 4}
    assert count(ask(look(served, {"solo": [1.0] * 5}, {"solo": 6}))[0]) == {"solo": 1}


@pytest.mark.parametrize("values", [{"solo": [None, None]}, {}])
def test_without_any_report_it_holds_and_remembers_nothing_new(values: Values) -> None:
    _, before = ask(look(make_served(SOLO), {"solo": [10.0] * 2}))
    proposal, after = ask(look(make_served(SOLO), values, {"solo": 2}), before, 115.0)
    assert proposal.hold is not None
    assert proposal.hold.code in (ReasonCode.METRIC_MISSING, ReasonCode.NO_PODS)
    assert (count(proposal), after) == ({"solo": 2}, before)


def test_a_variant_at_zero_does_not_stop_the_others_from_shrinking() -> None:
    big = make_variant("big", cost_per_hour=3.0, maximum=8)
    served = make_served(make_variant("small", maximum=8), big, behavior=FREE)
    assert count(ask(look(served, {"small": [3.75] * 8}))[0]) == {"small": 3, "big": 0}


def test_growth_and_shrinking_keep_the_webhooks_limits() -> None:
    model, state, seen = make_served(SOLO), None, list[int]()
    for index, value in enumerate([10.0, 100.0, 100.0, 10.0, 10.0]):
        replicas = seen[-1] if seen else 2
        proposal, state = ask(look(model, {"solo": [value * 2 / replicas] * replicas}), state, 15.0 * index + 15.0)
        seen.append(count(proposal)["solo"])
    assert seen == [2, 6, 6, 6, 6]


def run(model: ServedModel, totals: list[float], start: Mapping[str, int], step_s: float = 15.0) -> list[int]:
    """Follow the proposals at once, the load spread evenly; return the replicas together."""
    state, now, seen = None, dict(start), list[int]()
    for index, total in enumerate(totals):
        pods = max(sum(now.values()), 1)
        values: Values = {name: [total / pods] * replicas for name, replicas in now.items()}
        proposal, state = ask(look(model, values), state, step_s * (index + 1))
        now = count(proposal)
        seen.append(sum(now.values()))
    return seen


def test_a_peak_is_released_once_it_has_left_the_window() -> None:
    group = make_served(make_variant("a", maximum=10), make_variant("b", cost_per_hour=2.0, maximum=10))
    seen = run(group, [100.0] * 2 + [20.0] * 42, {"a": 5, "b": 5})
    assert seen[:22] == [10] * 22
    assert set(seen[22:]) == {2}


def test_panic_grows_at_once_does_not_shrink_and_says_so() -> None:
    panic = {"panic_policy": {"ratio": 10.0, "period": "1m", "panic_mode_hold": "1m"}}
    behavior = {"scale_up": panic, "scale_down": {"stabilization_window": 0, "period": 0}}
    served = make_served(SOLO, behavior=behavior)
    assert run(served, [20.0, 20.0, 200.0, 30.0, 30.0, 30.0, 30.0, 30.0], {"solo": 2}) == [2, 2, 20, 20, 20, 20, 20, 3]
    proposal, _ = ask(look(served, {"solo": [100.0] * 2}))
    assert proposal.note is not None
    assert "panic for 60 s" in proposal.note.message


def test_a_raised_minimum_is_no_panic() -> None:
    panic = {"scale_up": {"panic_policy": {"ratio": 10.0, "period": "1m", "panic_mode_hold": "1m"}}}
    raised = replace(SOLO, min_replicas=9)
    proposal, state = ask(look(make_served(raised, behavior=panic), {"solo": [10.0] * 2}))
    assert proposal.note is None
    assert state["groups"]["solo"]["panic_until_s"] is None


def test_where_nothing_is_to_run_there_is_no_panic() -> None:
    panic = {"scale_up": {"panic_policy": {"ratio": 10.0, "period": "1m", "panic_mode_hold": "1m"}}}
    proposal, state = ask(look(make_served(SOLO, behavior=panic), {"solo": [90.0] * 2}, {"solo": 0}))
    assert proposal.note is None
    assert state["groups"]["solo"]["panic_until_s"] is None


def test_panic_ends_when_it_is_switched_off() -> None:
    panic = {"scale_up": {"panic_policy": {"ratio": 10.0, "period": "1m", "panic_mode_hold": "5m"}}}
    _, state = ask(look(make_served(SOLO, behavior=panic), {"solo": [90.0] * 2}))
    assert state["groups"]["solo"]["panic_until_s"] == 400.0
    proposal, state = ask(look(make_served(SOLO, behavior=FREE), {"solo": [1.0] * 8}), state, 115.0)
    assert (count(proposal), proposal.note) == ({"solo": 1}, None)


def test_windows_survive_a_change_of_options_if_their_lengths_do() -> None:
    _, state = ask(look(make_served(SOLO), {"solo": [10.0] * 8}))
    held, _ = ask(look(make_served(SOLO, tolerance_ratio=0.2), {"solo": [1.0] * 8}), state, 115.0)
    assert count(held) == {"solo": 8}
    shorter = {"scale_down": {"stabilization_window": "10s"}}
    released, _ = ask(look(make_served(SOLO, behavior=shorter), {"solo": [1.0] * 8}), state, 115.0)
    assert count(released) == {"solo": 1}


@pytest.mark.parametrize("broken", [{"groups": 3}, {"groups": {"solo": {"highest_recommended": {"length_s": 300.0}}}}])
def test_a_memory_that_makes_no_sense_is_a_fresh_one(broken: Mapping[str, Any]) -> None:
    proposal, _ = ask(look(make_served(SOLO), {"solo": [20.0] * 2}), broken)
    assert count(proposal) == {"solo": 4}


def test_a_group_counts_replicas_by_what_they_are_good_for() -> None:
    small, big = make_variant("small", maximum=8), make_variant("big", cost_per_hour=1.5, maximum=8)
    weighted = make_served(small, big, behavior=FREE, capacity_per_s={"small": 1.0, "big": 2.0})
    alike = make_served(small, big, behavior=FREE)
    values: Values = {"small": [20.0] * 4}
    assert count(ask(look(alike, values))[0]) == {"small": 4, "big": 4}
    proposal, _ = ask(look(weighted, values))
    assert count(proposal) == {"small": 2, "big": 3}
    assert proposal.capacity_per_s == {small.key(): 1.0, big.key(): 2.0}


def test_measured_weights_are_the_capacities_within_the_slo_or_all_alike() -> None:
    small, big = make_variant("small", maximum=8), make_variant("big", speed=2.0, cost_per_hour=1.5, maximum=8)
    weights = {entry.name: get_capacity_per_s(entry) for entry in (small, big)}
    values: Values = {"small": [20.0] * 4}
    given = make_served(small, big, behavior=FREE, capacity_per_s=weights)
    measured = make_served(small, big, behavior=FREE, capacity_per_s="measured")
    assert count(ask(look(measured, values))[0]) == count(ask(look(given, values))[0])
    unknown = make_served(small, replace(big, performance=None), behavior=FREE, capacity_per_s="measured")
    proposal, _ = ask(look(unknown, values))
    assert proposal.note is not None
    assert proposal.note.code is ReasonCode.NO_PROFILE
    assert count(proposal) == {"small": 4, "big": 4}


def test_a_need_beyond_the_bounds_is_said() -> None:
    small = make_variant("small", maximum=3)
    weights = {"small": 2.0, "big": 1.0}
    served = make_served(small, make_variant("big", maximum=3), behavior=FREE, capacity_per_s=weights)
    proposal, _ = ask(look(served, {"small": [90.0] * 3}))
    assert count(proposal) == {"small": 3, "big": 3}
    assert proposal.note is not None
    assert proposal.note.code is ReasonCode.SHORTAGE


def test_variants_can_be_scaled_each_by_its_own_pods() -> None:
    served = make_served(SOLO, make_variant("duo", maximum=100), target="homogeneous", behavior=FREE)
    proposal, _ = ask(look(served, {"solo": [20.0] * 2, "duo": [None] * 3}))
    assert count(proposal) == {"solo": 4, "duo": 3}
    assert proposal.note is not None
    assert proposal.note.code is ReasonCode.METRIC_MISSING


PREFILL = replace(make_variant("p", minimum=1, maximum=8), roles=(Role.PREFILL,))
DECODE = replace(make_variant("d", minimum=1, maximum=16), roles=(Role.DECODE,))
RATIO = {"numerator_role": "prefill", "denominator_role": "decode", "min_ratio": 0.25, "max_ratio": 1.0}


def test_roles_are_brought_into_proportion_before_the_limits() -> None:
    served = make_served(PREFILL, DECODE, ratio_constraint=RATIO, behavior=FREE)
    assert count(ask(look(served, {"p": [10.0], "d": [20.0] * 4}))[0]) == {"p": 2, "d": 8}
    limited = make_served(PREFILL, DECODE, ratio_constraint={**RATIO, "max_ratio": 0.5})
    proposal, _ = ask(look(limited, {"p": [80.0], "d": [1.0]}))
    assert count(proposal) == {"p": 5, "d": 5}
    assert proposal.note is not None
    assert "5 prefill to 5 decode is out of proportion for now" in proposal.note.message


def test_one_role_that_does_not_tell_holds_both() -> None:
    proposal, _ = ask(look(make_served(PREFILL, DECODE), {"p": [60.0], "d": [None] * 4}))
    assert proposal.hold is not None
    assert count(proposal) == {"p": 1, "d": 4}


def test_a_fixed_role_needs_no_metric() -> None:
    fixed = replace(DECODE, min_replicas=3, max_replicas=3)
    served = make_served(PREFILL, fixed, behavior=FREE)
    assert count(ask(look(served, {"p": [30.0], "d": [None] * 3}))[0]) == {"p": 3, "d": 3}


def test_series_of_one_metric_are_added_up_and_a_quantile_of_silence_is_zero() -> None:
    both = {"metrics": [{"name": "load", "target_value": 5}]}
    sources = {"load": {"series": ["running", "waiting"], "labels": {"engine": "0"}}}
    specs = KthenaPolicy().list_signals({**both, "metric_sources": sources})
    labels = {"engine": "0"}
    assert specs == (SignalSpec("load/0", "running", labels=labels), SignalSpec("load/1", "waiting", labels=labels))
    quantile = {
        "waiting": {
            "series": "vllm:time_to_first_token_seconds",
            "kind": "quantile",
            "quantile_ratio": 0.95,
            "window": "2m",
        }
    }
    served = make_served(SOLO, metric_sources=quantile, behavior=FREE)
    (spec,) = KthenaPolicy().list_signals(served.policy_options)
    assert (spec.kind, spec.quantile_ratio, spec.window_s) == (SignalKind.QUANTILE, 0.95, 120.0)
    assert ask(look(served, {"solo": [None] * 4}, silent_s=60.0))[0].hold is not None
    quiet = look(served, {"solo": [None] * 4}, silent_s=120.0)
    assert count(ask(quiet)[0]) == {"solo": 0}
    partly = replace(quiet.demand, reason=Reason(ReasonCode.PARTIAL_DATA, "one pod does not tell"))
    assert ask(replace(quiet, demand=partly))[0].hold is not None
    assert count(ask(look(served, {"solo": [float("inf")] * 2}))[0]) == {"solo": 20}


@pytest.mark.parametrize("seed", range(30))
def test_more_load_never_asks_for_fewer_and_bounds_are_kept(seed: int) -> None:
    generator = np.random.default_rng(seed)
    variants = tuple(
        make_variant(
            name,
            cost_per_hour=float(generator.integers(1, 9)),
            minimum=int(generator.integers(0, 3)),
            maximum=int(generator.integers(3, 9)),
        )
        for name in ("a", "b", "c")
    )
    weights = {entry.name: float(generator.integers(1, 5)) for entry in variants}
    served = make_served(*variants, behavior=FREE, capacity_per_s=weights, cost_expansion_ratio=float(seed % 5) / 2)
    published = {entry.name: int(generator.integers(entry.min_replicas, entry.max_replicas or 9)) for entry in variants}
    last: dict[str, int] = {entry.name: 0 for entry in variants}
    for level in np.linspace(0.0, 60.0, 25):
        values: Values = {name: [float(level)] * replicas for name, replicas in published.items()}
        proposal, _ = ask(look(served, values))
        now = count(proposal)
        if proposal.hold is not None:
            assert not any(published.values())
            continue
        for entry in variants:
            assert entry.min_replicas <= now[entry.name] <= (entry.max_replicas or 9)
            assert now[entry.name] >= last[entry.name]
        last = now


def test_it_is_a_reader_of_signals_and_a_checker_of_options() -> None:
    assert isinstance(KthenaPolicy(), SignalReader)
    assert isinstance(KthenaPolicy(), OptionsChecker)


def test_everything_worth_a_word_is_said_in_one_sentence() -> None:
    behavior = {"scale_up": {"panic_policy": {"ratio": 10.0, "period": "1m", "panic_mode_hold": "1m"}}}
    served = make_served(SOLO, make_variant("duo", maximum=9), target="homogeneous", behavior=behavior)
    proposal, _ = ask(look(served, {"solo": [40.0], "duo": [None]}))
    assert proposal.note is not None
    assert proposal.note.message == ("no pod of duo tells waiting; solo is in panic for 60 s more, and does not shrink")
