from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from optimizer.demand import DemandHistory, DemandNow, LoadShares, RateSample
from optimizer.domain import Observation, PodPhase, PodSignals, Reason, ReasonCode, ServedModel, Variant
from optimizer.errors import InvalidInput
from optimizer.policy import BUILT_IN_POLICIES, ModelView, OptionsChecker, PolicyState, SignalReader, VariantView
from optimizer.policy.aibrix import AibrixPolicy
from tests.builders.snapshots import make_state, make_workload
from tests.builders.story import get_capacity_per_s, make_model, make_settings, make_variant

SETTINGS = make_settings()
SMALL = make_variant("small", cost_per_hour=1.0, maximum=100)
LARGE = make_variant("large", cost_per_hour=1.5, speed=4.0, maximum=100)
BUSY = {"algorithm": "apa", "metric": {"series": "vllm:num_requests_running", "target": 10}}


def with_options(options: Mapping[str, object], *variants: Variant) -> ServedModel:
    return replace(make_model(*variants), policy="aibrix", policy_options=options)


def look(
    model: ServedModel,
    pods: Mapping[str, tuple[float | None, ...]],
    *,
    published: Mapping[str, int] | None = None,
    history: DemandHistory | None = None,
    now_s: float = 0.0,
) -> ModelView:
    lines, signals = [], []
    for variant in model.variants:
        values = pods.get(variant.name, ())
        state = make_state(variant.name, tuple(f"{variant.name}-{index}" for index in range(len(values))))
        count = len(values) if published is None else published.get(variant.name, len(values))
        lines.append(VariantView(variant.key(), variant, state, count, variant.cost_per_hour or 0.0))
        for pod, value in zip(state.pods, values, strict=True):
            missing = Reason(ReasonCode.SCRAPE_FAILED, "no answer")
            told = Observation(None, missing) if value is None else Observation(value)
            signals.append(PodSignals(pod.pod, variant.key(), now_s, {"metric": told}))
    samples = history or DemandHistory()
    rate = samples.samples[-1].rate_per_s if samples.samples else 4.0
    demand = DemandNow(Observation(rate), None, 0.0, None, 0.0, 15.0)
    return ModelView(model, tuple(lines), demand, samples, LoadShares(), make_workload(4.0), None, tuple(signals))


def run(
    model: ServedModel, values: tuple[float, ...], replicas: int, period_s: float = 10.0
) -> tuple[list[int], PolicyState]:
    """Every pod shows the value of the tick; what is proposed is there at the next one, and the state is stored."""
    policy, course = AibrixPolicy(), []
    state: PolicyState = {}
    name = model.variants[0].name
    for index, value in enumerate(values):
        view = look(model, {name: (value,) * replicas}, now_s=index * period_s)
        proposal, state = policy.propose(view, state, index * period_s, SETTINGS)
        state = json.loads(json.dumps(state))
        replicas = proposal.by_variant[model.variants[0].key()]
        course.append(replicas)
    return course, state


def test_it_is_built_in_and_says_what_it_reads() -> None:
    policy = BUILT_IN_POLICIES["aibrix"]
    assert isinstance(policy, SignalReader)
    assert isinstance(policy, OptionsChecker)
    (spec,) = policy.list_signals({})
    assert spec.series == "vllm:kv_cache_usage_perc"
    assert policy.list_signals(BUSY)[0].series == "vllm:num_requests_running"
    assert policy.list_signals({"algorithm": "optimizer"}) == ()


def test_apa_follows_the_ratio_of_value_and_target() -> None:
    course, _ = run(with_options(BUSY, SMALL), (10.0, 10.0, 30.0, 30.0), 2)
    assert course == [2, 2, 4, 8]  # means 10, 10, 16.7, 20


def test_kpa_takes_the_mean_over_pods_for_a_total_unless_told_to_add() -> None:
    mean, total = (with_options({**BUSY, "algorithm": "kpa", "source": source}, SMALL) for source in ("pod", "total"))
    assert run(mean, (20.0,), 6)[0] == [3]
    assert run(total, (20.0,), 6)[0] == [12]


def test_v0_4_adds_up_the_pods_and_panics_early() -> None:
    kpa = with_options({**BUSY, "algorithm": "kpa", "version": "v0.4", "scale_down_delay": "0s"}, SMALL)
    assert run(kpa, (10.0, 40.0, 10.0, 2.0), 1)[0] == [1, 2, 3, 3]  # stable mean 23.3
    apa = with_options({**BUSY, "version": "v0.4"}, SMALL)
    assert run(apa, (10.0, 40.0), 1)[0] == [1, 2]


def test_the_delay_of_v0_4_is_remembered_in_few_words() -> None:
    model = with_options({**BUSY, "algorithm": "kpa", "version": "v0.4", "scale_down_delay": "1m"}, SMALL)
    course, state = run(model, (10.0,) * 5 + (30.0,) * 30 + (1.0,) * 200, 1, period_s=1.0)
    peak = max(course)
    assert 40 <= course.count(peak) <= 140  # the panic window, the panic, and the delay after it
    assert course[-1] < peak
    assert len(state["memory"]["small"]["delay"]) < 5


@pytest.mark.parametrize("version", ["head", "v0.4"])
@pytest.mark.parametrize("algorithm", ["kpa", "apa"])
def test_without_any_report_what_is_there_is_kept(algorithm: str, version: str) -> None:
    model = with_options({**BUSY, "algorithm": algorithm, "version": version}, SMALL, LARGE)
    view = look(model, {"small": (None, None), "large": (None,)}, published={"small": 4})
    proposal, _ = AibrixPolicy().propose(view, {}, 0.0, SETTINGS)
    assert proposal.by_variant == {SMALL.key(): 4, LARGE.key(): 1}


def test_a_pod_that_does_not_tell_is_missing_and_not_idle() -> None:
    model = with_options({**BUSY, "algorithm": "kpa", "source": "total"}, SMALL)
    proposal, _ = AibrixPolicy().propose(look(model, {"small": (20.0, 20.0, None, None)}), {}, 0.0, SETTINGS)
    assert proposal.by_variant[SMALL.key()] == 8


def test_pods_that_start_carry_nothing_and_do_not_multiply_the_fleet() -> None:
    for algorithm in ("apa", "kpa"):
        model = with_options({**BUSY, "algorithm": algorithm}, SMALL)
        view = look(model, {"small": (40.0, 40.0)}, published={"small": 8})
        (line,) = view.variants
        starting = make_state("small", ("small-8", "small-9"), phase=PodPhase.STARTING).pods
        line = replace(line, state=replace(line.state, pods=(*line.state.pods, *starting)))
        proposal, _ = AibrixPolicy().propose(replace(view, variants=(line,)), {}, 0.0, SETTINGS)
        assert proposal.by_variant[SMALL.key()] == 8, algorithm


def test_every_variant_is_scaled_by_its_own_pods_within_its_own_bounds() -> None:
    model = with_options(BUSY, replace(SMALL, max_replicas=3), replace(LARGE, min_replicas=2))
    proposal, _ = AibrixPolicy().propose(look(model, {"small": (50.0,) * 2, "large": (0.0,) * 2}), {}, 0.0, SETTINGS)
    assert proposal.by_variant == {SMALL.key(): 3, LARGE.key(): 2}


def test_what_is_remembered_belongs_to_one_algorithm_and_broken_memory_is_forgotten() -> None:
    model = with_options(BUSY, SMALL)
    _, state = run(model, (40.0, 40.0), 2)
    view = look(model, {"small": (10.0,) * 2}, now_s=20.0)
    fresh, _ = AibrixPolicy().propose(view, {}, 20.0, SETTINGS)
    for broken in (
        {**state, "kind": "kpa head"},
        {**state, "memory": {"small": {"stable": 3}}},
        {**state, "memory": 7},
    ):
        again, _ = AibrixPolicy().propose(view, broken, 20.0, SETTINGS)
        assert again == fresh


def make_history(rates_per_s: tuple[float, ...], period_s: float = 15.0) -> DemandHistory:
    history = DemandHistory()
    for index, rate_per_s in enumerate(rates_per_s):
        history = history.append(RateSample(index * period_s, (index + 1) * period_s, rate_per_s))
    return history


def optimize(model: ServedModel, rates_per_s: tuple[float, ...]) -> list[dict[str, int]]:
    policy, course = AibrixPolicy(), []
    state: PolicyState = {}
    published = {variant.name: 1 for variant in model.variants}
    for index in range(len(rates_per_s)):
        now_s = 15.0 * (index + 1)
        view = look(model, {}, published=published, history=make_history(rates_per_s[: index + 1]), now_s=now_s)
        proposal, state = policy.propose(view, state, now_s, SETTINGS)
        state = json.loads(json.dumps(state))
        assert len(json.dumps(state)) < 64_000
        published = {key.variant: count for key, count in proposal.by_variant.items()}
        course.append(published)
    return course


def test_the_optimizer_buys_what_is_cheapest_for_the_rate() -> None:
    model = with_options({"algorithm": "optimizer"}, SMALL, LARGE)
    (first, *_, last) = optimize(model, (20.0,) * 20)
    assert first == last == {"small": 0, "large": last["large"]}
    assert 0.5 <= last["large"] * get_capacity_per_s(LARGE) / 20.0 <= 3.0


def test_the_optimizer_follows_its_profiles_and_the_end_of_traffic() -> None:
    grid = [[64, 1024], [256, 4096]]
    profiles = {
        "small": {"cost": 1.0, "tputs": [[5.0, 5.0], [5.0, 5.0]], "indexes": grid},
        "large": {"cost": 9.0, "tputs": [[9.0, 9.0], [9.0, 9.0]], "indexes": grid, "gpu": "large", "created": 1.0},
    }
    course = optimize(with_options({"algorithm": "optimizer", "profiles": profiles}, SMALL, LARGE), (20.0,) * 8)
    assert course == [{"small": 4, "large": 0}] * 8
    falling = optimize(
        with_options({"algorithm": "optimizer", "profiles": profiles}, SMALL, LARGE), (20.0,) * 4 + (0.0,) * 24
    )
    counts = [entry["small"] for entry in falling]
    assert counts[:4] == [4] * 4
    assert counts[4:] == sorted(counts[4:], reverse=True)
    assert counts[-1] == 1  # somebody may still come, and nothing else wakes it


def test_the_optimizer_keeps_what_is_there_until_requests_were_seen_and_leaves_alone_what_it_does_not_know() -> None:
    unknown = replace(SMALL, name="unknown", performance=None)
    model = with_options({"algorithm": "optimizer"}, unknown, LARGE)
    view = look(model, {}, published={"unknown": 3, "large": 2})
    proposal, state = AibrixPolicy().propose(view, {}, 0.0, SETTINGS)
    assert proposal.by_variant == {unknown.key(): 3, LARGE.key(): 2}
    view = look(model, {}, published={"unknown": 3, "large": 2}, history=make_history((40.0,)), now_s=15.0)
    proposal, _ = AibrixPolicy().propose(view, state, 15.0, SETTINGS)
    assert proposal.by_variant[unknown.key()] == 3


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (
            {"algoritm": "kpa", "version": "0.4", "max_scale_up_rate": 0},
            ("did you mean algorithm?", "version must be one of head, v0.4", "max_scale_up_rate must be"),
        ),
        ({"max_scale_up_rate": 0.5}, ("max_scale_up_rate must be a number >= 1, got 0.5",)),
        ({"max_scale_down_rate": 0.5}, ("max_scale_down_rate must be a number >= 1, got 0.5",)),
        ({"metric": {"series": "x"}}, ("metric.target must be given with series",)),
        ({"metric": {"series": "x", "target": 0, "kind": "quantile"}}, ("metric.target must be", "metric.quantile")),
        (
            {"algorithm": "kpa", "version": "v0.4", "scale_down_cooldown_window": "5m", "source": "total"},
            ("scale_down_cooldown_window must be left out with algorithm kpa of version v0.4", "source must be left"),
        ),
        ({"algorithm": "kpa", "panic_window": "4m"}, ("panic_window must be <= observe_window, which is 180 s",)),
        (
            {"algorithm": "optimizer", "profiles": {"smal": {"tputs": [[1]], "indexes": [[1], [2, 1]], "tput": 1}}},
            ("must be the name of a variant, one of small", "did you mean tputs?", "ascending"),
        ),
        ({"algorithm": "optimizer", "profiles": {"small": {"tputs": "many"}}}, ("tputs must be", "indexes must be")),
        (
            {"algorithm": "apa", "profiles": {"small": {"tputs": [[1]], "indexes": [[1], [2]]}}},
            ("profiles must be left out",),
        ),
        (
            {
                "algorithm": "optimizer",
                "profiles": {
                    "small": {"tputs": [[1]], "indexes": [[1], [2]]},
                    "large": {"tputs": [[1]], "indexes": [[1], [3]]},
                },
            },
            ("profiles on one grid",),
        ),
    ],
)
def test_every_wrong_option_is_named_at_once(options: dict[str, object], parts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput) as caught:
        AibrixPolicy().check_options(with_options(options, SMALL, LARGE))
    for part in parts:
        assert part in str(caught.value)


def test_apa_must_have_an_upper_bound() -> None:
    unbounded = replace(SMALL, max_replicas=None)
    with pytest.raises(
        InvalidInput,
        match=r"^variants\[0\].max_replicas must be given, or max_replicas of the model, with algorithm apa",
    ):
        AibrixPolicy().check_options(with_options(BUSY, unbounded))
    AibrixPolicy().check_options(with_options({}, unbounded))
    AibrixPolicy().check_options(replace(with_options(BUSY, unbounded), max_replicas=9))
    model = replace(with_options(BUSY, unbounded), max_replicas=3)
    proposal, _ = AibrixPolicy().propose(look(model, {"small": (90.0, 90.0)}), {}, 0.0, SETTINGS)
    assert proposal.by_variant[SMALL.key()] == 3
