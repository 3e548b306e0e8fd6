"""The demand that really arrived, as steps in time, and what a replica carries of it. It judges nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from optimizer.domain import ModelKey, ServedModel, ServiceClass, Variant, Workload
from optimizer.errors import InvalidInput
from optimizer.queueing import estimate_capacity
from optimizer.units import SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True)
class DemandStep:
    """Requests of one LLM between two moments.

    Attributes
    ----------
    start_s, end_s
        The stretch [s].
    workload
        Its rate and token lengths; the lengths may be the same for many steps.
    """

    start_s: float
    end_s: float
    workload: Workload

    @property
    def duration_s(self) -> float:
        """Length of the step [s]."""
        return self.end_s - self.start_s

    @property
    def arrival_rate_per_s(self) -> float:
        """Requests offered [1/s]."""
        return self.workload.arrival_rate_per_s


DemandRecord = Mapping[ModelKey, tuple[DemandStep, ...]]
"""What was asked of each LLM: steps ascending in time, without gaps or overlaps."""


def check_record(record: DemandRecord) -> None:
    """Raise unless `record` has steps of positive length, each beginning where the one before ends.

    Raises
    ------
    InvalidInput
        Naming the LLM and the step.
    """
    for key, steps in record.items():
        for index, step in enumerate(steps):
            where = f"record[{key.namespace}/{key.model_id}][{index}]"
            if not step.duration_s > 0.0:
                raise InvalidInput(f"{where}.duration_s", "> 0 [s]", step.duration_s)
            if index and abs(step.start_s - steps[index - 1].end_s) > 1e-6:
                bound = f"the end of the step before, {steps[index - 1].end_s} [s]"
                raise InvalidInput(f"{where}.start_s", bound, step.start_s)


def compute_capacity_per_s(variant: Variant, model: ServedModel, workload: Workload) -> float:
    """Return what one replica of `variant` carries of `workload` within the SLO [1/s]; 0 where nothing is known.

    It is the same estimate that deciding uses, so that no baseline is helped or harmed by another model of speed.
    """
    lengths = Workload(1.0, workload.input_lengths, workload.output_lengths, workload.cached_ratio)
    return _compute_capacity_per_s(variant, model.service_classes, lengths)


def get_hours(step: DemandStep) -> float:
    """Return the length of `step` [h]."""
    return step.duration_s / SECONDS_PER_HOUR


@lru_cache(maxsize=4096)
def _compute_capacity_per_s(variant: Variant, classes: tuple[ServiceClass, ...], lengths: Workload) -> float:
    kv_capacity_tokens = None if variant.performance is None else variant.performance.kv_capacity_tokens
    estimate = estimate_capacity(variant, lengths, classes, kv_capacity_tokens)
    return estimate.capacity_per_s.value or 0.0
