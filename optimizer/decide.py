"""The product: state and snapshot become decisions and the next state. Same input, same output; it knows no clock.

see       what is asked of each LLM, and what is there          (optimizer.demand)
propose   what its policy wants: capacity, or counts            (optimizer.policy, calmed by optimizer.stabilization)
allocate  the cheapest plan for all of them, within limits      (optimizer.solver)
step      as much of it as may be published now                 (optimizer.stabilization)
explain   every number with its reason
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from optimizer.deciding import Settled, allocate, ask_policy, explain, see_model, take_steps
from optimizer.domain import FleetSnapshot, ModelDecision, Settings
from optimizer.policy import BUILT_IN_POLICIES, Policy
from optimizer.state import FleetState, ModelState, State


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
    courses = allocate(wishes, settings, now_s)
    settled = take_steps(courses, settings.limits)
    decisions = tuple(explain(entry, settings.limits, now_s) for entry in settled)
    models = {entry.key: _remember(part, entry) for part, entry in zip(settled, decisions, strict=True)}
    return Outcome(decisions, State(models, FleetState(decided_at_s=now_s)))


def _remember(settled: Settled, decision: ModelDecision) -> ModelState:
    course = settled.course
    remembered = course.wish.remembered
    stabilization = replace(remembered.stabilization, switch_since_s=course.switch_since_s)
    return replace(remembered, stabilization=stabilization, decision=decision)
