"""How fast a page is read: ours against the reference parser, on the same real page, in turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from adapter.collector import read_page
from adapter.collector.asked_series import AskedSeries
from adapter.collector.engine_tables import ENGINE_TABLES
from adapter.collector.exposition import PageReader, parse_labels
from optimizer.domain import PodKey, SignalKind, SignalSpec

PAGE = Path(__file__).resolve().parent.parent / "data" / "samples" / "vllm-0.32.0-busy.prom"
POD = PodKey("prod", "pod-0", "1")
ASKED = (
    SignalSpec("waiting", "vllm:num_requests_waiting"),
    SignalSpec("used", "vllm:kv_cache_usage_perc"),
    SignalSpec("answered", "http_requests_total", SignalKind.RATE, {"status": "2xx"}),
    SignalSpec("slow", "vllm:time_to_first_token_seconds", SignalKind.QUANTILE, quantile_ratio=0.9),
)
"""What a policy may ask for."""
ROUNDS = 12
OURS_PER_ROUND, THEIRS_PER_ROUND = 25, 2
LARGE_PAGE_COPIES = 190  # 10 MB


def measure() -> dict[str, float]:
    body = PAGE.read_bytes()
    _check_equal(body)
    parse_labels.cache_clear()
    first_s = _time(lambda: read_page(body, "vllm", POD, 0.0), 1)  # label sets are not known yet
    asked = AskedSeries(ASKED, ENGINE_TABLES["vllm"])
    ours_s, asked_s, theirs_s = [], [], []
    for _ in range(ROUNDS):
        asked_s.append(_time(lambda: read_page(body, "vllm", POD, 0.0, asked=asked), OURS_PER_ROUND))
        ours_s.append(_time(lambda: read_page(body, "vllm", POD, 0.0), OURS_PER_ROUND))
        theirs_s.append(_time(lambda: list(text_string_to_metric_families(body.decode())), THEIRS_PER_ROUND))
    large_s = _time(lambda: read_page(body * LARGE_PAGE_COPIES, "vllm", POD, 0.0), 1)
    return {
        "page_bytes": float(len(body)),
        "ours_us": min(ours_s) * 1e6,
        "ours_with_asked_series_us": min(asked_s) * 1e6,
        "ours_first_time_us": first_s * 1e6,
        "prometheus_client_us": min(theirs_s) * 1e6,
        "times_faster": min(theirs_s) / min(ours_s),
        "10 MB_page_ms": large_s * 1e3,
    }


def _parse(body: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(body.decode())
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def _check_equal(body: bytes) -> None:
    """Check that both parsers find the same values of all that the engine table wants."""
    wanted = ENGINE_TABLES["vllm"].list_names()
    expected = {(wanted[name], labels): value for (name, labels), value in _parse(body).items() if name in wanted}
    page = PageReader(wanted).read(body)
    found = {
        (name, frozenset(parse_labels(raw).items())): value
        for name, series in page.samples.items()
        for raw, value in series.items()
    }
    assert found == expected, "the two parsers disagree"


def _time(work: Callable[[], object], repeats: int) -> float:
    """Return the time of one call [s of this process, so that others on the machine count little]."""
    start_s = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - start_s) / repeats
