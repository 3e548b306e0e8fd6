"""The product: state and snapshot become decisions and the next state. Same input, same output; it knows no clock.

see       what is asked of each LLM, and what is there          (optimizer.demand)
propose   what its policy wants: capacity, or counts            (optimizer.policy, calmed by optimizer.stabilization)
allocate  the cheapest plan for all of them, within limits      (optimizer.solver)
step      as much of it as may be published now                 (optimizer.stabilization)
explain   every number with its reason

What a person decided instead is given to all of them. Where something is in shadow, the last three are done twice:
once with it standing where others keep it, which is published, and once with it moving, which is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from optimizer.deciding import (
    Settled,
    Wish,
    allocate,
    ask_policy,
    explain,
    find_broken,
    is_all_shadow,
    move_shadow,
    see_model,
    show_shadows,
    take_steps,
)
from optimizer.domain import FleetSnapshot, ModelDecision, Settings
from optimizer.policy import BUILT_IN_POLICIES, Policy
from optimizer.state import FleetState, ModelState, State


@dataclass(frozen=True, slots=True)
class _Told:
    """What becomes of one LLM, its explanation, and since when a switch is worth it with what is in shadow [s]."""

    settled: Settled
    decision: ModelDecision
    shadow_switch_since_s: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `decide` says.

    Attributes
    ----------
    decisions
        One per LLM of the settings, in their order. An LLM of which nothing is known yet, neither from the cluster nor
        from before, has none: a number made up for it could shrink what runs.
    state
        What the next pass must be given.
    """

    decisions: tuple[ModelDecision, ...]
    state: State


def decide(
    state: State,
    snapshot: FleetSnapshot,
    now_s: float,
    settings: Settings,
    policies: Mapping[str, Policy] = BUILT_IN_POLICIES,
) -> Outcome:
    """Return what to run of every variant of every LLM, and the next state.

    Growth is asked for at once and whole. Nothing shrinks because of data that are missing, before the need has stayed
    below for a calm window, or while ready capacity would not cover it. One LLM's trouble holds that LLM and no other.

    Parameters
    ----------
    state
        Of the pass before; ``State()`` for the first, which begins with the replicas it finds.
    snapshot
        What was collected; what it does not tell is unknown, never zero.
    now_s
        The time of deciding [s].
    settings
        LLMs, prices, limits and knobs. LLMs and variants that are not in it any more are forgotten.
    policies
        The ways to decide, by the name that an LLM calls them.
    """
    sights = (see_model(model, state.models.get(model.key), snapshot, now_s, settings) for model in settings.models)
    known = [sight for sight in sights if sight.view.variants]
    wishes = tuple(ask_policy(sight, policies, now_s, settings) for sight in known)
    told = _settle(wishes, settings, now_s)
    if any(wish.sight.overriding.shadows for wish in wishes):
        imagined = _settle(tuple(move_shadow(wish) for wish in wishes), settings, now_s)
        told = tuple(_show(*pair) for pair in zip(told, imagined, strict=True))
    models = {entry.decision.key: _remember(entry) for entry in told}
    return Outcome(tuple(entry.decision for entry in told), State(models, FleetState(decided_at_s=now_s)))


def _settle(wishes: tuple[Wish, ...], settings: Settings, now_s: float) -> tuple[_Told, ...]:
    """Return what becomes of every wish."""
    settled = take_steps(allocate(wishes, settings, now_s), settings.limits)
    broken = find_broken(settings.limits, {step.key: step.replicas for entry in settled for step in entry.steps})
    return tuple(_Told(entry, explain(entry, settings.limits, broken, now_s)) for entry in settled)


def _show(real: _Told, imagined: _Told) -> _Told:
    """Return what becomes of one LLM, with what is in shadow as it would be."""
    course = real.settled.course
    if not course.wish.sight.overriding.shadows:
        return real
    decision = imagined.decision
    if not is_all_shadow(course.wish):
        decision = show_shadows(real.decision, decision)
    return _Told(real.settled, decision, imagined.settled.course.switch_since_s)


def _remember(told: _Told) -> ModelState:
    course = told.settled.course
    remembered = course.wish.remembered
    stabilization = replace(
        remembered.stabilization,
        switch_since_s=course.switch_since_s,
        shadow_switch_since_s=told.shadow_switch_since_s,
    )
    return replace(remembered, stabilization=stabilization, decision=told.decision)
