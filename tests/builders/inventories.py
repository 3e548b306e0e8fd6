"""Settings and inventories for tests of collecting: LLMs whose variants are named like their workloads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from adapter.inventory import Inventory, PodEntry, WorkloadEntry
from optimizer.domain import (
    DecisionSettings,
    ModelKey,
    PodKey,
    PodPhase,
    Reason,
    ServedModel,
    Settings,
    Variant,
    VariantKey,
    WorkloadRef,
)
from tests.builders.pod_page import MODEL_NAME

NAMESPACE = "prod"


def make_variant_key(name: str, model_id: str = MODEL_NAME) -> VariantKey:
    return VariantKey(NAMESPACE, model_id, name)


def make_settings(
    *variants: str, others: Mapping[str, Sequence[str]] | None = None, engine: str = "vllm", stale_after_s: float = 60.0
) -> Settings:
    """Return settings of one LLM with `variants`, and of `others` with theirs."""
    models = {MODEL_NAME: variants, **(others or {})}
    served = tuple(
        ServedModel(NAMESPACE, model_id, (), tuple(_make_variant(model_id, name, engine) for name in names))
        for model_id, names in models.items()
    )
    return Settings(served, (), decision=DecisionSettings(stale_after_s=stale_after_s))


def make_model_key(model_id: str = MODEL_NAME) -> ModelKey:
    return ModelKey(NAMESPACE, model_id)


def make_pod_entry(
    name: str,
    url: str,
    phase: PodPhase = PodPhase.READY,
    *,
    uid: str = "1",
    created_s: float | None = 0.0,
    ready_s: float | None = 10.0,
) -> PodEntry:
    """Return a pod that was made and got ready long ago."""
    return PodEntry(PodKey(NAMESPACE, name, uid), url, phase, created_s, ready_s)


def make_inventory(reason: Reason | None = None, **pods: Sequence[PodEntry]) -> Inventory:
    """Return the inventory of workloads with `pods`; each asked for as many as it has."""
    entries = (WorkloadEntry(WorkloadRef(NAMESPACE, name), len(found), tuple(found)) for name, found in pods.items())
    return Inventory(tuple(entries), reason)


def with_phase(entry: PodEntry, phase: PodPhase) -> PodEntry:
    return replace(entry, phase=phase)


def _make_variant(model_id: str, name: str, engine: str) -> Variant:
    return Variant(NAMESPACE, model_id, name, WorkloadRef(NAMESPACE, name), "L40S", engine=engine)
