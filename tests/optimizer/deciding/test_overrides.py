"""What a person decides instead of us: pinned, paused, in shadow; for how long, and what it does to everybody else."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from optimizer import State, decide, decode_state, encode_state
from optimizer.domain import (
    ConditionType,
    FleetSnapshot,
    Limit,
    LimitKind,
    ModelDecision,
    ModelSnapshot,
    Override,
    OverrideMode,
    ReasonCode,
    ServedModel,
    Settings,
    Variant,
    VariantDecision,
    VariantKey,
)
from tests.builders.snapshots import make_key, make_model_snapshot, make_state, make_window
from tests.builders.story import Story, get_capacity_per_s, make_model, make_settings, make_variant

SMALL = make_variant("small", cost_per_hour=1.0)
BIG = make_variant("big", cost_per_hour=3.0, speed=2.0)
CAPACITY_PER_S = get_capacity_per_s(SMALL)


def pin(replicas: int, **more: object) -> Override:
    return Override(OverrideMode.PIN, replicas, **more)  # type: ignore[arg-type]


PAUSE, SHADOW = Override(OverrideMode.PAUSE, by="ops"), Override(OverrideMode.SHADOW)


def with_override(model: ServedModel, **overrides: Override | None) -> ServedModel:
    """Return `model` with the overrides of its variants, by name."""
    variants = (replace(entry, override=overrides.get(entry.name, entry.override)) for entry in model.variants)
    return replace(model, variants=tuple(variants))


def set_override(story: Story, **overrides: Override | None) -> None:
    first, *others = story.settings.models
    story.settings = replace(story.settings, models=(with_override(first, **overrides), *others))


def get_line(decision: ModelDecision | None, name: str) -> VariantDecision:
    assert decision is not None
    return next(entry for entry in decision.variants if entry.key.variant == name)


def plan(decision: ModelDecision) -> dict[str, int]:
    return {entry.key.variant: entry.planned_replicas for entry in decision.variants}


def decide_once(
    snapshot: ModelSnapshot, *variants: Variant, limits: tuple[Limit, ...] = (), state: State | None = None
) -> ModelDecision:
    settings = make_settings(make_model(*variants), limits=limits)
    (decision,) = decide(state or State(), FleetSnapshot(15.0, (snapshot,)), 15.0, settings).decisions
    return decision


# --- Pinned -----------------------------------------------------------------------------------------------------------
def test_a_pinned_number_is_published_at_once_whatever_bounds_and_windows_say() -> None:
    story = Story(
        make_settings(make_model(replace(SMALL, max_replicas=4))), lambda t: 2.5 * CAPACITY_PER_S, {"small": 3}
    )
    story.run(120.0)
    for replicas in (6, 1, 5, 0, 2):
        set_override(story, small=pin(replicas))
        story.run(story.now_s + 15.0)
        assert story.passes[-1].planned == {"small": replicas}
        line = get_line(story.passes[-1].decision, "small")
        assert (line.reason.code, line.override, line.hold) == (ReasonCode.PINNED, pin(replicas), None)


def test_it_says_who_and_until_when() -> None:
    override = pin(2, by="ada", until_s=1_801_418_400.0, source="annotation")
    decision = decide_once(make_model_snapshot((make_state("small", ("a",)),)), replace(SMALL, override=override))
    message = "pinned at 2 replicas by ada until 2027-01-31T18:00:00Z (annotation)"
    assert (decision.variants[0].reason.message, decision.reason.code) == (message, ReasonCode.PINNED)
    assert decision.reason.message == f"small: {message}"


@pytest.mark.parametrize("pinned", range(5))
@pytest.mark.parametrize("load", [1.3, 3.7, 6.2])
def test_the_others_carry_what_the_pinned_ones_do_not(pinned: int, load: float) -> None:
    """One other variant, so the least plan is a quotient: what is left of the need over a replica's share."""
    story = Story(
        make_settings(make_model(SMALL, replace(BIG, override=pin(pinned)))),
        lambda t: load * CAPACITY_PER_S,
        {"small": 7},
    )
    story.run(600.0)
    decision = story.passes[-1].decision
    assert decision is not None
    assert decision.plan is not None
    small, big = get_line(decision, "small"), get_line(decision, "big")
    ceiling_ratio = story.settings.decision.utilization_ceiling_ratio
    left_per_s = decision.plan.need_per_s - pinned * ceiling_ratio * (big.capacity_per_s.value or 0.0)
    least = math.ceil(left_per_s / (ceiling_ratio * (small.capacity_per_s.value or 0.0)) - 1e-9)
    assert story.passes[-1].planned == {"small": max(least, 0 if pinned else 1), "big": pinned}


def test_a_pinned_zero_is_zero_whatever_is_asked() -> None:
    story = Story(make_settings(make_model(replace(SMALL, override=pin(0)), minimum=2)), lambda t: 9.0, {"small": 3})
    story.run(90.0)
    assert [entry.planned["small"] for entry in story.passes] == [0] * 6


def test_a_variant_of_which_nothing_is_known_is_pinned_all_the_same() -> None:
    settings = make_settings(make_model(replace(SMALL, override=pin(3))))
    (decision,) = decide(State(), FleetSnapshot(15.0, ()), 15.0, settings).decisions
    assert plan(decision) == {"small": 3}


def test_without_data_the_pinned_number_holds_beside_the_others_and_does_not_grow_old() -> None:
    story = Story(make_settings(make_model(SMALL)), lambda t: 2.5 * CAPACITY_PER_S, {"small": 3})
    story.run(120.0)
    for now_s, replicas in ((900.0, 5), (9000.0, 5), (9015.0, 1)):
        settings = make_settings(make_model(replace(SMALL, override=pin(replicas))))
        (decision,) = decide(story.state, FleetSnapshot(now_s, ()), now_s, settings).decisions
        assert (plan(decision), decision.decided_at_s) == ({"small": replicas}, now_s)
    both = make_model_snapshot((make_state("small", ("a", "b")), make_state("big", ("c",))))
    assert plan(decide_once(both, SMALL, replace(BIG, override=pin(4)))) == {"small": 2, "big": 4}


def test_a_limit_that_a_pinned_number_breaks_is_told_and_leaves_nothing_to_others() -> None:
    limit = Limit("gpus", LimitKind.ACCELERATORS, {make_key("small"): 1.0, make_key("big"): 1.0}, 4.0)
    for pinned, others in ((6, 0), (3, 1)):
        model = make_model(SMALL, replace(BIG, override=pin(pinned)))
        story = Story(make_settings(model, limits=(limit,)), lambda t: 9.0 * CAPACITY_PER_S, {})
        story.run(60.0)
        decision = story.passes[-1].decision
        assert story.passes[-1].planned == {"small": others, "big": pinned}
        assert decision is not None
        within = next(entry for entry in decision.conditions if entry.type is ConditionType.WITHIN_LIMITS)
        assert within.status is False
        if pinned > 4:
            assert within.reason.message == "what is published exceeds limits: 6 of 4 in gpus"


class Placeless(Story):
    """No big replica finds a place."""

    def _sync(self) -> None:
        super()._sync()
        for replica in self.pools[make_key("big")].replicas:
            replica.ready_s = math.inf


def test_pinned_replicas_that_find_no_place_are_not_counted_on() -> None:
    limit = Limit("scheduler", LimitKind.ACCELERATORS, {make_key("big"): 1.0}, 0.0)
    model = make_model(SMALL, replace(BIG, override=pin(4)))
    story = Placeless(make_settings(model, limits=(limit,)), lambda t: 2.5 * CAPACITY_PER_S, {"small": 3})
    story.run(600.0)
    assert story.passes[-1].planned == {"small": 3, "big": 4}
    assert story.get_attainment_ratio() == 1.0


def test_a_pin_beyond_a_limit_stops_no_other_llm() -> None:
    other = make_model(make_variant("solo", model_id="other"))
    solo = other.variants[0].key()
    limit = Limit("gpus", LimitKind.ACCELERATORS, {make_key("small"): 1.0, solo: 1.0}, 4.0)
    states = (
        make_model_snapshot((make_state("small", ("a",)),), (make_window("a", 20.0),)),
        ModelSnapshot(other.key, (replace(make_state("solo", ("b", "c")), key=solo),), (make_window("b", 90.0),)),
    )
    settings = make_settings(make_model(replace(SMALL, override=pin(5))), other, limits=(limit,))
    mine, theirs = decide(State(), FleetSnapshot(15.0, states), 15.0, settings).decisions
    assert (plan(mine), plan(theirs)) == ({"small": 5}, {"solo": 2})


def test_nobody_else_shrinks_before_the_pinned_ones_serve() -> None:
    limit = Limit("gpus", LimitKind.ACCELERATORS, {make_key("small"): 1.0, make_key("big"): 1.0}, 6.0)
    story = Story(make_settings(make_model(SMALL, BIG), limits=(limit,)), lambda t: 3.5 * CAPACITY_PER_S, {"small": 5})
    story.run(300.0)
    set_override(story, big=pin(4))
    story.run(900.0)
    assert story.passes[-1].planned == {"small": 0, "big": 4}
    assert story.get_attainment_ratio() == 1.0


# --- Paused -----------------------------------------------------------------------------------------------------------
def test_a_paused_number_stays_and_the_others_carry_the_rest() -> None:
    load = {"now": 2.5}
    story = Story(make_settings(make_model(SMALL, BIG)), lambda t: load["now"] * CAPACITY_PER_S, {"small": 4})
    story.run(300.0)
    before = story.passes[-1].planned["small"]
    set_override(story, small=PAUSE)
    load["now"] = 8.0
    story.run(900.0)
    load["now"] = 0.5
    story.run(1800.0)
    assert {entry.planned["small"] for entry in story.passes if entry.now_s > 300.0} == {before}
    assert max(entry.planned["big"] for entry in story.passes) >= 2
    assert story.passes[-1].planned["big"] == 0
    line = get_line(story.passes[-1].decision, "small")
    assert (line.reason.code, line.override) == (ReasonCode.PAUSED, PAUSE)
    assert line.reason.message == f"paused at {before} replicas by ops (configuration)"


def test_a_pause_begins_with_what_is_asked_for_and_survives_restarts_with_and_without_state() -> None:
    paused = replace(SMALL, override=PAUSE)
    snapshot = make_model_snapshot((make_state("small", ("a", "b"), requested=4),), (make_window("a", 500.0),))
    first = decide(State(), FleetSnapshot(15.0, (snapshot,)), 15.0, make_settings(make_model(paused)))
    assert plan(first.decisions[0]) == {"small": 4}
    document = json.loads(json.dumps(encode_state(first.state), allow_nan=False))
    kept, reasons = decode_state(document)
    assert (kept, reasons) == (first.state, ())
    fewer = make_model_snapshot((make_state("small", ("a",), requested=1),))
    assert plan(decide_once(fewer, paused, state=kept)) == {"small": 4}
    assert plan(decide_once(snapshot, paused)) == {"small": 4}


def test_a_document_from_before_overrides_is_still_read() -> None:
    story = Story(make_settings(make_model(SMALL)), lambda t: CAPACITY_PER_S, {"small": 2})
    story.run(60.0)
    text = json.dumps(encode_state(story.state))
    assert "override" not in text  # a document without any is what it was before there were any
    assert decode_state(json.loads(text)) == (story.state, ())


# --- In shadow --------------------------------------------------------------------------------------------------------
class Shadowed(Story):
    """Nobody follows what is in shadow: another autoscaler keeps `others` there."""

    others = 3

    def _sync(self) -> None:
        super()._sync()
        for variant in self.settings.models[0].variants:
            if variant.override is not None and variant.override.mode is OverrideMode.SHADOW:
                self.pools[variant.key()].request(self.others, self.now_s, is_warm=True)


def test_in_shadow_the_decision_goes_from_what_is_really_asked_for() -> None:
    model = make_model(replace(SMALL, override=SHADOW))
    story = Shadowed(make_settings(model), lambda t: 4.5 * CAPACITY_PER_S, {"small": 3})
    story.run(300.0)
    wanted = story.passes[-1].planned["small"]
    assert wanted > 4
    line = get_line(story.passes[-1].decision, "small")
    assert (line.reason.code, line.requested_replicas, line.override) == (ReasonCode.SHADOW, 3, SHADOW)
    assert line.reason.message == (
        f"in shadow (configuration), {wanted} replicas would be published: 3 -> {wanted} replicas"
    )
    assert story.passes[-1].decision is not None
    assert story.passes[-1].decision.reason.code is ReasonCode.SHADOW
    assert story.passes[-1].decision.coverage_ratio == 1.0


def test_after_a_shadow_nothing_moves_to_a_number_that_was_never_published() -> None:
    """Demand vanishes from sight as the shadow ends, so the number is held: that which really is there."""
    model = make_model(replace(SMALL, override=SHADOW))
    story = Shadowed(make_settings(model), lambda t: 4.5 * CAPACITY_PER_S, {"small": 3})
    story.run(300.0)
    assert story.passes[-1].planned["small"] > 4
    shown = make_model_snapshot((make_state("small", ("a", "b", "c")),))
    assert plan(decide_once(shown, SMALL, state=story.state)) == {"small": 3}
    unseen = decide(story.state, FleetSnapshot(315.0, ()), 315.0, make_settings(make_model(SMALL)))
    assert plan(unseen.decisions[0]) == {"small": 3}


def test_a_shadow_beside_others_leaves_the_whole_need_to_them() -> None:
    """The big variant would be cheapest, yet nobody starts it: the small one must carry everything."""
    cheap = replace(BIG, cost_per_hour=0.5, override=SHADOW)
    story = Shadowed(make_settings(make_model(SMALL, cheap)), lambda t: 3.5 * CAPACITY_PER_S, {"small": 5})
    story.others = 0
    story.run(900.0)
    last = story.passes[-1]
    assert last.planned["big"] > 0
    assert last.planned["small"] >= 4
    assert story.get_attainment_ratio() == 1.0
    assert last.decision is not None
    assert last.decision.cost_per_hour == last.planned["small"] * 1.0
    assert last.decision.reason.code is not ReasonCode.SHADOW


def test_a_shadow_takes_no_more_of_a_limit_than_it_really_uses() -> None:
    """It would need all eight devices and has the higher class; the other LLM gets the six that are free."""
    other = make_model(make_variant("solo", model_id="other"))
    solo = other.variants[0].key()
    limit = Limit("gpus", LimitKind.ACCELERATORS, {make_key("small"): 1.0, solo: 1.0}, 8.0)
    states = (
        make_model_snapshot((make_state("small", ("a", "b")),), (make_window("a", 900.0), make_window("b", 900.0))),
        ModelSnapshot(other.key, (replace(make_state("solo", ("c",)), key=solo),), (make_window("c", 900.0),)),
    )
    urgent = replace(
        make_model(replace(SMALL, override=SHADOW)), service_classes=(replace(other.service_classes[0], priority=9),)
    )
    mine, theirs = decide(
        State(), FleetSnapshot(15.0, states), 15.0, make_settings(urgent, other, limits=(limit,))
    ).decisions
    assert plan(theirs) == {"solo": 6}
    assert plan(mine)["small"] > 6


# --- Ends, and everything together ------------------------------------------------------------------------------------
@pytest.mark.parametrize("override", [pin(9), PAUSE, SHADOW])
def test_an_override_ends_by_itself(override: Override) -> None:
    ending = replace(override, until_s=150.0)
    story = Story(
        make_settings(make_model(replace(SMALL, override=ending))), lambda t: 2.5 * CAPACITY_PER_S, {"small": 3}
    )
    story.run(900.0)
    for entry in story.passes:
        line = get_line(entry.decision, "small")
        assert line.override == (ending if entry.now_s < 150.0 else None)
    assert story.passes[-1].planned == {"small": 3}


def look_up(levels: list[float], time_s: float) -> float:
    return levels[int(time_s // 90.0) % len(levels)]


def draw_override(stream: np.random.Generator) -> Override | None:
    drawn = (None, pin(int(stream.integers(0, 5))), PAUSE, SHADOW)
    return drawn[int(stream.integers(0, len(drawn)))]


def is_kept(settings: Settings, key: VariantKey, before: int | None, after: int) -> bool:
    """Whether what a person decided about `key` holds between two passes."""
    override = next(entry.override for entry in settings.models[0].variants if entry.key() == key)
    if override is None or override.mode is OverrideMode.SHADOW:
        return True
    return after == (override.replicas if override.mode is OverrideMode.PIN else before)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_people_do_their_numbers_hold_and_ours_keep_bounds_and_limits(seed: int) -> None:
    stream = np.random.default_rng(seed)
    third = make_variant("third", cost_per_hour=1.4, speed=1.3, maximum=3)
    limit = Limit("gpus", LimitKind.ACCELERATORS, {make_key("small"): 1.0, make_key("third"): 2.0}, 7.0)
    levels = (stream.uniform(0.0, 8.0, 30) * CAPACITY_PER_S).tolist()
    story = Story(
        make_settings(make_model(SMALL, BIG, third), limits=(limit,)), partial(look_up, levels), {"small": 2}, seed=seed
    )
    before = {"small": 2, "big": 0, "third": 0}
    for _ in range(20):
        set_override(story, **{name: draw_override(stream) for name in ("small", "big", "third")})
        for _ in range(3):
            was_shadow = {name: get_override(story.state, name) == SHADOW for name in before}
            story.run(story.now_s + 15.0)
            now = story.passes[-1].planned
            seen = story.passes[-1].snapshot.models[0].variants
            requested = {state.key.variant: state.requested_replicas for state in seen}
            for variant in story.settings.models[0].variants:
                last = requested[variant.name] if was_shadow[variant.name] else before[variant.name]
                assert is_kept(story.settings, variant.key(), last, now[variant.name])
            if all(variant.override is None for variant in story.settings.models[0].variants):
                assert now["third"] <= 3
            before = now
            document = json.loads(json.dumps(encode_state(story.state), allow_nan=False))
            assert decode_state(document) == (story.state, ())


def get_override(state: State, name: str) -> Override | None:
    decision = next(iter(state.models.values())).decision if state.models else None
    return None if decision is None else get_line(decision, name).override
