"""The product: state and snapshot become decisions and the next state. Same input, same output; it knows no clock."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.domain import FleetSnapshot, ModelDecision, Settings
from optimizer.state import State


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `decide` says.

    Attributes
    ----------
    decisions
        One per LLM of the settings, in their order, whatever the data were.
    state
        What the next pass must be given.
    """

    decisions: tuple[ModelDecision, ...]
    state: State


def decide(state: State, snapshot: FleetSnapshot, now_s: float, settings: Settings) -> Outcome:
    """Return what to run of every variant of every LLM, and the next state.

    Parameters
    ----------
    state
        Of the pass before; ``State()`` for the first.
    snapshot
        What was collected; what it does not tell is unknown, never zero.
    now_s
        The time of deciding [s].
    settings
        LLMs, prices, limits and knobs.
    """
    raise NotImplementedError
