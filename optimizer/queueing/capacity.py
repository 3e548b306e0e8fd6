"""Capacity: the largest rate that one replica carries within every promise. Knows no fleet and no price."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.domain import (
    LatencyQuantity,
    Observation,
    ProfileOrigin,
    Reason,
    ServiceClass,
    Variant,
    Workload,
)


@dataclass(frozen=True, slots=True)
class PromisedLatency:
    """What the model expects of one promise at the estimated capacity."""

    service_class: str
    quantity: LatencyQuantity
    percentile: float
    target_s: float
    expected_s: float


@dataclass(frozen=True, slots=True)
class CapacityEstimate:
    """What one replica carries, and why not more.

    Attributes
    ----------
    capacity_per_s
        Largest rate within every promise [1/s], the profile's derate applied, the utilization ceiling not. Known and
        0.0 when even a lone request misses a target (`reason` says which); absent when there is no profile.
    origin
        Where the figures come from; None without a profile.
    binding
        Which target or limit stops it: ``ttft``, ``itl``, ``ttlt``, ``kv``, ``batch``, ``token_budget``, ``time``; ""
        without a profile.
    latencies
        Expected latency of every promise at that rate.
    reason
        Why the capacity is 0 or absent, None otherwise.
    """

    capacity_per_s: Observation
    origin: ProfileOrigin | None
    binding: str
    latencies: tuple[PromisedLatency, ...] = ()
    reason: Reason | None = None


def estimate_capacity(
    variant: Variant,
    workload: Workload,
    service_classes: tuple[ServiceClass, ...],
    kv_capacity_tokens: float | None = None,
) -> CapacityEstimate:
    """Return what one replica of `variant` carries of the mix of `workload` within every promise."""
    raise NotImplementedError
