"""The ladders of one run beside what it cost: LLM by LLM, and all together. They are computed elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.domain import ModelKey
from optimizer.simulation.bounds.rungs import Ladder


@dataclass(frozen=True, slots=True)
class ModelLadder:
    """One LLM of a run.

    Attributes
    ----------
    model
        Which one.
    cost
        What its replicas cost in the run [currency].
    attainment_ratio
        Share of its requests that kept every promise [0-1].
    ladder
        Bounds for whoever attains as much for it.
    """

    model: ModelKey
    cost: float
    attainment_ratio: float
    ladder: Ladder


@dataclass(frozen=True, slots=True)
class RunLadder:
    """One run.

    Attributes
    ----------
    cost
        Of all its replicas [currency].
    total
        Bounds for all LLMs together.
    models
        Every LLM by itself, in the order of the scenario.
    """

    cost: float
    total: Ladder
    models: tuple[ModelLadder, ...]

    @property
    def violations(self) -> tuple[str, ...]:
        """What cannot be: costs below a bound that is proven, a line each; simulator or bound is wrong then."""
        lines = [(f"{one.model.namespace}/{one.model.model_id}", one.cost, one.ladder) for one in self.models]
        if len(lines) != 1:
            lines.append(("all LLMs together", self.cost, self.total))
        return tuple(
            f"{name}: cost {cost:.6f} is below {ladder.bound_name} = {ladder.bound:.6f}"
            for name, cost, ladder in lines
            if not ladder.is_above_bound(cost)
        )
