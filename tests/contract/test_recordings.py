"""What is estimated from recorded pages of a real server, against what its client really sent.

Windows begin and end with a page; the truth is the requests sent between the two. Between pages nothing is known, so a
window of 20 s is the shortest that lasts at least so long.
"""

from __future__ import annotations

import csv
import gzip
import json
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest

from adapter.collector import read_page
from optimizer.demand import compute_window, merge_windows
from optimizer.domain import Counter, DemandSource, DemandWindow, Histogram, LengthSums, PodReading, ReasonCode
from tests.contract.golden_readings import POD

WINDOW_S = 20.0
STEADY_PHASES_S = [(28.23, 88.23), (88.23, 148.44), (220.19, 280.19), (280.19, 340.19)]


@dataclass(frozen=True, slots=True)
class Recording:
    """Readings of every good page, the windows between them, and what the client sent."""

    readings: list[PodReading]
    windows: list[DemandWindow]
    sent_s: list[float]
    input_tokens: list[float]
    output_tokens: list[float]

    def count_sent(self, start_s: float, end_s: float) -> int:
        return bisect_right(self.sent_s, end_s) - bisect_right(self.sent_s, start_s)


def load(folder: Path, name: str) -> Recording:
    with gzip.open(folder / f"vllm-0.32.0-{name}-pages.jsonl.gz", "rt") as lines:
        pages = [json.loads(line) for line in lines]
    good = [page for page in pages if page["status"] == 200]
    readings = [reading for page in good for reading in read_page(page["text"].encode(), "vllm", POD, page["t_s"])]
    assert len(readings) == len(good)
    with gzip.open(folder / f"vllm-0.32.0-{name}-requests.csv.gz", "rt") as rows:
        requests = sorted(csv.DictReader(rows), key=lambda row: float(row["sent_s"]))
    return Recording(
        readings,
        [compute_window(older, newer) for older, newer in pairwise(readings)],
        [float(row["sent_s"]) for row in requests],
        [float(row["input_tokens"]) for row in requests],
        [float(row["output_tokens"]) for row in requests],
    )


def hide(reading: PodReading, hidden: set[Counter | Histogram]) -> PodReading:
    counters = {name: value for name, value in reading.counters.items() if name not in hidden}
    histograms = {name: value for name, value in reading.histograms.items() if name not in hidden}
    return replace(reading, counters=counters, histograms=histograms)


@pytest.fixture(scope="module")
def restart(data_dir: Path) -> Recording:
    return load(data_dir / "recordings", "restart")


@pytest.fixture(scope="module")
def overload(data_dir: Path) -> Recording:
    return load(data_dir / "recordings", "overload")


@pytest.fixture(scope="module", params=["restart", "overload"])
def recording(request: pytest.FixtureRequest, data_dir: Path) -> Recording:
    chosen: Recording = request.getfixturevalue(request.param)
    return chosen


def iterate_windows(recording: Recording, duration_s: float) -> Iterator[list[DemandWindow]]:
    """Yield, from every page on, the windows up to the first page at least `duration_s` [s] later, if all are known."""
    windows = recording.windows
    for first, window in enumerate(windows):
        end = next((n for n in range(first, len(windows)) if windows[n].end_s >= window.start_s + duration_s), None)
        if end is not None and not any(one.reason for one in windows[first : end + 1]):
            yield windows[first : end + 1]


def test_estimated_rate_over_any_20_s_is_that_of_the_client(recording: Recording) -> None:
    checked = 0
    for parts in iterate_windows(recording, WINDOW_S):
        merged = merge_windows(parts)
        assert merged.arrivals is not None
        assert merged.start_s == pytest.approx(parts[0].start_s)
        true_per_s = recording.count_sent(parts[0].start_s, merged.end_s) / merged.duration_s
        assert merged.arrivals / merged.duration_s == pytest.approx(true_per_s, abs=0.02 * true_per_s + 0.2)
        checked += 1
    assert checked > 50


@pytest.mark.parametrize("source", [DemandSource.FIRST_TOKENS, DemandSource.FINISHED])
def test_weaker_counts_tell_the_same_where_nobody_leaves(recording: Recording, source: DemandSource) -> None:
    hidden: set[Counter | Histogram] = {Counter.HTTP_REQUESTS, Counter.HTTP_OK}
    hidden |= {Histogram.TTFT} if source is DemandSource.FINISHED else set()
    readings = [hide(reading, hidden) for reading in recording.readings]
    windows = [compute_window(older, newer) for older, newer in pairwise(readings)]
    assert {window.source for window in windows} <= {source, DemandSource.NONE}
    for parts in iterate_windows(replace(recording, windows=windows), WINDOW_S):
        merged = merge_windows(parts)
        assert merged.arrivals is not None
        true_per_s = recording.count_sent(parts[0].start_s, merged.end_s) / merged.duration_s
        assert merged.arrivals / merged.duration_s == pytest.approx(true_per_s, abs=0.02 * true_per_s + 0.2)


def test_burst_in_overload_shows_in_the_first_page_after_it(overload: Recording) -> None:
    """80 requests at once on 2 slots: most of them still wait, hardly any has finished."""
    burst = max(overload.windows, key=lambda window: window.arrivals or 0.0)
    assert burst.start_s < 59.74 < burst.end_s
    assert burst.arrivals == pytest.approx(overload.count_sent(burst.start_s, burst.end_s), abs=2)
    assert burst.completions is not None
    assert burst.completions < 10
    assert burst.waiting_requests is not None
    assert burst.waiting_requests > 70


def test_everything_is_counted_by_ended_requests(recording: Recording) -> None:
    sources = {window.source for window in recording.windows if window.reason is None}
    assert sources == {DemandSource.HTTP_REQUESTS}


def test_no_window_however_short_is_negative_or_spikes(recording: Recording) -> None:
    """A page is written a moment after it was asked for, so a window may hold what was sent just behind its end."""
    for window in recording.windows:
        if window.arrivals is not None:
            assert 0.0 <= window.arrivals <= 3.0 + recording.count_sent(window.start_s - 0.1, window.end_s + 0.1)


def test_restart_is_said_and_gives_no_number(restart: Recording) -> None:
    absent = [window for window in restart.windows if window.arrivals is None]
    assert [window.reason.code for window in absent if window.reason] == [ReasonCode.COUNTER_RESET]
    assert absent[0].start_s < 188.52 < absent[0].end_s


def test_first_window_after_the_restart_is_right_again(restart: Recording) -> None:
    place = next(number for number, window in enumerate(restart.windows) if window.arrivals is None)
    window = restart.windows[place + 1]
    assert window.arrivals == pytest.approx(restart.count_sent(window.start_s, window.end_s), abs=1)


def test_silence_is_no_arrivals_not_no_data(restart: Recording) -> None:
    silent = [window for window in restart.windows if window.start_s > 152.0 and window.end_s < 187.0]
    assert len(silent) > 10
    assert {window.arrivals for window in silent} == {0.0}


def test_adding_windows_up_is_looking_at_the_outer_pages(recording: Recording) -> None:
    for parts in iterate_windows(recording, 60.0):
        outer = [r for r in recording.readings if r.time_s in (parts[0].start_s, parts[-1].end_s)]
        direct, merged = compute_window(*outer), merge_windows(parts)
        assert merged.arrivals == direct.arrivals
        assert merged.completions == direct.completions
        assert merged.generated_tokens == direct.generated_tokens


@pytest.mark.parametrize("start_s, end_s", STEADY_PHASES_S)
def test_mean_lengths_over_a_minute_of_steady_traffic_are_those_of_the_client(
    restart: Recording, start_s: float, end_s: float
) -> None:
    inner = [window for window in restart.windows if window.start_s >= start_s - 1.0 and window.end_s <= end_s + 1.0]
    assert inner[-1].end_s - inner[0].start_s > 55.0
    merged = merge_windows(inner)
    first, last = (bisect_right(restart.sent_s, time_s) for time_s in (inner[0].start_s, merged.end_s))
    assert last - first > 200
    assert get_mean(merged.input_lengths) == pytest.approx(
        sum(restart.input_tokens[first:last]) / (last - first), rel=0.05
    )
    assert get_mean(merged.output_lengths) == pytest.approx(
        sum(restart.output_tokens[first:last]) / (last - first), rel=0.05
    )


def get_mean(lengths: LengthSums | None) -> float:
    assert lengths is not None
    return lengths.tokens / lengths.requests
