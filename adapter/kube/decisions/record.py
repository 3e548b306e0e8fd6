"""What one VariantDecision object tells: a decision about one variant, and what everybody must know beside it. Data."""

from __future__ import annotations

from dataclasses import dataclass

from adapter.cluster import Obstacle
from adapter.kube.decisions.installation import Installation
from optimizer.domain import (
    Condition,
    ModelKey,
    Observation,
    Reason,
    ReasonCode,
    Routing,
    VariantDecision,
)

NOT_TOLD = Observation.absent(ReasonCode.NO_DATA, "this figure is known only where decisions are made")
"""What stands in place of a figure that objects do not carry."""


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision as it is told to everybody.

    Attributes
    ----------
    installation
        Whose decision it is.
    decision
        What to run of the variant, and why.
    decided_at_s
        When that was decided [Unix s]; while nothing changes the heartbeat tells of later decisions with this outcome.
    model_reason, routing
        Of the decision about the whole LLM.
    conditions
        Those of the LLM, and whether this workload follows.
    obstacles
        What keeps it from following.
    zeroed_by
        Who put the workload to zero and may wake it, "" for nobody: then a person did, or it is not at zero.
    """

    installation: Installation
    decision: VariantDecision
    decided_at_s: float
    model_reason: Reason
    routing: Routing = Routing.UNIFORM
    conditions: tuple[Condition, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    zeroed_by: str = ""

    @property
    def model_key(self) -> ModelKey:
        """Return the LLM that the variant serves."""
        return ModelKey(self.decision.key.namespace, self.decision.key.model_id)
