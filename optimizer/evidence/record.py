"""The demand that really arrived, as steps in time, and what a replica carries of it. It judges nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

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


class RateCurve:
    """The rate of a record over time, for means over any stretch."""

    def __init__(self, steps: tuple[DemandStep, ...]) -> None:
        self._edges_s = [steps[0].start_s, *(step.end_s for step in steps)] if steps else [0.0]
        self._arrivals = [0.0, *accumulate(step.arrival_rate_per_s * step.duration_s for step in steps)]

    def compute_mean_per_s(self, start_s: float, end_s: float) -> float:
        """Return the mean rate between two moments, as far as the record reaches [1/s]; 0 outside of it."""
        start_s, end_s = max(start_s, self._edges_s[0]), min(end_s, self._edges_s[-1])
        if end_s <= start_s:
            return 0.0
        return (self._count_until(end_s) - self._count_until(start_s)) / (end_s - start_s)

    def _count_until(self, time_s: float) -> float:
        index = min(max(bisect_right(self._edges_s, time_s) - 1, 0), len(self._edges_s) - 2)
        low_s, high_s = self._edges_s[index], self._edges_s[index + 1]
        share = (time_s - low_s) / (high_s - low_s)
        return self._arrivals[index] + share * (self._arrivals[index + 1] - self._arrivals[index])


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
