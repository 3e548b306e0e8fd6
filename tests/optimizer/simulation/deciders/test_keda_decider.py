from __future__ import annotations

from itertools import pairwise

import pytest

from optimizer.domain import Histogram
from optimizer.simulation.decider import Decider
from optimizer.simulation.deciders.keda import KedaDecider, KedaShipped, make_keda
from tests.builders.readings import make_histogram
from tests.builders.scraper_views import Told, make_scraper_view
from tests.builders.story import make_model, make_variant

POOL = make_variant("pool", maximum=20)
KEY = POOL.key()
MODELS = (make_model(POOL),)  # TTFT 2 s, ITL 50 ms
TTFT_EDGES, ITL_EDGES = (0.5, 1.0, 2.0, 4.0, 8.0), (0.01, 0.02, 0.03, 0.04, 0.05, 0.1)


def play(decider: KedaDecider, ttft_s: list[float], replicas: int = 2) -> list[int]:
    """Return the answers, a sync every 15 s, of a fleet that follows at once.

    Every pod has 10 requests in the time of a sync, with the TTFT of that sync [s]; none where it is 0.
    """
    answers, seen = list[int](), list[float]()
    for index, value_s in enumerate(ttft_s):
        seen += [value_s] * 10 if value_s else []
        histograms = {
            Histogram.TTFT: make_histogram(TTFT_EDGES, seen),
            Histogram.ITL: make_histogram(ITL_EDGES, [0.005] * len(seen)),
        }
        pods = [Told(histograms=histograms)] * (answers or [replicas])[-1]
        answers.append(decider.step(make_scraper_view(15.0 * index, pods))[KEY])
    return answers


def test_it_comes_with_what_is_published() -> None:
    decider: Decider = make_keda(MODELS)
    assert decider.period_s == 15.0
    assert decider.signals == {}
    assert (KedaShipped().settings.period_s, KedaShipped().settings.up_ratio) == (60.0, 0.55)
    assert KedaShipped().behavior.down.stabilization_window_s == 180.0


def test_nothing_changes_before_two_pages_are_known() -> None:
    assert play(make_keda(MODELS), [0.4]) == [2]


def test_latencies_near_their_target_ask_for_more() -> None:
    answers = play(make_keda(MODELS), [1.9] * 20)  # 0.95 of the target
    assert answers[:2] == [2, 2]
    assert answers == sorted(answers)
    assert answers[-1] > 4


def test_growth_waits_for_its_window_and_keeps_its_limit() -> None:
    answers = play(make_keda(MODELS), [7.9] * 12)
    assert answers[:3] == [2, 2, 5]  # 30 s later; cut at twice the target: ceil(2 * 0.6 * 2 / 0.55)
    for minute in range(len(answers) - 4):
        assert answers[minute + 4] <= max(2 * answers[minute], answers[minute] + 4)


def test_comfort_shrinks_by_one_in_two_minutes_after_three() -> None:
    answers = play(make_keda(MODELS), [0.2] * 40, replicas=6)
    assert answers[:12] == [6] * 12
    drops = [index for index, (before, after) in enumerate(pairwise(answers)) if after < before]
    assert all(before - after <= 1 for before, after in pairwise(answers))
    assert all(later - earlier >= 8 for earlier, later in pairwise(drops))
    assert answers[-1] <= 4


def test_a_minute_without_samples_looks_idle() -> None:
    assert play(make_keda(MODELS), [0.0] * 40, replicas=3)[-1] < 3


def test_lost_pages_look_idle_too_but_the_first_minute_holds() -> None:
    decider = make_keda(MODELS)
    lost = [Told(is_lost=True)] * 3
    assert [decider.step(make_scraper_view(15.0 * index, lost))[KEY] for index in range(8)] == [3] * 8


@pytest.mark.parametrize("ttft_s, expected", [(0.45, 0.45), (0.9, 0.95), (20.0, 8.0)])
def test_the_percentile_is_read_as_prometheus_does(ttft_s: float, expected: float) -> None:
    decider = make_keda(MODELS)
    play(decider, [0.0, ttft_s])
    pods = list(decider._pages)
    assert decider._compute_percentile_s(pods, Histogram.TTFT) == pytest.approx(expected)


def test_more_latency_never_gives_fewer_replicas() -> None:
    counts = [max(play(make_keda(MODELS), [step / 2] * 12, replicas=3)) for step in range(1, 16)]
    assert counts == sorted(counts)
