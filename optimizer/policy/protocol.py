"""The one signature of every way to decide: a view of one LLM in, a proposal and its own memory out. No algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

from optimizer.demand import DemandHistory, DemandNow, LoadShares
from optimizer.domain import (
    CapacityTable,
    Need,
    Observation,
    PodSignals,
    Reason,
    Routing,
    ServedModel,
    Settings,
    SignalSpec,
    Variant,
    VariantKey,
    VariantState,
    Workload,
)
from optimizer.queueing import CapacityEstimate

PolicyState: TypeAlias = Mapping[str, Any]
"""What a policy remembers of one LLM: plain JSON values by name, so that it survives in a document; {} at first."""


@dataclass(frozen=True, slots=True)
class VariantView:
    """One variant as a policy sees it.

    Attributes
    ----------
    key, variant
        Which one.
    state
        Its replicas as last seen.
    published_replicas
        The number that was last published, or what was found at the start.
    replica_cost_per_hour
        Price of one replica [currency/h].
    kv_capacity_tokens
        As its engines say [tokens], None when none did.
    """

    key: VariantKey
    variant: Variant
    state: VariantState
    published_replicas: int
    replica_cost_per_hour: float
    kv_capacity_tokens: float | None = None


@dataclass(frozen=True, slots=True)
class ModelView:
    """One LLM as a policy sees it; its demand is known, else no policy is asked.

    Attributes
    ----------
    model
        What was configured.
    variants
        Those that can be decided about.
    demand
        What is asked now.
    history
        What was asked before.
    shares
        Which pod got how much of it.
    workload
        Token lengths to plan with at the present rate; absent figures are explained by `workload_reason`.
    workload_reason
        Why the lengths are not purely measured, None when they are.
    signals
        What the policy asked for of the pods that serve, see `SignalReader`.
    """

    model: ServedModel
    variants: tuple[VariantView, ...]
    demand: DemandNow
    history: DemandHistory
    shares: LoadShares
    workload: Workload | None
    workload_reason: Reason | None = None
    signals: tuple[PodSignals, ...] = ()


@dataclass(frozen=True, slots=True)
class FixedReplicas:
    """A proposal of counts.

    Attributes
    ----------
    by_variant
        Replicas wanted of each variant; a variant that is absent wants none.
    note
        What a person should know about these counts, such as a need that they do not cover; for the explanation.
    hold
        Why nothing can be proposed, such as pods that do not tell: what was published is kept. `by_variant` then
        repeats it.
    capacity_per_s
        What one replica was counted with, where the policy knows such a thing [1/s]; published with the decision.
    """

    by_variant: Mapping[VariantKey, int]
    note: Reason | None = None
    hold: Reason | None = None
    capacity_per_s: Mapping[VariantKey, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CapacityNeed:
    """A proposal of capacity, left to the solver to meet at least cost.

    Attributes
    ----------
    need
        Capacity asked for, margin included.
    capacity_table
        What one replica of each variant carries within the SLO, the utilization ceiling not applied.
    routing
        How requests are assumed to reach replicas: ``uniform``, ``weighted`` or ``bucketed``.
    forecast_per_s
        Highest rate expected over the longest lead time [1/s], for the explanation.
    estimates
        Where the capacities come from, for the explanation.
    """

    need: Need
    capacity_table: CapacityTable
    routing: Routing
    forecast_per_s: Observation = field(default_factory=Observation)
    estimates: Mapping[VariantKey, CapacityEstimate] = field(default_factory=dict)


Proposal: TypeAlias = FixedReplicas | CapacityNeed


class Policy(Protocol):
    """A whole way to decide about one LLM."""

    def propose(
        self, view: ModelView, state: PolicyState, now_s: float, settings: Settings
    ) -> tuple[Proposal, PolicyState]:
        """Return what it wants, and what it wants to remember.

        Parameters
        ----------
        view
            The LLM.
        state
            What it remembered last time; {} at first, and after anything it cannot make sense of.
        now_s
            Time of deciding [s].
        settings
            Prices and knobs.

        Raises
        ------
        InvalidInput, ArithmeticError
            When it cannot propose: this LLM is then held, the others are not touched.
        """
        ...


@runtime_checkable
class SignalReader(Protocol):
    """A policy that looks at series of its own choice."""

    def list_signals(self, options: Mapping[str, object]) -> tuple[SignalSpec, ...]:
        """Return what it wants to know of every pod of an LLM with these ``policy_options``.

        Raises
        ------
        InvalidInput
            When the options are not valid: it names the field, the value and what is allowed.
        """
        ...


@runtime_checkable
class OptionsChecker(Protocol):
    """A policy whose options can be judged when the configuration is read."""

    def check_options(self, model: ServedModel) -> None:
        """Check the options of one LLM against what it is and its variants.

        Without variants they are not known yet, or not readable: only the options themselves can be judged then.

        Raises
        ------
        InvalidInput
            When something is not valid: it names the field, the value and what is allowed. `InvalidOptions`, which
            `OptionReader` raises, names all that is not, by paths within the model, such as ``policy_options.total``.
        """
        ...
