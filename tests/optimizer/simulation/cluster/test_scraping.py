"""What a scaler is shown: pages of their time, lost and late ones too, and that they lower nothing of ours."""

from __future__ import annotations

from itertools import pairwise

import pytest

from optimizer.domain import DemandSource, DemandWindow, PodPhase, ReasonCode, SignalKind, SignalSpec
from optimizer.simulation.cluster import ClusterOptions, ScrapeOptions, simulate
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.slo import make_slo
from tests.builders.simulated_clusters import KEY, Scripted, make_requests, make_scenario, make_static

MODEL = make_scenario(make_requests(1.0, 1.0), 1.0).models[0].key


def watch(scrape: ScrapeOptions | None = None, period_s: float = 15.0) -> list[ScraperView]:
    """Return what a scaler sees of two replicas under two requests a second, for ten minutes."""
    decider = make_static(2)
    decider.period_s, decider.keeps_views = period_s, True
    scenario = make_scenario(make_requests(2.0, 600.0), 600.0, initial=2)
    simulate(scenario, decider, ClusterOptions(scrape=scrape or ScrapeOptions()))
    return decider.views


def test_windows_add_up_to_all_that_arrived() -> None:
    views = watch()
    arrivals = sum(
        (window.arrivals or 0.0) - window.overcounted_arrivals
        for view in views
        for window in view.snapshot.models[0].windows
    )
    requests = make_requests(2.0, 600.0).arrival_ns
    first_s, last_s = views[0].now_s, views[-1].now_s
    assert arrivals == pytest.approx(
        sum(first_s * 1e9 < t <= last_s * 1e9 for t in requests), abs=6
    )  # jitter of the ends


def test_the_first_page_closes_no_window() -> None:
    views = watch()
    assert [window.reason.code for window in views[0].snapshot.models[0].windows if window.reason] == [
        ReasonCode.FIRST_READING
    ] * 2
    assert all(window.source is not DemandSource.NONE for window in views[1].snapshot.models[0].windows)


def test_pages_are_as_old_as_their_delay_makes_them() -> None:
    for view in watch(ScrapeOptions(delay_s=5.0, jitter_s=0.0)):
        assert [reading.time_s for reading in view.readings[MODEL]] == [view.now_s - 5.0] * 2


def test_each_pod_is_read_at_its_own_moment_of_the_round() -> None:
    views = watch(ScrapeOptions(jitter_s=4.0))
    moments = [[reading.time_s % 15.0 for reading in view.readings[MODEL]] for view in views]
    assert moments[0] == pytest.approx(moments[5], abs=1e-6)
    assert moments[0][0] != moments[0][1]
    assert all(0.0 <= moment < 4.0 for moment in moments[0])


def test_a_lost_page_has_a_reason_and_the_next_one_makes_up_for_it() -> None:
    views = watch(ScrapeOptions(loss_ratio=0.3))
    codes = {window.reason.code for view in views for window in view.snapshot.models[0].windows if window.reason}
    assert codes == {ReasonCode.FIRST_READING, ReasonCode.SCRAPE_FAILED}
    lengths_s = {
        round(window.duration_s)
        for view in views
        for window in view.snapshot.models[0].windows
        if window.arrivals is not None
    }
    assert {15, 30} <= lengths_s


def test_a_scaler_that_looks_seldom_gets_whole_windows() -> None:
    views = watch(period_s=60.0)
    assert {round(window.duration_s) for window in views[2].snapshot.models[0].windows} == {60}


def test_a_scaler_that_looks_often_sees_the_same_page_again() -> None:
    views = watch(period_s=5.0)
    assert views[4].readings == views[5].readings


def test_a_pod_that_was_seen_starting_tells_from_its_first_page_on() -> None:
    decider = Scripted([(0.0, {KEY: 1}), (60.0, {KEY: 2})], keeps_views=True)
    scenario = make_scenario(make_requests(3.0, 400.0), 400.0, initial=1)
    simulate(scenario, decider)
    phases = [[pod.phase for pod in view.snapshot.models[0].variants[0].pods] for view in decider.views]
    assert [PodPhase.READY, PodPhase.STARTING] in phases
    grown = next(view for view in decider.views if len(view.readings[MODEL]) == 2)
    assert all(window.arrivals is not None for window in grown.snapshot.models[0].windows)


def test_reading_pages_changes_nothing() -> None:
    scenario = make_scenario(make_requests(9.0, 300.0), 300.0, initial=1)
    often, seldom = (
        simulate(scenario, make_static(1), ClusterOptions(scrape=ScrapeOptions(interval_s)))
        for interval_s in (0.5, 100.0)
    )
    assert often.pages > 100 * seldom.pages > 0
    assert often.columns.ttft_s == seldom.columns.ttft_s
    assert often.columns.itl_s == seldom.columns.itl_s
    assert often.columns.ttlt_s == seldom.columns.ttlt_s


def test_signals_are_what_the_pages_said() -> None:
    decider = make_static(2)
    decider.period_s, decider.keeps_views = 15.0, True
    decider.signals = {MODEL: (SignalSpec("done", "vllm:request_success_total", SignalKind.RATE, window_s=60.0),)}
    simulate(make_scenario(make_requests(2.0, 600.0), 600.0, initial=2), decider)
    rates = [
        sum(pod.values["done"].value or 0.0 for pod in view.snapshot.models[0].signals) for view in decider.views[10:]
    ]
    assert sum(rates) / len(rates) == pytest.approx(2.0, rel=0.1)


# --- gateways ---------------------------------------------------------------------------------------------------------
def watch_gateway(scrape: ScrapeOptions | None = None, period_s: float = 15.0) -> list[tuple[float, DemandWindow]]:
    """Return what a scaler sees when of a gateway in front of two replicas, under two requests a second."""
    decider = make_static(2)
    decider.period_s, decider.keeps_views = period_s, True
    scenario = make_scenario(make_requests(2.0, 600.0), 600.0, initial=2, has_gateway=True)
    simulate(scenario, decider, ClusterOptions(scrape=scrape or ScrapeOptions()))
    windows = [(view.now_s, view.snapshot.models[0].gateway) for view in decider.views]
    return [(now_s, window) for now_s, window in windows if window is not None]


def count_arrivals(window: DemandWindow) -> int:
    arrivals_s = make_requests(2.0, 600.0).arrival_ns / 1e9
    return int(((window.start_s < arrivals_s) & (arrivals_s <= window.end_s)).sum())


def test_a_gateway_is_read_at_its_own_moment_of_the_round_and_counts_up_to_then() -> None:
    seen = watch_gateway(ScrapeOptions(jitter_s=4.0))
    moments = {round(window.end_s % 15.0, 6) for _, window in seen}
    assert len(moments) == 1
    assert 0.0 < moments.pop() < 4.0
    assert seen[0][1].reason is not None
    assert seen[0][1].reason.code is ReasonCode.FIRST_READING
    assert all(window.arrivals == count_arrivals(window) for _, window in seen[1:])


def test_what_a_gateway_says_is_as_old_as_its_delay_makes_it() -> None:
    seen = watch_gateway(ScrapeOptions(jitter_s=0.0, delay_s=5.0))
    assert {now_s - window.end_s for now_s, window in seen} == {5.0}
    assert all(window.arrivals == count_arrivals(window) for _, window in seen[1:])


def test_a_gateway_is_read_no_more_often_than_pages_are() -> None:
    seen = watch_gateway(ScrapeOptions(interval_s=60.0), period_s=5.0)
    assert len({window.end_s for _, window in seen}) == 10
    assert {round(window.duration_s) for _, window in seen if window.arrivals is not None} == {60}


def test_a_gateway_page_that_is_lost_has_a_reason_and_the_next_one_makes_up_for_it() -> None:
    seen = watch_gateway(ScrapeOptions(loss_ratio=0.4))
    lost = [window for _, window in seen if window.reason and window.reason.code is ReasonCode.SCRAPE_FAILED]
    had = [window for _, window in seen if window.arrivals is not None]
    assert len(lost) > 5
    assert {15, 30} <= {round(window.duration_s) for window in had}
    assert all(window.arrivals == count_arrivals(window) for window in had)
    assert all(before.end_s == after.start_s for before, after in pairwise(had))
    outage = watch_gateway(ScrapeOptions(outages_s=((100.0, 400.0),)))
    assert {window.arrivals for now_s, window in outage if 106.0 < now_s < 400.0} == {None}


STEADY = make_scenario(make_requests(6.0, 900.0), 900.0, initial=2)


@pytest.fixture(scope="module")
def least_with_every_page() -> int:
    whole = simulate(STEADY, make_slo(STEADY.to_settings()))
    return min(value for _, value in whole.list_replica_steps(KEY))


@pytest.mark.parametrize(
    "scrape", [ScrapeOptions(loss_ratio=0.5), ScrapeOptions(outages_s=((300.0, 700.0),)), ScrapeOptions(delay_s=10.0)]
)
def test_pages_that_are_lost_or_late_never_scale_ours_down(scrape: ScrapeOptions, least_with_every_page: int) -> None:
    """The same steady load that keeps the fleet as it is with every page keeps it so without."""
    result = simulate(STEADY, make_slo(STEADY.to_settings()), ClusterOptions(scrape=scrape))
    assert min(value for _, value in result.list_replica_steps(KEY)) >= least_with_every_page
    assert result.attainment_ratio >= 0.99


def test_when_all_pages_are_lost_nothing_moves() -> None:
    horizon_s = 1800.0
    scenario = make_scenario(make_requests(0.5, horizon_s), horizon_s, initial=4)
    outage = ScrapeOptions(outages_s=((0.0, horizon_s),))
    result = simulate(scenario, make_slo(scenario.to_settings()), ClusterOptions(scrape=outage))
    assert result.list_replica_steps(KEY) == [(0.0, 4)]
    assert result.pages == 0
    assert result.lost_pages == 4 * 120
