"""Pages of one pod over time, and the figures that a policy asked for: rates, quantiles, present values."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import pytest

from optimizer.demand import SignalHistory, compute_signals, empty_reading, track_signals
from optimizer.demand.signals import PAGES_PER_WINDOW
from optimizer.domain import (
    HistogramReading,
    Observation,
    PodKey,
    PodReading,
    Reason,
    ReasonCode,
    SignalKind,
    SignalSpec,
    VariantKey,
)

POD = PodKey("default", "pod-a")
VARIANT = VariantKey("default", "llm", "h100")
GAUGE = SignalSpec("waiting", "vllm:num_requests_waiting")
RATE = SignalSpec("finished", "vllm:request_success_total", SignalKind.RATE, window_s=60.0)
MEDIAN = SignalSpec("ttft", "vllm:ttft_seconds", SignalKind.QUANTILE, quantile_ratio=0.5, window_s=60.0)


def read(time_s: float, start_s: float | None = 1.0, **series: float | HistogramReading) -> PodReading:
    return PodReading(POD, "llm", "vllm", time_s, start_s=start_s, series=series)


def track(*readings: PodReading, specs: tuple[SignalSpec, ...] = (RATE,)) -> SignalHistory:
    history = SignalHistory(specs)
    for reading in readings:
        history = track_signals(history, reading)
    return history


def get(history: SignalHistory, name: str, now_s: float = 1e9, max_age_s: float = math.inf) -> Observation:
    return compute_signals(history, POD, VARIANT, now_s, max_age_s=max_age_s).values[name]


def get_code(history: SignalHistory, name: str) -> ReasonCode:
    observation = get(history, name)
    assert observation.reason is not None
    assert observation.value is None
    return observation.reason.code


def test_a_gauge_is_its_newest_value() -> None:
    history = track(read(10.0, waiting=7.0), read(20.0, waiting=3.0), specs=(GAUGE,))
    assert get(history, "waiting") == Observation(3.0)
    assert compute_signals(history, POD, VARIANT, 25.0).time_s == 20.0


def test_one_page_tells_no_rate_and_two_do() -> None:
    assert get_code(track(read(10.0, finished=100.0)), "finished") is ReasonCode.FIRST_READING
    assert get(track(read(10.0, finished=100.0), read(20.0, finished=150.0)), "finished") == Observation(5.0)


def test_a_rate_reaches_back_over_its_window_and_no_further() -> None:
    """Ten a second until 100 s, then two: after a whole window nothing of the ten is left."""
    pages = [read(t, finished=10.0 * min(t, 100.0) + 2.0 * max(t - 100.0, 0.0)) for t in range(0, 161, 5)]
    assert get(track(*pages[:21]), "finished").value == pytest.approx(10.0)
    assert get(track(*pages[:27]), "finished").value == pytest.approx(6.0)  # half and half at 130 s
    assert get(track(*pages), "finished").value == pytest.approx(2.0)


def test_after_a_long_gap_a_rate_begins_anew() -> None:
    before, after = read(0.0, finished=0.0), read(1800.0, finished=100.0)
    assert get_code(track(before, after), "finished") is ReasonCode.FIRST_READING
    assert get(track(before, after, read(1830.0, finished=3100.0)), "finished") == Observation(100.0)


def test_a_page_that_is_not_newer_changes_nothing() -> None:
    history = track(read(10.0, finished=100.0))
    assert track_signals(history, read(10.0, finished=200.0)) is history


@pytest.mark.parametrize("start_s", [1.0, None])
def test_a_count_that_falls_begins_anew_and_says_so(start_s: float | None) -> None:
    before = (read(10.0, start_s, finished=100.0), read(20.0, start_s, finished=150.0))
    history = track(*before, read(30.0, start_s, finished=4.0))
    assert get_code(history, "finished") is ReasonCode.COUNTER_RESET
    assert get(track_signals(history, read(40.0, start_s, finished=34.0)), "finished") == Observation(3.0)


def test_another_start_begins_anew_also_where_no_count_fell() -> None:
    history = track(read(10.0, finished=3.0), read(20.0, start_s=15.0, finished=8.0))
    assert get_code(history, "finished") is ReasonCode.COUNTER_RESET


def test_where_the_start_is_told_another_series_that_fell_resets_no_other() -> None:
    other = SignalSpec("other", "x_total", SignalKind.RATE)
    history = track(read(0.0, finished=0.0, other=9.0), read(10.0, finished=20.0, other=1.0), specs=(RATE, other))
    assert get(history, "finished") == Observation(2.0)
    assert get_code(history, "other") is ReasonCode.COUNTER_RESET


def test_a_series_that_appears_with_its_first_use_counts_from_zero() -> None:
    assert get(track(read(0.0), read(10.0, finished=30.0)), "finished") == Observation(3.0)


def test_the_first_page_of_a_pod_whose_birth_was_seen_already_tells_a_rate() -> None:
    assert get(track(empty_reading(POD, "llm", "vllm", 5.0), read(15.0, finished=30.0)), "finished") == Observation(3.0)


def test_a_page_without_the_series_says_so_and_the_next_one_bridges_it() -> None:
    history = track(read(0.0, finished=0.0), read(10.0))
    assert get_code(history, "finished") is ReasonCode.METRIC_MISSING
    assert get(track_signals(history, read(20.0, finished=60.0)), "finished") == Observation(3.0)


def to_histogram(**below: float) -> HistogramReading:
    """Return counts at or below 1 s and 2 s, and of all."""
    return HistogramReading((1.0, 2.0), (below["one"], below["two"]), below["all"], 0.0)


def test_a_quantile_is_of_what_the_histogram_gained_in_the_window() -> None:
    old = to_histogram(one=1000.0, two=1000.0, all=1000.0)  # all fast, long ago
    new = to_histogram(one=1000.0, two=1010.0, all=1010.0)
    assert get(track(read(0.0, ttft=old), read(10.0, ttft=new), specs=(MEDIAN,)), "ttft") == Observation(1.5)


def test_a_quantile_above_the_last_edge_is_infinite_and_of_too_few_absent() -> None:
    old, slow = to_histogram(one=0.0, two=0.0, all=0.0), to_histogram(one=0.0, two=0.0, all=10.0)
    assert get(track(read(0.0, ttft=old), read(10.0, ttft=slow), specs=(MEDIAN,)), "ttft") == Observation(math.inf)
    few = to_histogram(one=1.0, two=1.0, all=1.0)
    history = track(read(0.0, ttft=old), read(10.0, ttft=few), specs=(MEDIAN,))
    assert get_code(history, "ttft") is ReasonCode.FEW_SAMPLES


def test_a_figure_of_the_wrong_kind_is_absent() -> None:
    shape = to_histogram(one=0.0, two=0.0, all=10.0)
    assert get_code(track(read(0.0, waiting=shape), specs=(GAUGE,)), "waiting") is ReasonCode.METRIC_MISSING
    history = track(read(0.0, ttft=1.0), read(10.0, ttft=2.0), specs=(MEDIAN,))
    assert get_code(history, "ttft") is ReasonCode.METRIC_MISSING


def test_without_a_page_and_with_one_too_old_everything_is_absent() -> None:
    assert get_code(SignalHistory((RATE, GAUGE)), "finished") is ReasonCode.NO_DATA
    failed = Reason(ReasonCode.SCRAPE_TIMEOUT, "pod-a took longer than 5 s")
    history = track(read(10.0, waiting=3.0), specs=(GAUGE,))
    assert get(history, "waiting", now_s=70.0, max_age_s=60.0) == Observation(3.0)
    stale = compute_signals(history, POD, VARIANT, 71.0, max_age_s=60.0, reason=failed)
    assert stale.values["waiting"] == Observation(reason=failed)
    assert get(history, "waiting", now_s=71.0, max_age_s=60.0).reason == Reason(
        ReasonCode.STALE, "pod-a: its newest page is 61 s old"
    )


@pytest.mark.parametrize("seed", range(40))
def test_memory_is_bounded_and_a_steady_rate_comes_out_whatever_the_pages(seed: int) -> None:
    draw = random.Random(seed)
    pauses_s = [draw.uniform(0.01, 10.0 ** draw.uniform(-1.0, 1.5)) for _ in range(120)]
    window_s, growth_per_s = 10.0 ** draw.uniform(0.0, 2.8), draw.uniform(0.0, 100.0)
    spec = SignalSpec("finished", "x_total", SignalKind.RATE, window_s=window_s)
    history, now_s = SignalHistory((spec,)), 0.0
    for pause_s in pauses_s:
        now_s += pause_s
        history = track_signals(history, read(now_s, finished=growth_per_s * now_s))
        kept = history.samples["finished"]
        assert len(kept) <= PAGES_PER_WINDOW + 3
        assert kept[0].time_s in (pauses_s[0], *(s.time_s for s in kept if s.time_s <= now_s - window_s))
        assert len(kept) < 3 or kept[1].time_s > now_s - window_s
    assert get(history, "finished").value == pytest.approx(growth_per_s, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_the_rate_is_that_of_the_pages_themselves(seed: int) -> None:
    """One page a second within one window: the growth from the first page to the last, over the time between them."""
    draw = random.Random(seed)
    counts = sorted(draw.uniform(0.0, 1000.0) for _ in range(draw.randint(2, 30)))
    history = track(*(read(float(i), finished=count) for i, count in enumerate(counts)))
    assert get(history, "finished").value == pytest.approx((counts[-1] - counts[0]) / (len(counts) - 1))


def test_signals_name_pod_and_variant_and_hold_one_value_for_every_spec() -> None:
    signals = compute_signals(track(read(1.0, waiting=2.0), specs=(GAUGE, RATE)), POD, VARIANT, 3.0)
    values: Mapping[str, Observation] = signals.values
    assert (signals.pod, signals.variant, set(values)) == (POD, VARIANT, {"waiting", "finished"})
