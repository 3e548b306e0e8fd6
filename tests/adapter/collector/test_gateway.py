"""The gateway source: from pages to windows, and over HTTP beside the pods."""

from __future__ import annotations

import pytest

from adapter.collector import Collector, CollectorOptions, GatewayOptions, ScrapeOptions
from adapter.collector.gateway import GatewayHistory
from adapter.router.page import RouterMetrics
from adapter.telemetry import Telemetry
from optimizer.domain import DemandSource, DemandWindow, ModelKey, PodKey, Reason, ReasonCode
from tests.builders import fake_servers
from tests.builders.fake_servers import FakeServers, answer_with
from tests.builders.inventories import make_inventory, make_model_key, make_pod_entry, make_settings
from tests.builders.stepped_clock import START_S, SteppedClock

PERIOD_S = 15.0
LABELS = {"model": "a", "namespace": "prod"}
OPTIONS = GatewayOptions("http://gateway/metrics", "requests_total", "waiting", LABELS)


class Gateway:
    """A history that is given one page a period."""

    def __init__(self, options: GatewayOptions = OPTIONS) -> None:
        self.history, self.time_s = GatewayHistory(options), 0.0

    def take(self, text: str) -> DemandWindow:
        self.time_s += PERIOD_S
        self.history.take_page(text.encode(), self.time_s)
        assert self.history.window is not None
        return self.history.window

    def miss(self) -> DemandWindow:
        self.time_s += PERIOD_S
        self.history.miss_page(Reason(ReasonCode.SCRAPE_TIMEOUT, "late"), self.time_s)
        assert self.history.window is not None
        return self.history.window


def render(requests: float, waiting: float = 0.0) -> str:
    return (
        "# HELP requests_total All of them.\n# TYPE requests_total counter\n"
        f'requests_total{{model="a",namespace="prod"}} {requests}\n'
        'requests_total{model="b",namespace="prod"} 1e6\n'
        f'waiting{{namespace="prod",model="a"}} {waiting}\n'
        'waiting{namespace="prod",model="b"} 99\n'
    )


def get_code(window: DemandWindow) -> ReasonCode | None:
    return None if window.reason is None else window.reason.code


# --- Counting ---------------------------------------------------------------------------------------------------------
def test_two_pages_tell_what_arrived_between_them_and_what_waits() -> None:
    gateway = Gateway()
    first = gateway.take(render(100, waiting=2))
    assert (first.arrivals, first.waiting_requests, get_code(first)) == (None, 2.0, ReasonCode.FIRST_READING)
    window = gateway.take(render(130, waiting=4))
    assert (window.arrivals, window.waiting_requests, window.source) == (30.0, 4.0, DemandSource.GATEWAY)
    assert (window.start_s, window.end_s, window.pod, window.reason) == (PERIOD_S, 2 * PERIOD_S, None, None)
    assert gateway.history.reason is None


def test_router_of_ours_is_understood_as_it_is() -> None:
    key = ModelKey("prod", "a")
    router = RouterMetrics([key, ModelKey("prod", "b")])
    gateway = Gateway(GatewayOptions("http://router/metrics", labels=LABELS))
    gateway.take(router.render().decode())
    for _ in range(3):
        router.count_request(key)
    router.set_waiting(key, 2)
    window = gateway.take(router.render().decode())
    assert (window.arrivals, window.waiting_requests) == (3.0, 2.0)


def test_series_that_the_labels_select_are_added_up() -> None:
    gateway = Gateway(GatewayOptions("http://g", "r_total", "w", {"model": "a"}))
    gateway.take('r_total{code="200",model="a"} 5\nr_total{model="a",code="503"} 1\nr_total{model="ab"} 7\n')
    window = gateway.take('r_total{code="200",model="a"} 9\nr_total{model="a",code="503"} 3\nr_total{model="ab"} 70\n')
    assert window.arrivals == 6.0


def test_series_that_appears_beside_others_began_at_zero() -> None:
    gateway = Gateway(GatewayOptions("http://g", "r_total", "w", {"model": "a"}))
    gateway.take('r_total{code="200",model="a"} 5\n')
    window = gateway.take('r_total{code="200",model="a"} 6\nr_total{code="503",model="a"} 3\n')
    assert window.arrivals == 4.0


def test_series_that_vanishes_and_returns_is_not_counted_again() -> None:
    gateway = Gateway(GatewayOptions("http://g", "r_total", "w", {"model": "a"}))
    gateway.take('r_total{model="a",x="1"} 5\nr_total{model="a",x="2"} 1000\n')
    assert gateway.take('r_total{model="a",x="1"} 7\n').arrivals == 2.0
    assert gateway.take('r_total{model="a",x="1"} 7\nr_total{model="a",x="2"} 1001\n').arrivals == 1.0


def test_gateway_without_a_waiting_gauge_tells_arrivals_alone() -> None:
    gateway = Gateway()
    gateway.take('requests_total{model="a",namespace="prod"} 1\n')
    window = gateway.take('requests_total{model="a",namespace="prod"} 2\n')
    assert (window.arrivals, window.waiting_requests) == (1.0, None)


def test_restarted_gateway_shows_neither_less_than_nothing_nor_too_little() -> None:
    gateway = Gateway()
    gateway.take(render(100))
    window = gateway.take(render(20, waiting=3))
    assert (window.arrivals, get_code(window), window.waiting_requests) == (None, ReasonCode.COUNTER_RESET, 3.0)
    assert gateway.take(render(25)).arrivals == 5.0


# --- The first request of all -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "before",
    [
        "# HELP requests_total All.\n# TYPE requests_total counter\n# TYPE other gauge\nother 1\n",
        "# TYPE requests counter\n# TYPE other gauge\nother 1\n# EOF",
        'requests_total{model="b",namespace="prod"} 1e6\nother 1\n',
    ],
)
def test_first_request_of_all_is_seen_where_the_page_showed_the_counter_without_it(before: str) -> None:
    gateway = Gateway()
    window = gateway.take(before)
    assert (window.arrivals, get_code(window)) == (None, ReasonCode.METRIC_MISSING)
    window = gateway.take(render(1))
    assert (window.arrivals, window.start_s, window.end_s) == (1.0, PERIOD_S, 2 * PERIOD_S)


@pytest.mark.parametrize(
    "before",
    [
        "other 1\nwaiting 3\n",
        "# TYPE requests_total counter\n",  # what came behind it may have been cut off
        'other 1\nrequests_total{model="b",namespace="prod"} 1e6\n',
        '# TYPE requests_total counter\nrequests_total{model="b",names',
        "# TYPE requests_total_sum counter\nother 1\n",
        "",
    ],
)
def test_first_value_counts_nothing_where_the_page_may_have_lacked_it(before: str) -> None:
    gateway = Gateway()
    assert gateway.take(before).arrivals is None
    window = gateway.take(render(1e6))
    assert (window.arrivals, get_code(window)) == (None, ReasonCode.FIRST_READING)


def test_requests_held_are_seen_even_where_the_counter_is_not() -> None:
    window = Gateway().take('waiting{model="a",namespace="prod"} 3\nother 1\n')
    assert (window.arrivals, window.waiting_requests) == (None, 3.0)


# --- Pages that cannot be used ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "page, code",
    [
        ("<html></html>", ReasonCode.BAD_PAGE),
        ("", ReasonCode.BAD_PAGE),
        ('requests_total{model="a",namespace="prod"} many\n', ReasonCode.BAD_PAGE),
        ('requests_total{model="a",namespace="prod"} NaN\n', ReasonCode.METRIC_MISSING),
        ('requests_total{model="a",namespace="prod"} +Inf\n', ReasonCode.METRIC_MISSING),
        ('requests_total{model="a",namespace="prod"} -1\n', ReasonCode.METRIC_MISSING),
        ('requests_total{model="b",namespace="prod"} 5\n', ReasonCode.METRIC_MISSING),
        ('requests_total{model="a" 5\n', ReasonCode.BAD_PAGE),
        ('requests_total{model="a",namespace="prod"} 1', ReasonCode.BAD_PAGE),
    ],
)
def test_bad_page_is_absent_with_its_reason_and_its_arrivals_come_later(page: str, code: ReasonCode) -> None:
    gateway = Gateway()
    gateway.take(render(100))
    for _ in range(2):
        window = gateway.take(page)
        assert (window.arrivals, get_code(window), window.start_s) == (None, code, PERIOD_S)
        assert gateway.history.reason == window.reason
    assert get_code(gateway.miss()) is ReasonCode.SCRAPE_TIMEOUT
    window = gateway.take(render(160))
    assert (window.arrivals, window.start_s, gateway.history.reason) == (60.0, PERIOD_S, None)


def test_page_that_does_not_change_at_all_is_frozen() -> None:
    gateway = Gateway()
    alive = "other 1\nprocess_cpu_seconds_total {}\n"
    gateway.take(render(100) + alive.format(1.0))
    window = gateway.take(render(100) + alive.format(1.0))
    assert (window.arrivals, get_code(window)) == (None, ReasonCode.FROZEN)
    assert gateway.take(render(100) + alive.format(1.1)).arrivals == 0.0
    assert gateway.take(render(100) + alive.format(1.1)).arrivals == 0.0  # idle, and too quick to show its time
    assert gateway.take(render(130) + alive.format(1.2)).arrivals == 30.0
    assert get_code(gateway.take(render(130) + alive.format(1.2))) is ReasonCode.FROZEN


def test_page_not_newer_than_the_last_closes_no_window() -> None:
    gateway = Gateway()
    gateway.take(render(100))
    gateway.time_s -= PERIOD_S
    assert get_code(gateway.take(render(150))) is ReasonCode.STALE
    assert gateway.take(render(160)).arrivals == 60.0


# --- Doubt ------------------------------------------------------------------------------------------------------------
def make_pod_window(arrivals: float, end_s: float, duration_s: float = PERIOD_S) -> DemandWindow:
    return DemandWindow(end_s - duration_s, end_s, DemandSource.HTTP_REQUESTS, PodKey("prod", "a-0"), arrivals)


def compare(gateway: Gateway, requests: float, arrivals: float, duration_s: float = PERIOD_S) -> DemandWindow:
    gateway.take(render(requests))
    gateway.history.compare([make_pod_window(arrivals, gateway.time_s + 0.1, duration_s)])
    assert gateway.history.window is not None
    return gateway.history.window


def test_silent_gateway_is_doubted_while_its_pods_are_asked_until_it_speaks_again() -> None:
    gateway = Gateway()
    gateway.take(render(100))
    assert compare(gateway, 100, arrivals=5).arrivals == 0.0  # on their way when the pages were taken
    window = compare(gateway, 100, arrivals=1)
    assert (window.arrivals, get_code(window), window.waiting_requests) == (None, ReasonCode.FROZEN, None)
    assert gateway.history.reason == window.reason
    assert get_code(compare(gateway, 100, arrivals=0)) is ReasonCode.FROZEN
    assert compare(gateway, 170, arrivals=60).arrivals == 70.0
    assert compare(gateway, 170, arrivals=4).arrivals == 0.0


def test_what_pods_were_asked_long_ago_is_no_reason_for_doubt() -> None:
    gateway = Gateway()
    gateway.take(render(100))
    assert compare(gateway, 100, arrivals=500, duration_s=10 * PERIOD_S).arrivals == 0.0


def test_window_without_arrivals_is_not_compared() -> None:
    gateway = Gateway()
    assert get_code(compare(gateway, 100, arrivals=500)) is ReasonCode.FIRST_READING
    Gateway().history.compare([make_pod_window(5.0, 1.0)])


# --- Over HTTP --------------------------------------------------------------------------------------------------------
def make_options(url: str, **labels: str) -> GatewayOptions:
    return GatewayOptions(url + "/metrics", "requests_total", "waiting", {"namespace": "prod", **labels})


async def test_models_of_one_gateway_share_a_page_that_is_asked_for_once(
    servers: FakeServers, clock: SteppedClock, telemetry: Telemetry
) -> None:
    server, silent = await servers.open(), await servers.open(fake_servers.answer_reset)
    settings = make_settings("x", others={"a": ["y"], "b": ["z"], "c": ["w"], "d": ["v"]})
    gateways = {make_model_key(name): make_options(server.url, model=name) for name in "abc"}
    gateways[make_model_key("d")] = make_options(silent.url)
    options = CollectorOptions(ScrapeOptions(jitter_s=0.0), gateways=gateways)
    async with Collector(options, clock, telemetry) as collector:
        for requests in (10, 25):
            server.answer = answer_with(render(requests).encode())
            await clock.run_to(clock.now_s() + PERIOD_S)
            snapshot = await collector.collect(make_inventory(), settings)
    assert len(server.requests) == 2
    windows = {model.key.model_id: model.gateway for model in snapshot.models}
    assert windows["tiny-llama"] is None
    assert [window.arrivals for window in windows.values() if window is not None] == [15.0, 0.0, None, None]
    codes = [get_code(window) for window in windows.values() if window is not None]
    assert codes == [None, None, ReasonCode.METRIC_MISSING, ReasonCode.SCRAPE_FAILED]
    assert windows["a"] is not None
    assert (windows["a"].start_s, windows["a"].end_s) == (START_S + PERIOD_S, START_S + 2 * PERIOD_S)
    count = telemetry.registry.get_sample_value
    assert count("variant_autoscaler_scrapes_total", {"outcome": "MetricMissing"}) == 2.0
    assert count("variant_autoscaler_scrapes_total", {"outcome": "ScrapeFailed"}) == 2.0


async def test_gateway_is_compared_with_the_pods_of_its_model(
    servers: FakeServers, clock: SteppedClock, telemetry: Telemetry
) -> None:
    gateway, pod = await servers.open(answer_with(render(100).encode())), await servers.open()
    options = CollectorOptions(
        ScrapeOptions(jitter_s=0.0), gateways={make_model_key(): make_options(gateway.url, model="a")}
    )
    async with Collector(options, clock, telemetry) as collector:
        for _ in range(2):
            pod.page.serve(20)
            await clock.run_to(clock.now_s() + PERIOD_S)
            inventory = make_inventory(x=[make_pod_entry("x-0", pod.url)])
            snapshot = await collector.collect(inventory, make_settings("x"))
    window = snapshot.models[0].gateway
    assert window is not None
    assert (window.arrivals, get_code(window)) == (None, ReasonCode.FROZEN)


async def test_other_series_begin_anew_and_a_gateway_that_is_named_no_more_is_not_asked(
    servers: FakeServers, clock: SteppedClock, telemetry: Telemetry
) -> None:
    server, settings = await servers.open(answer_with(render(100).encode())), make_settings("x")
    scrape = ScrapeOptions(jitter_s=0.0)
    first, second = (
        CollectorOptions(scrape, gateways={make_model_key(): make_options(server.url, model=name)}) for name in "ab"
    )
    async with Collector(first, clock, telemetry) as collector:
        codes = []
        for options in (first, first, second, second, CollectorOptions(scrape)):
            collector.reconfigure(options)
            await clock.run_to(clock.now_s() + PERIOD_S)
            (model,) = (await collector.collect(make_inventory(), settings)).models
            codes.append("none" if model.gateway is None else get_code(model.gateway))
    assert codes == [ReasonCode.FIRST_READING, None, ReasonCode.FIRST_READING, None, "none"]
    assert len(server.requests) == 4
