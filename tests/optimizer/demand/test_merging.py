from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from optimizer import InvalidInput
from optimizer.demand import compute_window, merge_windows
from optimizer.domain import (
    Counter,
    DemandSource,
    DemandWindow,
    Histogram,
    LengthSums,
    PodKey,
    Reason,
    ReasonCode,
)
from tests.builders.readings import POD, make_histogram, make_reading

OTHER = PodKey("prod", "pod-1", "1")


def make_window(start_s: float, end_s: float, arrivals: float, pod: PodKey = POD) -> DemandWindow:
    return DemandWindow(start_s, end_s, DemandSource.HTTP_REQUESTS, pod=pod, arrivals=arrivals)


ABSENT = DemandWindow(10.0, 20.0, DemandSource.NONE, pod=POD, reason=Reason(ReasonCode.FROZEN, "nothing moves"))


def test_consecutive_windows_are_one_long_window() -> None:
    """The same as the window between the outer pages, whatever the pages between show."""
    generator = np.random.default_rng(1)
    finished = np.cumsum(generator.poisson(3.0, 30)).astype(float)
    running = generator.integers(0, 6, 30).astype(float)
    pages = [
        make_reading(
            2.0 * number,
            {Counter.FINISHED: count, Counter.PROMPT_TOKENS: 100 * count, Counter.GENERATED_TOKENS: 7 * count + number},
            running=in_flight,
            histograms={Histogram.TTFT: make_histogram([0.1, 1], [0.05] * int(count) + [0.5] * number)},
        )
        for number, (count, in_flight) in enumerate(zip(finished, running, strict=True))
    ]
    pages = [replace(page, histograms={Histogram.QUEUE_TIME: page.histograms[Histogram.TTFT]}) for page in pages]
    windows = [compute_window(older, newer) for older, newer in pairwise(pages)]
    assert any(window.overcounted_arrivals for window in windows)
    merged, expected = merge_windows(windows), compute_window(pages[0], pages[-1])
    assert merged.arrivals == expected.arrivals
    assert merged.start_s == pytest.approx(expected.start_s)
    assert merged.latencies[Histogram.QUEUE_TIME].cumulative == expected.latencies[Histogram.QUEUE_TIME].cumulative
    assert replace(merged, start_s=0.0, latencies={}) == replace(expected, start_s=0.0, latencies={})


def test_rates_of_pods_add_up_also_where_their_windows_differ() -> None:
    merged = merge_windows([make_window(0.0, 15.0, 30.0), make_window(3.0, 18.0, 60.0, OTHER)])
    assert merged.arrivals == 90.0
    assert merged.arrivals / merged.duration_s == pytest.approx(30.0 / 15.0 + 60.0 / 15.0)
    assert merged.end_s == 18.0
    assert merged.pod is None


def test_pod_that_has_just_begun_counts_with_its_rate() -> None:
    merged = merge_windows([make_window(0.0, 20.0, 40.0), make_window(18.0, 20.0, 4.0, OTHER)])
    assert merged.arrivals is not None
    assert merged.arrivals / merged.duration_s == pytest.approx(4.0)


def test_pods_without_arrivals_keep_their_time() -> None:
    merged = merge_windows([make_window(0.0, 10.0, 0.0), make_window(0.0, 20.0, 0.0, OTHER)])
    assert (merged.arrivals, merged.duration_s) == (0.0, 15.0)


def test_gap_between_windows_is_not_time_watched() -> None:
    merged = merge_windows([make_window(0.0, 10.0, 20.0), make_window(30.0, 40.0, 20.0)])
    assert merged.arrivals is not None
    assert merged.arrivals / merged.duration_s == pytest.approx(2.0)


def test_overcount_is_taken_off_and_what_is_left_of_it_stays() -> None:
    merged = merge_windows([make_window(0.0, 2.0, 3.0), replace(make_window(2.0, 4.0, 0.0), overcounted_arrivals=5.0)])
    assert (merged.arrivals, merged.overcounted_arrivals) == (0.0, 2.0)
    again = merge_windows([merged, make_window(4.0, 6.0, 6.0)])
    assert (again.arrivals, again.overcounted_arrivals) == (4.0, 0.0)


def test_sum_with_an_absent_part_is_absent_with_its_reason() -> None:
    merged = merge_windows([make_window(0.0, 10.0, 20.0), ABSENT])
    assert (merged.arrivals, merged.source, merged.end_s) == (None, DemandSource.NONE, 20.0)
    assert merged.reason is not None
    assert merged.reason.code is ReasonCode.PARTIAL_DATA
    assert "nothing moves" in merged.reason.message


def test_lengths_and_latencies_are_samples_and_add_up_where_known() -> None:
    lengths = LengthSums(2.0, 30.0, 500.0, (10.0, 20.0), (1.0, 1.0, 0.0))
    histogram = make_histogram([1, 2], [0.5])
    window = make_window(0.0, 10.0, 20.0)
    window = replace(window, input_lengths=lengths, latencies={Histogram.TTFT: histogram})
    merged = merge_windows([window, make_window(10.0, 20.0, 1.0), replace(window, pod=OTHER)])
    assert merged.input_lengths == LengthSums(4.0, 60.0, 1000.0, (10.0, 20.0), (2.0, 2.0, 0.0))
    assert merged.output_lengths is None
    assert merged.latencies[Histogram.TTFT].count == 2.0


def test_counts_that_one_window_does_not_know_are_not_known() -> None:
    known = replace(make_window(0.0, 10.0, 1.0), completions=3.0, prompt_tokens=9.0)
    merged = merge_windows([known, replace(make_window(10.0, 20.0, 1.0), completions=4.0)])
    assert (merged.completions, merged.prompt_tokens) == (7.0, None)


def test_waiting_requests_are_those_at_the_end_of_every_pod() -> None:
    merged = merge_windows(
        [
            replace(make_window(10.0, 20.0, 1.0), waiting_requests=5.0),
            replace(make_window(0.0, 10.0, 1.0), waiting_requests=90.0),
            replace(make_window(0.0, 20.0, 1.0, OTHER), waiting_requests=2.0),
        ]
    )
    assert merged.waiting_requests == 7.0


def test_source_is_the_least_trusted_one() -> None:
    weaker = replace(make_window(0.0, 10.0, 1.0, OTHER), source=DemandSource.FINISHED)
    assert merge_windows([weaker, make_window(0.0, 10.0, 1.0)]).source is DemandSource.FINISHED


def test_classes_of_one_pod_may_cover_the_same_time() -> None:
    classes = [replace(make_window(0.0, 10.0, 5.0), service_class=name) for name in ("chat", "batch")]
    merged = merge_windows(classes)
    assert (merged.arrivals, merged.service_class) == (10.0, "")
    assert merged.arrivals is not None
    assert merged.arrivals / merged.duration_s == pytest.approx(1.0)


def test_one_window_is_its_own_sum() -> None:
    assert merge_windows([ABSENT]) is ABSENT


def test_nothing_and_overlaps_are_wrong_calls() -> None:
    with pytest.raises(InvalidInput, match="at least one"):
        merge_windows([])
    with pytest.raises(InvalidInput, match="apart"):
        merge_windows([make_window(0.0, 10.0, 1.0), make_window(9.0, 20.0, 1.0)])
