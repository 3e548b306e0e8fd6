from __future__ import annotations

from optimizer.domain import Counter, Histogram, HistogramReading, PodReading
from optimizer.simulation.deciders.page_counts import CountHistory, add_counts, find_mean, read_counts, subtract_counts
from tests.builders.snapshots import make_pod_key

POD = make_pod_key("a")


def make_page(time_s: float, finished: float, mean_tokens: float = 100.0) -> PodReading:
    lengths = HistogramReading((1000.0,), (finished,), finished, finished * mean_tokens)
    return PodReading(
        POD,
        "llama",
        "vllm",
        time_s,
        counters={Counter.FINISHED: finished},
        histograms={Histogram.INPUT_TOKENS: lengths},
    )


def test_means_are_of_what_was_observed_in_between() -> None:
    grown = subtract_counts(read_counts(make_page(2.0, 30.0, 200.0)), read_counts(make_page(1.0, 10.0, 300.0)))
    assert grown["finished"] == 20.0
    assert find_mean(grown, Histogram.INPUT_TOKENS) == 150.0
    assert find_mean(grown, Histogram.TTFT) is None
    assert add_counts([grown, grown])["finished"] == 40.0


def test_a_count_that_fell_begins_anew() -> None:
    assert subtract_counts({"finished": 3.0}, {"finished": 10.0}) == {"finished": 3.0}


def test_the_window_reaches_back_to_the_page_at_its_begin() -> None:
    history = CountHistory(60.0)
    grown = [history.track([make_page(15.0 * page, 10.0 * page)], 15.0 * page)[POD]["finished"] for page in range(1, 9)]
    assert grown == [10.0, 10.0, 20.0, 30.0, 40.0, 40.0, 40.0, 40.0]
    assert history.track([make_page(120.0, 80.0)], 130.0)[POD]["finished"] == 40.0
    assert history.track([], 140.0) == {}
