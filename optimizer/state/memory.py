"""The memory of deciding: one `ModelState` per LLM and one `FleetState`. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optimizer.domain import ModelDecision, ModelKey


@dataclass(frozen=True, slots=True)
class ModelState:
    """What is remembered of one LLM; every field has a fresh value."""

    decision: ModelDecision | None = None
    learners: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FleetState:
    """What is remembered of all LLMs together: when they were last decided about [s]."""

    decided_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Everything `decide` remembers; ``State()`` remembers nothing."""

    models: Mapping[ModelKey, ModelState] = field(default_factory=dict)
    fleet: FleetState = field(default_factory=FleetState)
