from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from optimizer.domain import (
    Counter,
    FleetSnapshot,
    Gauge,
    Histogram,
    HistogramReading,
    LatencyQuantity,
    ModelSnapshot,
    PodPhase,
    PodReading,
    PodState,
    Role,
    ServiceClass,
    Slo,
    Variant,
    VariantState,
)
from optimizer.errors import InvalidInput
from optimizer.policy.dynamo import Aim, PlannerSettings, PredictorKind
from optimizer.policy.dynamo.iteration_fit import CELLS, LEAST_SAMPLES, MOST_SAMPLES
from optimizer.simulation.decider import Decider, ScraperView
from optimizer.simulation.deciders.dynamo import DynamoDecider, make_dynamo
from optimizer.simulation.deciders.dynamo_pools import make_dynamo_pools
from optimizer.simulation.deciders.dynamo_settings import DynamoMode
from optimizer.simulation.deciders.dynamo_tables import sweep_aggregated, sweep_decode, sweep_prefill
from tests.builders.snapshots import MODEL, make_pod_key
from tests.builders.story import make_model, make_variant

POOL = make_variant("pool", maximum=20)
KEY = POOL.key()
WIDE = PlannerSettings(aim=Aim.SLA, max_accelerators=-1)


def make_histogram(count: float, mean: float) -> HistogramReading:
    return HistogramReading((1e9,), (count,), count, count * mean)


def make_page(
    name: str,
    time_s: float,
    ended: float,
    *,
    kv_ratio: float = 0.3,
    waiting: float = 0.0,
    ttft_s: float = 0.2,
    itl_s: float = 0.03,
) -> PodReading:
    """Return a page on which `ended` requests of 1000 and 200 tokens had ended."""
    return PodReading(
        make_pod_key(name),
        MODEL.model_id,
        "vllm",
        time_s,
        counters={
            Counter.FINISHED: ended,
            Counter.PROMPT_TOKENS: 1000.0 * ended,
            Counter.ITERATIONS: 20.0 * ended,
        },
        gauges={
            Gauge.RUNNING_REQUESTS: 10.0,
            Gauge.WAITING_REQUESTS: waiting,
            Gauge.KV_CACHE_RATIO: kv_ratio,
            Gauge.KV_CAPACITY_TOKENS: 400_000.0,
        },
        histograms={
            Histogram.INPUT_TOKENS: make_histogram(ended, 1000.0),
            Histogram.OUTPUT_TOKENS: make_histogram(ended, 200.0),
            Histogram.TTFT: make_histogram(ended, ttft_s),
            Histogram.TTLT: make_histogram(ended, ttft_s + 200.0 * itl_s),
            Histogram.ITL: make_histogram(200.0 * ended, itl_s),
        },
    )


def look(now_s: float, pages: Mapping[Variant, tuple[PodReading, ...]], requested: int | None = None) -> ScraperView:
    states, wanted = [], {}
    for variant, readings in pages.items():
        key = variant.key(variant.main_role)
        pods = tuple(
            PodState(reading.pod, PodPhase.READY, seen_s=reading.time_s, running_requests=10.0, waiting_requests=0.0)
            for reading in readings
        )
        states.append(VariantState(key, len(pods), pods))
        wanted[key] = len(pods) if requested is None else requested
    snapshot = FleetSnapshot(now_s, (ModelSnapshot(MODEL, tuple(states)),))
    every = tuple(reading for readings in pages.values() for reading in readings)
    return ScraperView(now_s, snapshot, wanted, {MODEL: every})


def run_rate(decider: DynamoDecider, rates_per_s: tuple[float, ...], replicas: int = 2) -> list[int]:
    ended, course = 0.0, []
    for index, rate_per_s in enumerate(rates_per_s, 1):
        ended += rate_per_s * 180.0 / replicas
        pages = tuple(make_page(f"pool-{pod}", 180.0 * index, ended) for pod in range(replicas))
        course.append(decider.step(look(180.0 * index, {POOL: pages}))[KEY])
    return course


def test_it_comes_with_the_intervals_and_the_budget_of_the_peer() -> None:
    load: Decider = make_dynamo((make_model(POOL),))
    rate: Decider = make_dynamo((make_model(POOL),), DynamoMode.RATE)
    assert (load.period_s, rate.period_s) == (5.0, 180.0)
    assert load.signals == rate.signals == {}
    assert run_rate(make_dynamo((make_model(POOL),), DynamoMode.RATE), (200.0,)) == [8]


def test_the_planner_ships_what_its_configuration_says() -> None:
    usual = PlannerSettings()
    assert (usual.aim, usual.predictor, usual.environment) == (Aim.THROUGHPUT, PredictorKind.ARIMA, "kubernetes")
    assert (usual.target_ttft_s, usual.target_itl_s) == (0.5, 0.05)
    assert (usual.throughput_interval_s, usual.load_interval_s) == (180.0, 5.0)
    assert (usual.min_replicas, usual.min_accelerators, usual.max_accelerators) == (1, -1, 8)
    assert (usual.max_step_replicas, usual.sensitivity_ratio) == (8, 0.8)
    assert (usual.least_observations, usual.most_samples, usual.cells) == (5, 64, 16)
    assert (LEAST_SAMPLES, MOST_SAMPLES, CELLS) == (5, 64, 16)


def test_the_rate_path_divides_what_ended_by_what_a_replica_carries_in_bounded_steps() -> None:
    decider = make_dynamo((make_model(POOL),), DynamoMode.RATE, WIDE)
    few, more, many = run_rate(decider, (2.0, 20.0, 500.0))
    assert few <= more <= many == 10  # eight more than the two that are there
    constant = run_rate(make_dynamo((make_model(POOL),), DynamoMode.RATE, WIDE), (6.0,) * 8)
    assert len(set(constant)) == 1


def test_without_ended_requests_and_without_pages_nothing_moves() -> None:
    decider = make_dynamo((make_model(POOL),), DynamoMode.RATE, WIDE)
    assert run_rate(decider, (0.0, 0.0), replicas=3) == [3, 3]
    blind = PodState(make_pod_key("pool-0"), PodPhase.READY)
    view = look(5.0, {POOL: ()}, requested=1)
    dark = ModelSnapshot(MODEL, (VariantState(KEY, 1, (blind,)),))
    view = replace(view, snapshot=FleetSnapshot(5.0, (dark,)))
    assert make_dynamo((make_model(POOL),)).step(view) == {KEY: 1}


@pytest.mark.parametrize(
    ("kv_ratio", "waiting", "wanted"), [(0.7, 0.0, 2), (0.9, 60.0, 3), (0.2, 0.0, 1), (0.2, 180.0, 2)]
)
def test_the_load_path_follows_cache_and_queue_by_one(kv_ratio: float, waiting: float, wanted: int) -> None:
    decider = make_dynamo((make_model(POOL),))
    pages = tuple(make_page(f"pool-{pod}", 10.0, 100.0, kv_ratio=kv_ratio, waiting=waiting) for pod in range(2))
    assert decider.step(look(10.0, {POOL: pages})) == {KEY: wanted}


def test_the_load_path_waits_for_what_was_asked_and_for_fresh_pages() -> None:
    decider = make_dynamo((make_model(POOL),))
    hot = tuple(make_page(f"pool-{pod}", 10.0, 100.0, kv_ratio=1.0, waiting=9.0) for pod in range(2))
    assert decider.step(look(10.0, {POOL: hot})) == {KEY: 3}
    assert decider.step(look(15.0, {POOL: hot}, requested=3)) == {KEY: 3}
    assert decider.step(look(20.0, {POOL: hot})) == {KEY: 2}
    fresh = tuple(replace(page, time_s=25.0) for page in hot)
    assert decider.step(look(25.0, {POOL: fresh})) == {KEY: 3}


def test_the_budget_holds_the_load_path() -> None:
    decider = make_dynamo((make_model(POOL),), settings=PlannerSettings(max_accelerators=2))
    hot = tuple(make_page(f"pool-{pod}", 10.0, 100.0, kv_ratio=1.0, waiting=9.0) for pod in range(2))
    assert decider.step(look(10.0, {POOL: hot})) == {KEY: 2}


def test_estimates_of_fitted_laws_ask_for_more_when_the_target_is_missed() -> None:
    settings = PlannerSettings(aim=Aim.SLA, is_load_on=True, is_throughput_on=False, target_itl_s=0.03)
    decider = make_dynamo((make_model(POOL),), settings=settings)
    ended, asked, views = 0.0, [], []
    for index in range(1, 9):
        ended += 50.0 + index
        kv_ratio = 0.1 * index
        # what an engine does whose iterations take 5 ms and 0.1 us per token held
        itl_s = 0.005 + 1e-7 * 400_000.0 * kv_ratio + 1e-6 * 50.0
        pages = tuple(make_page(f"pool-{pod}", 5.0 * index, ended, kv_ratio=kv_ratio, itl_s=itl_s) for pod in range(2))
        views.append(look(5.0 * index, {POOL: pages}))
        asked.append(decider.step(views[-1])[KEY])
    assert asked[:2] == [2, 2]  # fewer than five measurements
    assert asked[-1] == 3
    patient = make_dynamo((make_model(POOL),), settings=replace(settings, least_observations=99))
    assert [patient.step(view)[KEY] for view in views] == [2] * len(views)


def test_promises_of_an_llm_are_its_targets_where_they_are_known() -> None:
    model, asked = make_model(POOL), {}
    for itl_s in (0.02, 0.2):
        slos = (Slo(LatencyQuantity.TTFT, 2.0), Slo(LatencyQuantity.ITL, itl_s))
        classes = (ServiceClass("usual", (Slo(LatencyQuantity.ITL, 9.0),)), ServiceClass("strict", slos))
        decider = make_dynamo((replace(model, service_classes=classes),), knows_promises=True)
        for index in range(1, 7):  # as many measurements as a law needs, of iterations that take 30 ms
            pages = (make_page(f"pool-{pod}", 5.0 * index, 100.0 * index, kv_ratio=0.45) for pod in range(2))
            asked[itl_s] = decider.step(look(5.0 * index, {POOL: tuple(pages)}))[KEY]
    assert asked == {0.02: 3, 0.2: 1}  # thresholds of the cache would take one away, whatever is promised
    patient = replace(model, service_classes=(ServiceClass("patient", (Slo(LatencyQuantity.ITL, 0.2),)),))
    rates = [make_dynamo((patient,), DynamoMode.RATE, WIDE, knows_promises=knows) for knows in (False, True)]
    shipped, told = (run_rate(decider, (15.0,))[-1] for decider in rates)
    assert told < shipped < 10  # 200 ms instead of 50 ms, and no step that is cut


def test_what_the_peer_refuses_is_refused() -> None:
    with pytest.raises(InvalidInput, match="is_throughput_on"):
        make_dynamo((make_model(POOL),), settings=PlannerSettings(aim=Aim.SLA, is_throughput_on=False))
    with pytest.raises(InvalidInput, match="cells"):
        make_dynamo_pools((make_model(POOL),), settings=PlannerSettings(cells=15))


# --- A pair of pools --------------------------------------------------------------------------------------------------
PREFILL = replace(make_variant("prefill"), roles=(Role.PREFILL,))
DECODE = replace(make_variant("decode"), roles=(Role.DECODE,))


def look_at_pair(now_s: float, ended: float, **page: float) -> ScraperView:
    return look(
        now_s,
        {variant: (make_page(variant.name, now_s, ended, **page),) for variant in (PREFILL, DECODE)},
    )


def test_the_first_generation_plans_both_pools_out_of_tables_within_its_budget() -> None:
    model = make_model(PREFILL, DECODE)
    settings = replace(WIDE, target_itl_s=0.06)
    asked = []
    for rate_per_s in (0.5, 5.0, 40.0):
        decider = make_dynamo_pools((model,), settings=settings)
        wanted = decider.step(look_at_pair(180.0, 180.0 * rate_per_s))
        asked.append((wanted[PREFILL.key(Role.PREFILL)], wanted[DECODE.key(Role.DECODE)]))
    assert asked[0] == (1, 1)
    assert asked[0] <= asked[1] <= asked[2]
    assert asked[2][0] > 1
    assert asked[2][1] > 1
    bounded = make_dynamo_pools((model,)).step(look_at_pair(180.0, 180.0 * 40.0))
    assert sum(bounded.values()) <= 8


def test_the_first_generation_keeps_what_is_there_while_anything_is_missing() -> None:
    decider = make_dynamo_pools((make_model(PREFILL, DECODE),))
    assert set(decider.step(look_at_pair(180.0, 0.0)).values()) == {1}
    assert make_dynamo_pools((make_model(POOL),)).step(look(180.0, {POOL: ()}, requested=3)) == {}


def test_thresholds_move_either_pool_by_one() -> None:
    decider = make_dynamo_pools((make_model(PREFILL, DECODE),), DynamoMode.LOAD)
    wanted = decider.step(look_at_pair(10.0, 100.0, kv_ratio=0.9, waiting=9.0))
    assert wanted == {PREFILL.key(Role.PREFILL): 2, DECODE.key(Role.DECODE): 1}
    again = make_dynamo_pools((make_model(PREFILL, DECODE),), DynamoMode.LOAD)
    assert sum(again.step(look_at_pair(10.0, 100.0, kv_ratio=1.0, waiting=9.0)).values()) == 4


@pytest.mark.parametrize(
    ("waiting", "itl_s", "wanted"),
    [(40.0, 0.03, (2, 1)), (0.0, 0.06, (1, 2)), (40.0, 0.06, (2, 2)), (0.0, 0.03, (1, 1))],
)
def test_estimates_move_the_pool_whose_target_is_missed(waiting: float, itl_s: float, wanted: tuple[int, int]) -> None:
    settings = PlannerSettings(aim=Aim.SLA, is_load_on=True, is_throughput_on=False)  # 0.5 s and 0.05 s
    decider = make_dynamo_pools((make_model(PREFILL, DECODE),), DynamoMode.LOAD, settings)
    for index in range(1, 7):
        now_s = 5.0 * index
        prefill = make_page("prefill", now_s, 100.0 * index, waiting=waiting, kv_ratio=0.01)
        decode = make_page("decode", now_s, 100.0 * index, itl_s=itl_s, kv_ratio=0.3)
        view = look(now_s, {PREFILL: (prefill,), DECODE: (decode,)})
        asked = decider.step(view)
        if index < 5:  # fewer measurements than a law of decode needs
            assert asked[DECODE.key(Role.DECODE)] == 1
    # 41 000 prompt tokens at 120 us each are 5 s of TTFT
    assert (asked[PREFILL.key(Role.PREFILL)], asked[DECODE.key(Role.DECODE)]) == wanted


def test_sweeps_say_what_the_performance_model_says() -> None:
    law = sweep_aggregated(POOL, 1100.0)
    assert law is not None
    assert law.per_prefill_token_s == pytest.approx(120e-6, rel=1e-6)
    assert law.per_kv_token_s == pytest.approx(0.12e-6 + 0.00012 / 1100.0, rel=1e-6)
    assert law.fixed_s == pytest.approx(0.0227, rel=1e-6)
    prefill, decode = sweep_prefill(POOL), sweep_decode(POOL)
    assert prefill is not None
    assert decode is not None
    assert prefill.find_ttft_s(1024.0) == pytest.approx(0.0227 + 1024.0 * 120e-6, rel=1e-3)
    assert prefill.find_ttft_s(8192.0) == pytest.approx(4 * 0.0227 + 8192.0 * 120e-6, rel=1e-3)
    requests = 0.5 * 400_000.0 / 4096.0
    expected_s = 0.0227 + requests * 0.00012 + 200_000.0 * 0.12e-6
    assert decode.find_itl_s(0.5, 4096.0) == pytest.approx(expected_s, rel=0.03)
    unknown = replace(POOL, performance=None)
    assert sweep_aggregated(unknown, 1100.0) is None
    assert sweep_prefill(unknown) is None
    assert sweep_decode(unknown) is None
