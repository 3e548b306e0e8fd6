"""See: what is known of one LLM, out of the snapshot and what is remembered. It wants nothing yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from optimizer.deciding.overriding import Overriding, find_overriding
from optimizer.demand import estimate_workload, track_demand
from optimizer.domain import (
    FleetSnapshot,
    ModelSnapshot,
    Override,
    OverrideMode,
    PodState,
    Reason,
    ReasonCode,
    ServedModel,
    Settings,
    Variant,
    VariantDecision,
    VariantKey,
    VariantState,
)
from optimizer.policy import ModelView, VariantView
from optimizer.state import ModelState

KV_AGREES_WITHIN_RATIO = 0.02
"""Pods of one variant whose KV capacities differ by less than this tell the same."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One LLM as this pass sees it.

    Attributes
    ----------
    view
        What a policy is shown. A variant never decided about, whose replicas nobody can tell, is not in it.
    remembered
        The memory of it, with this pass's demand in it.
    overriding
        What a person decided about its variants.
    """

    view: ModelView
    remembered: ModelState
    overriding: Overriding

    @property
    def model(self) -> ServedModel:
        """What was configured."""
        return self.view.model

    @property
    def published(self) -> dict[VariantKey, int]:
        """Replicas last published, or found at the start, by variant; pinned ones as pinned."""
        return {line.key: line.published_replicas for line in self.view.variants}

    @property
    def is_empty(self) -> bool:
        """Whether no replica is published."""
        return not any(line.published_replicas for line in self.view.variants)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody is known to want something of it now."""
        demand = self.view.demand
        return bool(demand.rate_per_s.value or demand.waiting_requests)


def see_model(
    model: ServedModel, remembered: ModelState | None, snapshot: FleetSnapshot, now_s: float, settings: Settings
) -> Sight:
    """Return `model` as `snapshot` shows it; `remembered` is None for an LLM that is new."""
    before = remembered or ModelState()
    seen = next((entry for entry in snapshot.models if entry.key == model.key), None) or ModelSnapshot(model.key, ())
    demand, tracked = track_demand(before.demand, seen, now_s, settings.decision.stale_after_s)
    states = {state.key: state for state in seen.variants}
    kv_capacity_tokens = _remember_kv_capacity(before.kv_capacity_tokens, states)
    overriding = find_overriding(model, now_s)
    lines = [
        VariantView(
            key=key,
            variant=variant,
            state=state,
            published_replicas=published,
            replica_cost_per_hour=settings.get_replica_cost_per_hour(variant),
            kv_capacity_tokens=kv_capacity_tokens.get(variant.name),
        )
        for variant in model.variants
        for key in (get_key(variant),)
        for state in (states.get(key) or _get_unknown(key),)
        for published in (_find_published(_find_last(key, before), state, overriding.in_force.get(key)),)
        if published is not None
    ]
    rate_per_s = demand.rate_per_s.value or 0.0
    workload, workload_reason = estimate_workload(tracked.lengths, rate_per_s, model.expected_workload)
    view = ModelView(
        model=model,
        variants=tuple(lines),
        demand=demand,
        history=tracked.history,
        shares=tracked.shares,
        workload=workload,
        workload_reason=workload_reason,
        signals=seen.signals,
    )
    return Sight(view, replace(before, demand=tracked, kv_capacity_tokens=kv_capacity_tokens), overriding)


def get_key(variant: Variant) -> VariantKey:
    """Return the identity of the decision about `variant`."""
    return variant.key(variant.main_role)


def _get_unknown(key: VariantKey) -> VariantState:
    return VariantState(key, None, (), Reason(ReasonCode.NO_DATA, f"the snapshot does not tell of {key.variant}"))


def _find_last(key: VariantKey, before: ModelState) -> VariantDecision | None:
    decided = () if before.decision is None else before.decision.variants
    return next((line for line in decided if line.key == key), None)


def _find_published(last: VariantDecision | None, state: VariantState, override: Override | None) -> int | None:
    """Return the number last published, else what is asked for in the cluster, else what exists, else None.

    A pinned number counts as published. What was decided in shadow never was: then the cluster tells.
    """
    if override is not None and override.mode is OverrideMode.PIN and override.replicas is not None:
        return max(override.replicas, 0)
    overrides = (override, None if last is None else last.override)
    is_followed = not any(entry is not None and entry.mode is OverrideMode.SHADOW for entry in overrides)
    if last is not None and is_followed:
        return last.planned_replicas
    if state.requested_replicas is not None:
        return state.requested_replicas
    if state.reason is None:
        return state.observed_replicas
    return None if last is None else last.requested_replicas


def _remember_kv_capacity(before: Mapping[str, float], states: Mapping[VariantKey, VariantState]) -> dict[str, float]:
    """Return the smallest KV capacity that pods of each variant tell, the last one known where none does [tokens]."""
    known = {}
    for key, state in states.items():
        told = _list_kv_capacities(state.pods)
        last = before.get(key.variant)
        if told and (last is None or abs(min(told) - last) > KV_AGREES_WITHIN_RATIO * last):
            known[key.variant] = min(told)
        elif last is not None:
            known[key.variant] = last
    return known


def _list_kv_capacities(pods: tuple[PodState, ...]) -> list[float]:
    return [pod.kv_capacity_tokens for pod in pods if pod.kv_capacity_tokens]
