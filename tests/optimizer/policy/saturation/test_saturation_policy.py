from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

from optimizer.demand import DemandHistory, DemandNow, LoadShares
from optimizer.domain import (
    Observation,
    PodPhase,
    PodSignals,
    PodState,
    Reason,
    ReasonCode,
    ServedModel,
    Variant,
    VariantState,
)
from optimizer.errors import InvalidInput
from optimizer.policy import BUILT_IN_POLICIES, ModelView, OptionsChecker, PolicyState, SignalReader, VariantView
from optimizer.policy.saturation import SaturationPolicy
from optimizer.policy.saturation.readings import PeakHistory, find_peak, track_peaks
from tests.builders.snapshots import make_pod_key, make_workload
from tests.builders.story import make_model, make_settings, make_variant

SETTINGS = make_settings()
CHEAP, DEAR = make_variant("cheap", cost_per_hour=1.0), make_variant("dear", cost_per_hour=4.0)
KV_TOKENS = 100_000.0


def make_pods(variant: Variant, loads: tuple[tuple[float, float] | None, ...]) -> tuple[PodState, ...]:
    pods = []
    for index, load in enumerate(loads):
        key = make_pod_key(f"{variant.name}-{index}")
        if load is None:
            pods.append(
                PodState(key, PodPhase.READY, reason=Reason(ReasonCode.SCRAPE_FAILED, "no answer"), ready_s=0.0)
            )
        else:
            pods.append(
                PodState(
                    key,
                    PodPhase.READY,
                    seen_s=15.0,
                    waiting_requests=load[1],
                    kv_cache_ratio=load[0],
                    kv_capacity_tokens=KV_TOKENS,
                )
            )
    return tuple(pods)


def look(
    model: ServedModel,
    loads: Mapping[str, tuple[tuple[float, float] | None, ...]],
    *,
    published: Mapping[str, int] | None = None,
    silent_s: float = 0.0,
    rate_per_s: float = 4.0,
    now_s: float = 15.0,
) -> ModelView:
    lines = []
    for variant in model.variants:
        pods = tuple(replace(pod, seen_s=now_s) for pod in make_pods(variant, loads.get(variant.name, ())))
        count = len(pods) if published is None else published.get(variant.name, len(pods))
        state = VariantState(variant.key(), count, pods)
        lines.append(VariantView(variant.key(), variant, state, count, variant.cost_per_hour or 0.0))
    demand = DemandNow(Observation(rate_per_s), None, 0.0, None, silent_s, 15.0)
    return ModelView(model, tuple(lines), demand, DemandHistory(), LoadShares(), make_workload(rate_per_s))


def propose(view: ModelView, state: PolicyState | None = None, now_s: float = 15.0) -> dict[str, int]:
    proposal, _ = SaturationPolicy().propose(view, state or {}, now_s, SETTINGS)
    return {key.variant: count for key, count in proposal.by_variant.items()}


def with_options(options: Mapping[str, object], *variants: Variant) -> ServedModel:
    return replace(make_model(*variants), policy="saturation", policy_options=options)


V1, V2 = with_options({"version": "v1"}, CHEAP, DEAR), with_options({}, CHEAP, DEAR)


def test_it_is_built_in_and_says_what_it_reads() -> None:
    policy = BUILT_IN_POLICIES["saturation"]
    assert isinstance(policy, SignalReader)
    assert isinstance(policy, OptionsChecker)
    assert policy.list_signals({"version": "v1"}) == ()
    assert {spec.window_s for spec in policy.list_signals({"length_window": "2m"})} == {120.0}


def test_v1_adds_one_of_the_cheapest_and_takes_one_of_the_dearest() -> None:
    assert propose(look(V1, {"cheap": ((0.78, 0.0),) * 2, "dear": ((0.75, 1.0),) * 2})) == {"cheap": 3, "dear": 2}
    assert propose(look(V1, {"cheap": ((0.1, 0.0),) * 2, "dear": ((0.1, 0.0),) * 2})) == {"cheap": 2, "dear": 1}


def test_v1_waits_for_what_was_asked_for() -> None:
    view = look(V1, {"cheap": ((0.9, 9.0),) * 2, "dear": ((0.9, 9.0),)}, published={"cheap": 3})
    assert propose(view) == {"cheap": 3, "dear": 1}


@pytest.mark.parametrize("model", [V1, V2], ids=["v1", "v2"])
def test_without_any_report_what_was_asked_for_is_kept(model: ServedModel) -> None:
    view = look(model, {"cheap": (None, None), "dear": (None,)}, published={"cheap": 5})
    assert propose(view) == {"cheap": 5, "dear": 1}


def test_a_pod_that_does_not_tell_is_not_an_idle_one() -> None:
    told = propose(look(V1, {"cheap": ((0.79, 4.0), (0.0, 0.0), (0.0, 0.0))}))
    untold = propose(look(V1, {"cheap": ((0.79, 4.0), None, None)}))
    assert told["cheap"] == 2
    assert untold["cheap"] == 3


def test_v2_asks_for_all_that_is_required_at_once_of_the_least_price_per_token() -> None:
    view = look(V2, {"cheap": ((0.79, 0.0),), "dear": ((0.79, 60.0),)})
    # 79 000 + 79 000 + 60 prompts of 1000 tokens over 0.85, less 80 000 (cheap) and 79 000 (dear, saturated)
    assert propose(view) == {"cheap": 3, "dear": 1}


@pytest.mark.parametrize("kv_ratio", [0.1, 0.5, 0.6, 0.75, 0.95])
@pytest.mark.parametrize("told", [1, 2, 4])
def test_a_pod_that_does_not_tell_is_no_supply_that_v2_gives_back_or_counts_on(kv_ratio: float, told: int) -> None:
    loads = ((kv_ratio, 0.0),) * told
    alone = propose(look(V2, {"cheap": loads}))["cheap"]
    for silent in (1, 3, 9):
        beside = propose(look(V2, {"cheap": (*loads, *(None,) * silent)}))["cheap"]
        assert beside - silent == alone


def test_v2_keeps_pods_whose_cache_nobody_knows() -> None:
    view = look(V2, {"cheap": ((0.1, 0.0),) * 3})
    line = view.variants[0]
    unknown = tuple(replace(pod, kv_capacity_tokens=None) for pod in line.state.pods)
    blind = replace(line, state=replace(line.state, pods=unknown))
    assert propose(replace(view, variants=(blind, *view.variants[1:])))["cheap"] == 3


def test_v2_never_asks_for_fewer_under_more_load() -> None:
    asked = [
        sum(propose(look(V2, {"cheap": ((percent / 100, 0.0),) * 4, "dear": ((percent / 100, 0.0),)})).values())
        for percent in range(0, 101, 2)
    ]
    assert asked == sorted(asked)
    assert asked[0] == 1
    assert asked[-1] > 5


def test_bounds_of_variants_are_kept() -> None:
    bounded = with_options({}, replace(CHEAP, min_replicas=2, max_replicas=3), DEAR)
    assert propose(look(bounded, {"cheap": ((0.99, 4.0),) * 3, "dear": ((0.99, 4.0),)})) == {"cheap": 3, "dear": 4}
    assert propose(look(bounded, {"cheap": ((0.0, 0.0),) * 3, "dear": ((0.0, 0.0),)})) == {"cheap": 2, "dear": 0}


def test_gauges_count_with_their_peak_of_the_last_minute() -> None:
    policy = SaturationPolicy()
    state: PolicyState = {}
    asked = []
    for now_s, kv_ratio in ((0.0, 0.95), (30.0, 0.3), (60.0, 0.3), (75.0, 0.3)):
        view = look(V2, {"cheap": ((kv_ratio, 0.0),) * 2}, now_s=now_s)
        proposal, memory = policy.propose(view, state, now_s, SETTINGS)
        state = json.loads(json.dumps(memory))
        asked.append(proposal.by_variant[CHEAP.key()])
    assert asked == [3, 3, 3, 2]


def test_a_peak_counts_for_the_window_and_at_most_a_third_more_however_often_pods_are_asked() -> None:
    chance = random.Random(5)
    for period_s in (1.0, 5.0, 7.0, 15.0):
        history: PeakHistory = {}
        loads = [(period_s * step, chance.random(), chance.uniform(0, 9)) for step in range(100)]
        for now_s, kv_ratio, waiting in loads:
            (pod,) = make_pods(CHEAP, ((kv_ratio, waiting),))
            history = track_peaks(history, (replace(pod, seen_s=now_s),), now_s, 60.0)
            (samples,) = history.values()
            for index, found in enumerate(find_peak(samples), 1):
                least = max(load[index] for load in loads if now_s - 60.0 <= load[0] <= now_s)
                most = max(load[index] for load in loads if now_s - 80.0 <= load[0] <= now_s)
                assert least <= found <= most
            assert len(samples) <= 5


def test_what_makes_no_sense_is_forgotten() -> None:
    view = look(V2, {"cheap": ((0.5, 0.0),)})
    for broken in ({"peaks": 3}, {"records": {"cheap": {"capacity_tokens": "many"}}}, {"saturated_tokens": [1]}):
        assert propose(view, broken) == propose(view)


def test_lengths_of_a_pod_come_from_its_own_page_else_from_the_llm() -> None:
    view = look(V2, {"cheap": ((0.5, 40.0),)})
    rates = {"input_tokens_per_s": 100.0, "output_tokens_per_s": 50.0, "requests_per_s": 1.0}
    pod = view.variants[0].state.pods[0].pod
    told = PodSignals(pod, CHEAP.key(), 15.0, {name: Observation(rate) for name, rate in rates.items()})
    short, usual = propose(replace(view, signals=(told,))), propose(view)
    assert short["cheap"] == 2  # 50 000 + 40 * 100 over 0.85, less 50 000
    assert usual["cheap"] == 3  # 50 000 + 40 * 1000


def test_an_idle_model_goes_to_zero_and_a_wanted_one_wakes() -> None:
    idle = look(V2, {"cheap": ((0.0, 0.0),)}, silent_s=1e4, rate_per_s=0.0)
    assert propose(idle) == {"cheap": 0, "dear": 0}
    assert propose(look(V2, {}, rate_per_s=1.0)) == {"cheap": 1, "dear": 0}
    forbidden = with_options({}, replace(CHEAP, max_replicas=0), DEAR)
    assert propose(look(forbidden, {}, rate_per_s=1.0)) == {"cheap": 0, "dear": 1}
    assert propose(look(V2, {}, rate_per_s=0.0)) == {"cheap": 0, "dear": 0}


@pytest.mark.parametrize(
    ("version", "given"),
    [
        ("v1", {"scale_up_threshold": 0.9, "scale_down_boundary": 0.6, "length_window": "60s"}),
        ("v2", {"kv_spare_trigger": 0.2, "queue_spare_trigger": 2}),
    ],
)
def test_options_of_the_other_version_are_refused(version: str, given: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        SaturationPolicy().check_options(with_options({"version": version, **given}, CHEAP))
    assert str(caught.value).split("; ") == [
        f"policy_options.{key} must be left out with version {version}, got {value!r}" for key, value in given.items()
    ]
    other = {"v1": "v2", "v2": "v1"}[version]
    SaturationPolicy().check_options(with_options({"version": other, **given}, CHEAP))


def test_thresholds_are_judged_by_the_version_that_they_count_for() -> None:
    low = {"kv_cache_threshold": 0.05, "queue_length_threshold": 1}  # below the spare that v1 asks for by default
    SaturationPolicy().check_options(with_options({"version": "v2", **low}, CHEAP))
    with pytest.raises(InvalidInput, match=r"kv_spare_trigger must be < kv_cache_threshold.*queue_spare_trigger must"):
        SaturationPolicy().check_options(with_options({"version": "v1", **low}, CHEAP))


def test_every_wrong_option_is_named_at_once() -> None:
    options = {"version": "v3", "kv_cache_treshold": 0.7, "scale_down_boundary": 0.9, "queue_length_threshold": 0}
    with pytest.raises(InvalidInput) as caught:
        SaturationPolicy().check_options(with_options(options, CHEAP))
    message = str(caught.value)
    for part in (
        "policy_options.version must be one of v1, v2",
        "did you mean kv_cache_threshold?",
        "policy_options.scale_down_boundary must be < scale_up_threshold, which is 0.85",
        "policy_options.queue_length_threshold must be",
    ):
        assert part in message
