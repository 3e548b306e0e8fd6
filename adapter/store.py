"""What is published: the newest decisions, in memory, swapped whole, so that every page shows the same numbers.

It does not decide, compute or reach the network.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from optimizer.domain import ModelDecision, ModelKey, ModelTraffic, Override, OverrideMode, VariantDecision, WorkloadRef


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
    def is_shadow(self) -> bool:
        """Whether the number is only shown, and nobody may act on it."""
        override = self.variant.override
        return override is not None and override.mode is OverrideMode.SHADOW

    @property
    def decided_at_s(self) -> float:
        """When it was decided [Unix s]."""
        return self.model.decided_at_s


@dataclass(frozen=True)
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
    traffic
        What was seen of every LLM in the pass that decided.
    """

    models: tuple[ModelDecision, ...] = ()
    undecided: tuple[WorkloadRef, ...] = ()
    passes: int = 0
    traffic: tuple[ModelTraffic, ...] = ()

    @cached_property
    def series(self) -> tuple[Series, ...]:
        """Every published number, in a stable order."""
        return tuple(Series(variant.workload, model, variant) for model in self.models for variant in model.variants)

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str], tuple[Series, ...]]:
        found = defaultdict(list)
        for series in self.series:
            found[series.workload.namespace, series.workload.name.lower()].append(series)
        return {key: tuple(entries) for key, entries in found.items()}

    def get_series(self, namespace: str, name: str) -> tuple[Series, ...]:
        """Return the series of the workloads of that name, of whatever kind; case does not count."""
        return self._by_name.get((namespace, name.lower()), ())


def _find_nothing() -> str | None:
    return None


@dataclass(slots=True)
class DecisionStore:
    """Holds the present publication; `publish` swaps it whole."""

    _publication: Publication = field(default_factory=Publication)
    _find_obstacle: Callable[[], str | None] = _find_nothing
    _details: Mapping[ModelKey, ModelDecision] = field(default_factory=dict)

    def publish(
        self,
        models: tuple[ModelDecision, ...],
        undecided: tuple[WorkloadRef, ...] = (),
        traffic: tuple[ModelTraffic, ...] = (),
    ) -> None:
        """Replace what is published and count the pass."""
        self._publication = Publication(models, undecided, self._publication.passes + 1, traffic)

    def expect(self, workloads: tuple[WorkloadRef, ...]) -> None:
        """Say which workloads will be decided about, so that asking for one is answered with "not yet"."""
        present = self._publication
        self._publication = replace(present, undecided=workloads)

    def count_failed_pass(self) -> None:
        """Count a pass that decided nothing; what is published stays."""
        present = self._publication
        self._publication = replace(present, passes=present.passes + 1)

    def detail(self, models: tuple[ModelDecision, ...], traffic: tuple[ModelTraffic, ...]) -> None:
        """Remember every figure of decisions that others are told of in short, for `show`; the pass is counted."""
        self._details = {model.key: model for model in models}
        present = self._publication
        self._publication = replace(present, traffic=traffic, passes=present.passes + 1)

    def show(self, models: tuple[ModelDecision, ...], undecided: tuple[WorkloadRef, ...] = ()) -> None:
        """Publish what everybody was told, with the figures known here where the numbers are the same."""
        detailed = tuple(_add_details(model, self._details.get(model.key)) for model in models)
        present = self._publication
        self._publication = Publication(detailed, undecided, max(present.passes, 1), present.traffic)

    def withhold_while(self, find_obstacle: Callable[[], str | None]) -> None:
        """Let nobody act on what is published while `find_obstacle` tells why; it is still shown."""
        self._find_obstacle = find_obstacle

    def find_obstacle(self) -> str | None:
        """Return why nobody may act on what is published, None when they may."""
        return self._find_obstacle()

    def get(self) -> Publication:
        """Return the present publication."""
        return self._publication


def _add_details(told: ModelDecision, known: ModelDecision | None) -> ModelDecision:
    """Return `known` with the time of `told` where both say the same numbers, else `told`."""
    if known is None or _list_numbers(known) != _list_numbers(told):
        return told
    return replace(known, decided_at_s=told.decided_at_s)


def _list_numbers(model: ModelDecision) -> list[tuple[WorkloadRef, int, Override | None]]:
    numbers = [(line.workload, line.planned_replicas, line.override) for line in model.variants]
    return sorted(numbers, key=lambda entry: entry[0])


@dataclass(frozen=True, slots=True)
class StorePublisher:
    """Makes decisions known in this process, and nowhere else."""

    store: DecisionStore

    async def publish(self, decisions: tuple[ModelDecision, ...], traffic: tuple[ModelTraffic, ...]) -> None:
        """Replace what is published."""
        self.store.publish(decisions, traffic=traffic)

    def count_failed_pass(self) -> None:
        """Count it; what is published stays."""
        self.store.count_failed_pass()
