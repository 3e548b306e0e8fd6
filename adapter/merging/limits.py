"""Amounts that a cluster tells become limits: rows over the variants that they count. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from adapter.cluster import AmountKind, ClusterAmount, Standstill
from adapter.inventory import Inventory, WorkloadEntry
from optimizer.domain import Limit, LimitKind, PodPhase, Settings, Variant, WorkloadRef

_KINDS = {
    AmountKind.QUOTA: LimitKind.QUOTA,
    AmountKind.NODES: LimitKind.ACCELERATORS,
    AmountKind.SCHEDULER: LimitKind.ACCELERATORS,
}


def build_limits(amounts: Iterable[ClusterAmount], settings: Settings, inventory: Inventory) -> tuple[Limit, ...]:
    """Return one limit for every amount that counts any variant of `settings`; of two of one name the smaller."""
    by_namespace: dict[str | None, list[Variant]] = defaultdict(list)
    for model in settings.models:
        by_namespace[model.namespace] += model.variants
        by_namespace[None] += model.variants
    serving = {entry.workload: _count_ready(entry) for entry in inventory.workloads}
    limits: dict[str, Limit] = {}
    for amount in amounts:
        limit = _build_limit(amount, by_namespace[amount.namespace], serving)
        present = limits.get(limit.name)
        if limit.coefficients and (present is None or (limit.amount or 0.0) < (present.amount or 0.0)):
            limits[limit.name] = limit
    return tuple(limits.values())


def build_standstill_limits(standstills: Mapping[WorkloadRef, Standstill], settings: Settings) -> tuple[Limit, ...]:
    """Return one limit for every variant that stays as it is beside another one that can move.

    Where none can, a lower number would help nobody, and whoever reads it by means of their own would be held by it.
    """
    return tuple(
        Limit(
            name=f"unscaled {variant.workload.namespace}/{variant.workload.name}",
            kind=LimitKind.ACCELERATORS,
            coefficients={variant.key(role): 1.0 for role in variant.roles},
            amount=float(standstills[variant.workload].replicas),
            namespaces=(variant.workload.namespace,),
            source=standstills[variant.workload].message,
        )
        for model in settings.models
        if any(variant.workload not in standstills for variant in model.variants)
        for variant in model.variants
        if variant.workload in standstills
    )


def _build_limit(amount: ClusterAmount, variants: Iterable[Variant], serving: Mapping[WorkloadRef, int]) -> Limit:
    coefficients = {
        variant.key(role): 1.0 if amount.kind is AmountKind.SCHEDULER else float(variant.accelerators_per_replica)
        for variant in variants
        if _counts(amount, variant)
        for role in variant.roles
    }
    bound = amount.amount
    if amount.workload is not None:
        bound = max(bound, float(serving.get(amount.workload, 0)))  # what serves has its place
    place = "" if amount.namespace is None else f"{amount.namespace}/"
    return Limit(
        name=f"{amount.kind.value} {place}{amount.name}",
        kind=_KINDS[amount.kind],
        coefficients=coefficients,
        amount=bound,
        namespaces=None if amount.namespace is None else (amount.namespace,),
        source=amount.message or "cluster",
    )


def _counts(amount: ClusterAmount, variant: Variant) -> bool:
    if amount.kind is AmountKind.SCHEDULER:
        return variant.workload == amount.workload
    return amount.accelerator in (None, variant.accelerator)


def _count_ready(entry: WorkloadEntry) -> int:
    return sum(pod.phase is PodPhase.READY for pod in entry.pods)
