"""What is published: the newest decisions, in memory, swapped whole, so that every page shows the same numbers.

It does not decide, compute or reach the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from optimizer.domain import ModelDecision, ModelKey, VariantDecision, WorkloadRef


@dataclass(frozen=True, slots=True)
class Series:
    """One published number: the replicas of one workload, with the decision it comes from."""

    workload: WorkloadRef
    model: ModelDecision
    variant: VariantDecision

    @property
    def replicas(self) -> int:
        """The number."""
        return self.variant.planned_replicas

    @property
    def decided_at_s(self) -> float:
        """When it was decided [Unix s]."""
        return self.model.decided_at_s


@dataclass(frozen=True, slots=True)
class Publication:
    """One consistent set of decisions.

    Attributes
    ----------
    models
        The newest decision of every LLM.
    undecided
        Workloads that are known but have no decision yet.
    passes
        Passes of the controller finished so far, whatever their outcome.
    """

    models: tuple[ModelDecision, ...] = ()
    undecided: tuple[WorkloadRef, ...] = ()
    passes: int = 0

    def iterate_series(self) -> Iterator[Series]:
        """Yield the series of every variant of every LLM, in a stable order."""
        for model in self.models:
            for variant in model.variants:
                yield Series(variant.workload, model, variant)


@dataclass(slots=True)
class DecisionStore:
    """Holds the present publication; `publish` swaps it whole."""

    _publication: Publication = field(default_factory=Publication)

    def publish(self, models: tuple[ModelDecision, ...], undecided: tuple[WorkloadRef, ...] = ()) -> None:
        """Replace what is published and count the pass."""
        self._publication = Publication(models, undecided, self._publication.passes + 1)

    def get(self) -> Publication:
        """Return the present publication."""
        return self._publication

    def get_model(self, key: ModelKey) -> ModelDecision | None:
        """Return the newest decision about `key`, None when there is none."""
        return next((model for model in self._publication.models if model.key == key), None)
