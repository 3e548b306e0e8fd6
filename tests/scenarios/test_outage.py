"""Missing, frozen and broken pages: nothing shrinks because of them, growth is seen through them, all recovers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from optimizer.domain import ConditionType, DemandSource, ModelSnapshot, PodPhase, Reason, ReasonCode
from tests.builders.story import Hide, Story, get_capacity_per_s, make_model, make_settings, make_variant

VARIANT = make_variant("a")
CAPACITY_PER_S = get_capacity_per_s(VARIANT)
BEGINS_S, ENDS_S = 300.0, 1200.0


def lose_pages(code: ReasonCode, *, of_each: int, is_starting: bool = False) -> Hide:
    """Return what makes every `of_each`-th page unusable, and its pod starting where only pages tell readiness."""

    def hide(now_s: float, snapshot: ModelSnapshot) -> ModelSnapshot:
        if not BEGINS_S < now_s <= ENDS_S:
            return snapshot
        lost = {window.pod for index, window in enumerate(snapshot.windows) if index % of_each == 0}
        windows = tuple(
            replace(
                window,
                source=DemandSource.NONE,
                arrivals=None,
                input_lengths=None,
                output_lengths=None,
                reason=Reason(code, f"{window.pod.name}: lost"),
            )
            if window.pod in lost and window.pod is not None
            else window
            for window in snapshot.windows
        )
        phase = PodPhase.STARTING if is_starting else PodPhase.READY
        states = tuple(
            replace(
                state,
                pods=tuple(
                    replace(pod, seen_s=BEGINS_S, phase=phase) if pod.pod in lost else pod for pod in state.pods
                ),
            )
            for state in snapshot.variants
        )
        return replace(snapshot, windows=windows, variants=states)

    return hide


def freeze_pages(now_s: float, snapshot: ModelSnapshot) -> ModelSnapshot:
    """Half of the pages stand still and look idle; nobody noticed that they are frozen."""
    if not BEGINS_S < now_s <= ENDS_S:
        return snapshot
    windows = tuple(
        replace(window, arrivals=0.0, input_lengths=None, output_lengths=None) if index % 2 == 0 else window
        for index, window in enumerate(snapshot.windows)
    )
    return replace(snapshot, windows=windows)


OUTAGES: dict[str, Hide] = {
    "half gone": lose_pages(ReasonCode.SCRAPE_TIMEOUT, of_each=2),
    "half gone, readiness with them": lose_pages(ReasonCode.SCRAPE_FAILED, of_each=2, is_starting=True),
    "half garbage": lose_pages(ReasonCode.BAD_PAGE, of_each=2),
    "half known to be frozen": lose_pages(ReasonCode.FROZEN, of_each=2),
    "half frozen unnoticed": freeze_pages,
    "all gone": lose_pages(ReasonCode.SCRAPE_TIMEOUT, of_each=1),
}


def play(
    rate_at: Callable[[float], float], hide: Hide, until_s: float, seed: int | None = None, replicas: int = 8
) -> Story:
    story = Story(make_settings(make_model(VARIANT)), rate_at, {"a": replicas}, seed=seed, hide=hide)
    story.run(until_s)
    return story


@pytest.mark.parametrize("hide", OUTAGES.values(), ids=OUTAGES)
@pytest.mark.parametrize("seed", [None, 1])
def test_an_outage_lowers_no_published_number(hide: Hide, seed: int | None) -> None:
    """Demand even falls meanwhile: who cannot see that must not act on it."""
    story = play(lambda t: (6.0 if t < 600.0 else 4.0) * CAPACITY_PER_S, hide, ENDS_S, seed)
    numbers = [sum(entry.planned.values()) for entry in story.passes if BEGINS_S <= entry.now_s <= ENDS_S]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("hide", OUTAGES.values(), ids=OUTAGES)
def test_the_reason_is_visible_and_it_recovers_by_itself(hide: Hide) -> None:
    story = play(lambda t: (6.0 if t < 600.0 else 2.0) * CAPACITY_PER_S, hide, ENDS_S + 400.0)
    during = next(entry.decision for entry in story.passes if entry.now_s == 450.0)
    assert during is not None
    assert during.reason.code is not ReasonCode.STEADY
    fresh = next(entry for entry in during.conditions if entry.type is ConditionType.FRESH)
    assert fresh.status is False
    after = story.passes[-1].decision
    assert after is not None
    assert next(entry for entry in after.conditions if entry.type is ConditionType.FRESH).status is True
    assert sum(story.passes[-1].planned.values()) <= 3


@pytest.mark.parametrize("name", [name for name in OUTAGES if "unnoticed" not in name and "all" not in name])
@pytest.mark.parametrize("seed", [None, 1])
def test_a_doubled_rate_during_an_outage_still_scales_up_within_one_scrape(name: str, seed: int | None) -> None:
    story = play(lambda t: (4.0 if t < 600.0 else 8.0) * CAPACITY_PER_S, OUTAGES[name], 900.0, seed, replicas=5)
    first = next(entry for entry in story.passes if entry.now_s == 615.0)
    assert sum(first.planned.values()) >= 9
    last = story.passes[-1]
    assert sum(last.planned.values()) <= (12 if seed is None else 14)


def test_without_any_page_the_last_decision_is_kept_with_its_time() -> None:
    story = play(lambda t: 4.0 * CAPACITY_PER_S, OUTAGES["all gone"], 900.0)
    told = {entry.decision.decided_at_s for entry in story.passes if entry.decision and entry.now_s > 330.0}
    assert len(told) == 1
    assert story.passes[-1].decision is not None
    assert story.passes[-1].decision.demand_per_s.value is None
