"""What people are shown of the traffic: sums over pods and over the last minute, with hand-computed answers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from optimizer import Settings, TrafficHistory, track_traffic
from optimizer.domain import (
    DecisionSettings,
    DemandSource,
    DemandWindow,
    FleetSnapshot,
    Histogram,
    HistogramReading,
    LatencyQuantity,
    LengthSums,
    ModelSnapshot,
    ModelTraffic,
    PodKey,
    PodPhase,
    PodState,
    Reason,
    ReasonCode,
    ServedModel,
    ServiceClass,
    Slo,
    Variant,
    VariantState,
    WorkloadRef,
)

VARIANT = Variant("prod", "llama", "l40s", WorkloadRef("prod", "llama-l40s"), "L40S")
TTFT_TARGET = Slo(LatencyQuantity.TTFT, 1.0)
MODEL = ServedModel("prod", "llama", (ServiceClass("chat", (TTFT_TARGET,)),), (VARIANT,))
SETTINGS = Settings((MODEL,), ())
PODS = (PodKey("prod", "one"), PodKey("prod", "two"))


def make_window(pod: PodKey, start_s: float, arrivals: float, within: float, slow: float) -> DemandWindow:
    """A window of 10 s with `within` requests at most 1 s from their first token and `slow` others within 2 s."""
    ttft = HistogramReading((1.0, 2.0), (within, within + slow), within + slow, within * 0.5 + slow * 1.5)
    return DemandWindow(
        start_s,
        start_s + 10.0,
        DemandSource.HTTP_REQUESTS,
        pod=pod,
        arrivals=arrivals,
        input_lengths=LengthSums(within + slow, 100.0 * (within + slow), 10_000.0 * (within + slow)),
        prompt_tokens=200.0,
        cached_tokens=50.0,
        generated_tokens=300.0,
        iterations=None if pod == PODS[1] else 400.0,
        latencies={Histogram.TTFT: ttft},
    )


def make_snapshot(time_s: float, *windows: DemandWindow, gateway: DemandWindow | None = None) -> FleetSnapshot:
    pods = tuple(PodState(pod, PodPhase.READY) for pod in PODS)
    model = ModelSnapshot(MODEL.key, (VariantState(VARIANT.key(), 2, pods),), windows, gateway)
    return FleetSnapshot(time_s, (model,))


def play(*snapshots: FleetSnapshot, settings: Settings = SETTINGS) -> ModelTraffic:
    history = TrafficHistory()
    traffic: tuple[ModelTraffic, ...] = ()
    for snapshot in snapshots:
        history, traffic = track_traffic(history, snapshot, settings)
    return traffic[0]


def test_adds_up_pods_and_passes() -> None:
    model = play(
        make_snapshot(10.0, make_window(PODS[0], 0.0, 20.0, 15.0, 5.0), make_window(PODS[1], 0.0, 10.0, 10.0, 0.0)),
        make_snapshot(20.0, make_window(PODS[0], 10.0, 40.0, 30.0, 10.0), make_window(PODS[1], 10.0, 10.0, 10.0, 0.0)),
    )
    assert model.newest is not None
    assert model.newest.arrivals == pytest.approx(50.0)
    traffic = model.traffic
    assert traffic is not None
    assert traffic.start_s == pytest.approx(0.0)
    assert traffic.end_s == 20.0
    assert traffic.rate_per_s.value == pytest.approx(4.0)
    assert traffic.input_tokens.value == pytest.approx(100.0)
    assert traffic.cached_ratio.value == pytest.approx(0.25)
    assert traffic.generated_tokens_per_s.value == pytest.approx(60.0)
    assert traffic.finished_requests == 80.0
    ttft = traffic.latencies[Histogram.TTFT]
    assert ttft.count == 80.0
    assert ttft.mean_s == pytest.approx((65 * 0.5 + 15 * 1.5) / 80)
    assert traffic.attained[0].ratio.value == pytest.approx(65 / 80)
    assert model.variants[0].traffic == traffic


def test_what_not_every_page_tells_is_absent_with_its_reason() -> None:
    traffic = play(make_snapshot(10.0, *(make_window(pod, 0.0, 20.0, 5.0, 0.0) for pod in PODS))).traffic
    assert traffic is not None
    assert traffic.iterations_per_s.reason is not None
    assert traffic.iterations_per_s.reason.code is ReasonCode.METRIC_MISSING
    assert traffic.output_tokens.reason is not None


def test_forgets_what_is_older_than_a_minute() -> None:
    snapshots = [make_snapshot(t + 10.0, make_window(PODS[0], t, t, 1.0, 0.0)) for t in (0.0, 10.0, 70.0, 80.0)]
    traffic = play(*snapshots).traffic
    assert traffic is not None
    assert (traffic.start_s, traffic.end_s) == (70.0, 90.0)
    assert traffic.rate_per_s.value == pytest.approx(7.5)


def test_forgets_what_is_older_than_a_minute_also_when_nothing_new_is_seen() -> None:
    window = make_window(PODS[0], 0.0, 20.0, 5.0, 0.0)
    kept, forgotten = (play(make_snapshot(10.0, window), make_snapshot(time_s)) for time_s in (60.0, 60.1))
    assert kept.traffic is not None
    assert forgotten.traffic is None
    assert forgotten.variants[0].traffic is None


def test_never_reaches_back_more_than_a_minute_whatever_was_seen_and_when() -> None:
    times_s = [0.0, 2.0, 4.0, 9.0, 50.0, 61.0, 130.0, 131.0, 140.0, 199.0]
    windows = [
        replace(make_window(PODS[0], start_s, 1.0, 1.0, 0.0), end_s=end_s) for start_s, end_s in pairwise(times_s)
    ]
    for number, window in enumerate(windows):
        snapshots = [make_snapshot(entry.end_s + 0.5, entry) for entry in windows[: number + 1]]
        traffic = play(*snapshots).traffic
        assert traffic is None or traffic.start_s >= window.end_s + 0.5 - 60.0
        assert (traffic is None) is (window.duration_s > 59.5)


def test_passes_further_apart_than_a_minute_still_show_their_newest_window() -> None:
    windows = [replace(make_window(PODS[0], t, 120.0, 1.0, 0.0), end_s=t + 120.0) for t in (0.0, 120.0, 240.0)]
    settings = replace(SETTINGS, decision=DecisionSettings(period_s=120.0, stale_after_s=240.0))
    traffic = play(*(make_snapshot(window.end_s + 1.0, window) for window in windows), settings=settings).traffic
    assert traffic is not None
    assert (traffic.start_s, traffic.end_s) == (240.0, 360.0)


def test_a_lost_page_leaves_what_was_seen_before() -> None:
    window = make_window(PODS[0], 0.0, 20.0, 5.0, 0.0)
    lost = DemandWindow(10.0, 20.0, DemandSource.NONE, pod=PODS[0], reason=Reason(ReasonCode.SCRAPE_FAILED, "refused"))
    model = play(make_snapshot(10.0, window), make_snapshot(20.0, lost))
    assert model.newest is None
    assert model.traffic is not None
    assert model.traffic.end_s == 10.0


def test_a_gateway_tells_arrivals_and_pods_tell_the_rest() -> None:
    gateway = DemandWindow(0.0, 10.0, DemandSource.GATEWAY, arrivals=77.0)
    model = play(make_snapshot(10.0, make_window(PODS[0], 0.0, 20.0, 5.0, 0.0), gateway=gateway))
    assert model.newest == gateway
    assert model.traffic is not None
    assert model.traffic.input_tokens.value == pytest.approx(100.0)
    silent = replace(gateway, arrivals=None, reason=Reason(ReasonCode.SCRAPE_FAILED, "refused"))
    model = play(make_snapshot(10.0, make_window(PODS[0], 0.0, 20.0, 5.0, 0.0), gateway=silent))
    assert model.newest is not None
    assert model.newest.arrivals == 20.0


def test_nothing_seen_is_nothing_said() -> None:
    model = play(make_snapshot(10.0))
    assert (model.newest, model.traffic, model.variants[0].traffic) == (None, None, None)
    assert len(model.variants[0].pods) == 2
