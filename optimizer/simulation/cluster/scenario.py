"""What is simulated: the requests, the fleet they meet, and the truth about it that no scaler is told. Data only.

R requests are held as columns of R entries.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizer.domain import (
    Accelerator,
    DecisionSettings,
    IterationLaw,
    IterationTable,
    Limit,
    Role,
    ServedModel,
    Settings,
    Variant,
    VariantKey,
)
from optimizer.errors import InvalidInput
from optimizer.simulation.cluster.startup import StartupTime
from optimizer.simulation.limits import EngineLimits
from optimizer.simulation.step_time import StepTime
from optimizer.simulation.ticks import NS_PER_S, to_ns

Column: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """What is asked, in order of arrival; every column has R entries and cannot be written.

    Attributes
    ----------
    arrival_ns
        When each reaches the router, counted from the start, never falling, >= 0 [ns].
    input_tokens, output_tokens
        Prompt and answer, >= 1 [tokens].
    cached_tokens
        Part of the prompt that a prefix cache holds [tokens].
    service_class
        Index into the `service_classes` of its LLM.
    model
        Index into the `models` of the scenario.
    """

    arrival_ns: Column
    input_tokens: Column
    output_tokens: Column
    cached_tokens: Column
    service_class: Column
    model: Column

    def __post_init__(self) -> None:
        """Freeze the columns.

        Raises
        ------
        InvalidInput
            When they differ in length, arrivals fall or lie before 0, or a length is not allowed.
        """
        count = len(self.arrival_ns)
        for entry in fields(self):
            column = np.array(getattr(self, entry.name), dtype=np.int64)
            if column.shape != (count,):
                raise InvalidInput(f"requests.{entry.name}", f"of {count} entries", column.shape)
            least = 1 if entry.name in ("input_tokens", "output_tokens") else 0
            if count and int(column.min()) < least:
                raise InvalidInput(f"requests.{entry.name}", f">= {least}", int(column.min()))
            column.flags.writeable = False
            object.__setattr__(self, entry.name, column)
        if count and bool((self.arrival_ns[1:] < self.arrival_ns[:-1]).any()):
            raise InvalidInput("requests.arrival_ns", "in order of arrival", "one that falls")

    def __len__(self) -> int:
        """Return R."""
        return len(self.arrival_ns)

    @classmethod
    def from_columns(
        cls,
        arrival_s: Iterable[float],
        input_tokens: ArrayLike,
        output_tokens: ArrayLike,
        *,
        cached_tokens: ArrayLike = 0,
        service_class: ArrayLike = 0,
        model: ArrayLike = 0,
    ) -> Requests:
        """Return the requests that arrive at `arrival_s` [s]; a single number stands for all of them.

        Raises
        ------
        InvalidInput
            See the class.
        """
        arrival_ns = np.array([to_ns(float(time_s)) for time_s in arrival_s], dtype=np.int64)
        columns = (input_tokens, output_tokens, cached_tokens, service_class, model)
        shape = arrival_ns.shape
        whole = (np.broadcast_to(np.asarray(column, dtype=np.int64), shape) for column in columns)
        return cls(arrival_ns, *whole)


class StepTimeFactory(Protocol):
    """Makes the step time of one replica: for replicas that differ, or whose speed is noisy."""

    def __call__(self, ordinal: int, generator: np.random.Generator) -> StepTime:
        """Return the step time of the replica made as number `ordinal` of its variant; `generator` is its own."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Plant:
    """The truth about one variant.

    Attributes
    ----------
    performance
        How long iterations really take; need not be what `Variant.performance` says.
    limits
        What one engine holds.
    initial_replicas
        Replicas that are ready at the start.
    startup
        How long a start really takes; None means exactly `Variant.startup_s`.
    cost_per_hour
        What one replica is billed with [currency/h]; None means the price the scaler is told.
    routing_rate_per_s
        What instance-aware routers take one replica for [1/s], > 0, or any figure in proportion; None means the tokens
        a second of a batch of 32 with 1500 tokens each.
    """

    performance: IterationLaw | IterationTable | StepTimeFactory
    limits: EngineLimits
    initial_replicas: int = 0
    startup: StartupTime | None = None
    cost_per_hour: float | None = None
    routing_rate_per_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """One fleet and one stretch of traffic.

    Attributes
    ----------
    models
        As the scaler is told. A variant of role prefill hands every request on to one of role decode.
    accelerators
        As the scaler is told.
    plants
        The truth of every variant, by its key with its main role.
    requests
        What is asked.
    horizon_s
        End of the scenario [s]: until then it is scaled and billed. Requests arrive before it, those in service are
        served to their end after it.
    quota
        Devices that really exist, by accelerator; of one that is absent there are as many as asked for.
    limits
        Rows that the scaler is told.
    name
        For tables.
    """

    models: tuple[ServedModel, ...]
    accelerators: tuple[Accelerator, ...]
    plants: Mapping[VariantKey, Plant]
    requests: Requests
    horizon_s: float
    quota: Mapping[str, int] = field(default_factory=dict)
    limits: tuple[Limit, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        """Check the parts against each other.

        Raises
        ------
        InvalidInput
            When a variant has no truth, a request no LLM or class, one arrives after the horizon, or what was prefilled
            can be decoded nowhere.
        """
        if not 0.0 < self.horizon_s < math.inf:
            raise InvalidInput("horizon_s", "> 0 and finite [s]", self.horizon_s)
        missing = [key for key in self.variants if key not in self.plants]
        if missing:
            raise InvalidInput("plants", "one for every variant", f"none for {missing}")
        for model in self.models:
            roles = {variant.main_role for variant in model.variants}
            if Role.PREFILL in roles and Role.DECODE not in roles:
                bound = "with one of role decode beside those of role prefill"
                raise InvalidInput(f"variants of {model.model_id}", bound, sorted(roles))
        self._check_requests()

    @property
    def variants(self) -> dict[VariantKey, Variant]:
        """Every variant of every LLM, by its key with its main role, in the order of the models."""
        return {variant.key(variant.main_role): variant for model in self.models for variant in model.variants}

    def to_settings(self, decision: DecisionSettings | None = None) -> Settings:
        """Return what a scaler is told, with these knobs."""
        return Settings(self.models, self.accelerators, self.limits, decision or DecisionSettings())

    def get_cost_per_hour(self, key: VariantKey) -> float:
        """Return what one replica of `key` is billed with [currency/h]."""
        billed = self.plants[key].cost_per_hour
        return self.to_settings().get_replica_cost_per_hour(self.variants[key]) if billed is None else billed

    def _check_requests(self) -> None:
        requests = self.requests
        if not len(requests):
            return
        if int(requests.arrival_ns[-1]) > to_ns(self.horizon_s):
            last_s = int(requests.arrival_ns[-1]) / NS_PER_S
            raise InvalidInput("requests.arrival_ns", f"up to the horizon of {self.horizon_s} [s]", last_s)
        if int(requests.model.max()) >= len(self.models):
            raise InvalidInput("requests.model", f"< {len(self.models)}", int(requests.model.max()))
        for index, model in enumerate(self.models):
            of_model = requests.service_class[requests.model == index]
            if len(of_model) and int(of_model.max()) >= len(model.service_classes):
                bound = f"< {len(model.service_classes)} for {model.model_id}"
                raise InvalidInput("requests.service_class", bound, int(of_model.max()))
