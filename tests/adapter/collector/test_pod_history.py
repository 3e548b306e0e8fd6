"""What one pod's pages add up to, whatever happens to a page on its way."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from adapter.collector.options import PageOptions
from adapter.collector.pod_history import PodHistory
from optimizer.domain import PodKey, PodPhase, Reason, ReasonCode
from tests.builders.inventories import make_pod_entry
from tests.builders.pod_page import MODEL_NAME, PodPage

POD = PodKey("prod", "a-0", "1")
PERIOD_S = 15.0


def make_history(born_s: float | None = None) -> PodHistory:
    return PodHistory(POD, MODEL_NAME, born_s=born_s)


def get_arrivals(history: PodHistory) -> float | None:
    assert history.window is not None
    return history.window.arrivals


def test_idle_server_that_was_recorded_is_never_taken_for_frozen(data_dir: Path) -> None:
    history, told, repeated, before = make_history(), 0, 0, ""
    with gzip.open(data_dir / "recordings" / "vllm-0.32.0-restart-pages.jsonl.gz", "rt") as lines:
        for page in map(json.loads, lines):
            if page["status"] == 200:
                history.take_page(page["text"].encode(), page["t_s"])
                assert history.reason is None, page["t_s"]
                told += get_arrivals(history) is not None
                repeated += page["text"] == before
                before = page["text"]
    assert (told, repeated) == (137, 4)


def test_page_cut_anywhere_tells_the_truth_or_nothing_and_loses_nothing() -> None:
    length, told = len(PodPage().render()), 0
    for end in range(0, length, 499):
        page, history = PodPage(), make_history()
        history.take_page(page.render(), 0.0)
        page.serve(20, running=13)
        history.take_page(page.render()[:end], PERIOD_S)
        first = get_arrivals(history)
        assert first in (None, 20.0), end
        assert (history.reason is None) == (first is not None), end
        page.serve(7, running=2)
        history.take_page(page.render(), 2 * PERIOD_S)
        assert (first or 0.0) + (get_arrivals(history) or 0.0) == 27.0, end
        assert history.reason is None
        told += first is not None
    assert told < 10  # what counts stands near the end of the page


def test_first_page_cut_anywhere_invents_no_arrivals() -> None:
    length = len(PodPage().render())
    for end in range(0, length, 499):
        page, history = PodPage(), make_history()
        history.take_page(page.render()[:end], 0.0)
        assert history.reason is not None
        page.serve(20, running=13)
        history.take_page(page.render(), PERIOD_S)
        assert get_arrivals(history) is None, end
        page.serve(5)
        history.take_page(page.render(), 2 * PERIOD_S)
        assert get_arrivals(history) == 5.0, end


def test_bytes_changed_anywhere_never_show_fewer_than_none() -> None:
    chance = random.Random(3)
    for _ in range(150):
        page, history = PodPage(), make_history()
        history.take_page(page.render(), 0.0)
        page.serve(20)
        body = bytearray(page.render())
        for _ in range(chance.randrange(1, 60)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        history.take_page(bytes(body), PERIOD_S)
        assert (get_arrivals(history) or 0.0) >= 0.0


@pytest.mark.parametrize("missed", range(5))
def test_arrivals_of_missed_pages_come_with_the_next_good_one(missed: int) -> None:
    page, history = PodPage(), make_history()
    history.take_page(page.render(), 0.0)
    for number in range(missed):
        page.serve(3)
        history.miss_page(Reason(ReasonCode.SCRAPE_TIMEOUT, "late"), (number + 1) * PERIOD_S)
        assert get_arrivals(history) is None
    page.serve(3)
    history.take_page(page.render(), (missed + 1) * PERIOD_S)
    assert get_arrivals(history) == 3.0 * (missed + 1)


def test_two_pages_of_one_moment_close_no_window() -> None:
    page, history = PodPage(), make_history()
    history.take_page(page.render(), 0.0)
    page.serve(3)
    history.take_page(page.render(), 0.0)
    assert history.reason is not None
    assert (get_arrivals(history), history.reason.code) == (None, ReasonCode.STALE)


def test_birth_later_than_the_page_is_not_believed() -> None:
    history = make_history(born_s=10.0)
    history.take_page(PodPage().render(), 10.0)
    assert history.window is not None
    assert history.window.reason is not None
    assert history.window.reason.code is ReasonCode.FIRST_READING


def test_birth_counts_for_the_first_page_only() -> None:
    page, history = PodPage(), make_history(born_s=0.0)
    page.restart(5.0)
    for number, requests in enumerate((9, 4)):
        page.serve(requests)
        history.take_page(page.render(), (number + 1) * PERIOD_S)
        assert get_arrivals(history) == requests
        assert history.window is not None
        assert history.window.duration_s == PERIOD_S


def test_birth_seen_before_the_last_good_page_does_not_explain_a_restart() -> None:
    page, history = PodPage(), make_history(born_s=0.0)
    page.restart(5.0)
    history.take_page(page.render(), PERIOD_S)
    page.restart(20.0)
    page.serve(50)
    history.take_page(page.render(), 2 * PERIOD_S)
    assert history.window is not None
    assert history.window.reason is not None
    assert history.window.reason.code is ReasonCode.COUNTER_RESET


def test_same_page_told_another_way_begins_anew() -> None:
    page, history = PodPage(), make_history()
    history.take_page(page.render(), 0.0)
    history.expect(PageOptions(served_model_name=MODEL_NAME))
    history.take_page(page.render(), PERIOD_S)
    assert history.window is not None
    assert history.window.reason is not None
    assert history.window.reason.code is ReasonCode.FIRST_READING
    assert history.reason is None


def test_pod_that_was_never_asked_has_a_state_without_figures() -> None:
    state = make_history().to_state(make_pod_entry("a-0", "", PodPhase.STARTING, ready_s=None), 100.0)
    assert (state.phase, state.seen_s, state.running_requests, state.reason) == (PodPhase.STARTING, None, None, None)


def render_sglang(scrapes: int, arrivals: int) -> bytes:
    """Return a page whose scheduler's gauges stood still when the work ended, as they do."""
    counts = {"/metrics": scrapes, "/v1/completions": arrivals}
    lines = [f'sglang:http_requests_total{{endpoint="{path}",method="GET"}} {count}' for path, count in counts.items()]
    gauges = [f'sglang:{name}{{model_name="{MODEL_NAME}"}} 1' for name in ("num_running_reqs", "num_queue_reqs")]
    return "\n".join([*lines, *gauges, f'sglang:num_requests_total{{model_name="{MODEL_NAME}"}} 9', ""]).encode()


def test_page_that_counts_its_own_requests_tells_no_work_from_standing_still() -> None:
    history = make_history()
    history.expect(PageOptions(engine="sglang"))
    history.take_page(render_sglang(1, 10), 0.0)
    history.take_page(render_sglang(2, 10), PERIOD_S)
    assert (get_arrivals(history), history.reason) == (0.0, None)
    history.take_page(render_sglang(2, 10), 2 * PERIOD_S)
    assert (get_arrivals(history), str(history.reason).partition(":")[0]) == (None, "Frozen")
    history.take_page(render_sglang(4, 25), 3 * PERIOD_S)
    assert get_arrivals(history) == 15.0
