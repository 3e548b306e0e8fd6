"""The memory of deciding: one `ModelState` per LLM and one `FleetState`. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optimizer.demand import DemandState
from optimizer.domain import ModelDecision, ModelKey
from optimizer.policy import PolicyState
from optimizer.stabilization import StabilizationState


@dataclass(frozen=True, slots=True)
class ModelState:
    """What is remembered of one LLM; every field has a fresh value.

    Attributes
    ----------
    demand
        Rate, lengths and shares so far: what a forecast is made from.
    policy, policy_state
        Name of the policy that proposed last, and what it remembers (plain JSON values).
    stabilization
        Its calm window.
    kv_capacity_tokens
        KV capacity of a replica as its engines said last, by variant [tokens].
    learners
        What is learned of each variant's speed, by variant (plain JSON values); nothing learns yet.
    decision
        The last one, plan included; None before the first.
    """

    demand: DemandState = field(default_factory=DemandState)
    policy: str = ""
    policy_state: PolicyState = field(default_factory=dict)
    stabilization: StabilizationState = field(default_factory=StabilizationState)
    kv_capacity_tokens: Mapping[str, float] = field(default_factory=dict)
    learners: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    decision: ModelDecision | None = None


@dataclass(frozen=True, slots=True)
class FleetState:
    """What is remembered of all LLMs together: when they were last decided about [s]."""

    decided_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Everything `decide` remembers; ``State()`` remembers nothing."""

    models: Mapping[ModelKey, ModelState] = field(default_factory=dict)
    fleet: FleetState = field(default_factory=FleetState)
