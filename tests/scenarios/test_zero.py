"""Zero is a decision, never a default: down only after known silence, up with the first request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer.domain import ModelSnapshot, ReasonCode, ServedModel
from tests.builders.snapshots import make_gateway
from tests.builders.story import Story, make_model, make_settings, make_variant

SLOW, QUICK = make_variant("cheap", cost_per_hour=1.0), make_variant("dear", cost_per_hour=3.0, speed=1.5)
MODEL = make_model(SLOW, QUICK, gateway=True, idle_to_zero_s=300.0)


def rate_at(time_s: float) -> float:
    return 1.0 if time_s <= 300.0 or time_s > 1204.0 else 0.0


def test_to_zero_after_known_silence_and_back_with_the_first_held_request() -> None:
    story = Story(make_settings(MODEL), rate_at, {"cheap": 1})
    story.run(1500.0)
    numbers = {entry.now_s: sum(entry.planned.values()) for entry in story.passes}
    assert all(number == 1 for now_s, number in numbers.items() if now_s < 600.0)
    assert all(number == 0 for now_s, number in numbers.items() if 615.0 <= now_s < 1215.0)
    assert numbers[1215.0] == 1
    assert story.passes[int(1215 / 15) - 1].planned == {"cheap": 1, "dear": 0}
    assert story.held == 0.0
    codes = [entry.decision.reason.code for entry in story.passes if entry.decision is not None]
    assert codes.count(ReasonCode.SCALE_TO_ZERO) == 1
    assert codes.count(ReasonCode.WAKE_FROM_ZERO) == 1


def test_it_goes_to_zero_and_wakes_without_any_calm_window() -> None:
    story = Story(make_settings(MODEL, calm_window_s=0.0), rate_at, {"cheap": 1})
    story.run(1230.0)
    numbers = {entry.now_s: sum(entry.planned.values()) for entry in story.passes}
    assert (numbers[585.0], numbers[1200.0], numbers[1215.0]) == (1, 0, 1)


def test_a_held_request_wakes_even_when_the_counter_cannot_be_read() -> None:
    def hide(now_s: float, snapshot: ModelSnapshot) -> ModelSnapshot:
        blind = replace(make_gateway(None, now_s - 15.0, now_s), waiting_requests=2.0)
        return replace(snapshot, gateway=blind if now_s > 900.0 else snapshot.gateway)

    story = Story(make_settings(MODEL), lambda t: 0.0, {"cheap": 1}, hide=hide)
    story.run(915.0)
    assert sum(story.passes[-2].planned.values()) == 0
    assert sum(story.passes[-1].planned.values()) == 1


def test_silence_that_nobody_watches_is_no_silence() -> None:
    def hide(now_s: float, snapshot: ModelSnapshot) -> ModelSnapshot:
        return replace(snapshot, gateway=None, windows=()) if now_s % 240.0 < 100.0 else snapshot

    story = Story(make_settings(MODEL), lambda t: 0.0, {"cheap": 1}, hide=hide)
    story.run(1500.0)
    assert all(sum(entry.planned.values()) == 1 for entry in story.passes)


@pytest.mark.parametrize(
    "model",
    [
        make_model(SLOW, gateway=False),
        make_model(SLOW, gateway=True, minimum=1),
        make_model(make_variant("cheap", minimum=1), gateway=True),
    ],
    ids=["nobody could wake it", "bound of the model", "bound of the variant"],
)
def test_it_never_goes_to_zero_where_that_is_not_allowed(model: ServedModel) -> None:
    story = Story(make_settings(model), lambda t: 0.0, {"cheap": 1})
    story.run(1200.0)
    assert all(entry.planned == {"cheap": 1} for entry in story.passes)


def test_at_zero_without_any_data_it_stays_at_zero() -> None:
    story = Story(make_settings(MODEL), lambda t: 0.0, {}, hide=lambda now_s, shown: replace(shown, gateway=None))
    story.run(300.0)
    assert all(sum(entry.planned.values()) == 0 for entry in story.passes)
