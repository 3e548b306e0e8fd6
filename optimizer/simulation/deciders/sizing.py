"""What a replica carries within its promises, for scalers that must be told a target per replica. It scales nothing.

The capacity is the one that our own policy plans with, so that every scaler knows a fleet equally well. Where prefill
and decode are apart, a replica of role prefill computes prompts up to the first token and has to keep the promises
about TTFT and TTLT; one of role decode finds every prompt in its cache, computes its last token anew, and has to keep
all promises.
"""

from __future__ import annotations

from dataclasses import replace

from optimizer.domain import (
    LatencyQuantity,
    LengthDistribution,
    Role,
    ServedModel,
    ServiceClass,
    Slo,
    VariantKey,
    Workload,
)
from optimizer.queueing import CapacityEstimate, estimate_capacity

_ASIDE = ServiceClass("aside", (Slo(LatencyQuantity.TTLT, 1e9, percentile=0.0),))
"""A promise that nothing breaks: the estimate then tells the mean TTLT."""
_FIRST_TOKEN = LengthDistribution(1.0, 1.0)


def estimate_replica(model: ServedModel, variant_name: str, workload: Workload) -> CapacityEstimate:
    """Return what one replica of a variant carries of the mix of `workload` within every promise that its role keeps.

    Raises
    ------
    StopIteration
        When there is no such variant.
    """
    variant = next(entry for entry in model.variants if entry.name == variant_name)
    role = variant.main_role
    promises = tuple(_get_promises_of(entry, role) for entry in model.service_classes)
    return estimate_capacity(variant, _get_part_of(workload, role), (*promises, _ASIDE))


def compute_capacities_per_s(model: ServedModel, workload: Workload) -> dict[VariantKey, float]:
    """Return the capacity of one replica of every variant of `model` [1/s], 0 where none is known."""
    return {
        variant.key(variant.main_role): estimate_replica(model, variant.name, workload).capacity_per_s.value or 0.0
        for variant in model.variants
    }


def compute_in_flight_requests(model: ServedModel, workload: Workload) -> dict[VariantKey, float]:
    """Return the mean number of requests in a replica that carries its capacity [requests], by Little's law.

    Variants without a capacity are left out.
    """
    found = {}
    for variant in model.variants:
        estimate = estimate_replica(model, variant.name, workload)
        mean_s = next((entry.mean_s for entry in estimate.latencies if entry.service_class == _ASIDE.name), None)
        if estimate.capacity_per_s.value and mean_s is not None:
            found[variant.key(variant.main_role)] = estimate.capacity_per_s.value * mean_s
    return found


def at_rate(workload: Workload, rate_per_s: float) -> Workload:
    """Return `workload` at another rate [1/s]."""
    return replace(workload, arrival_rate_per_s=rate_per_s)


def _get_part_of(workload: Workload, role: Role) -> Workload:
    """Return what of every request of `workload` a replica of `role` computes."""
    if role is Role.PREFILL:
        return replace(workload, output_lengths=_FIRST_TOKEN)
    return replace(workload, cached_ratio=1.0) if role is Role.DECODE else workload


def _get_promises_of(service_class: ServiceClass, role: Role) -> ServiceClass:
    if role is not Role.PREFILL:
        return service_class
    return replace(
        service_class, slos=tuple(slo for slo in service_class.slos if slo.quantity is not LatencyQuantity.ITL)
    )
