"""The policy ``aibrix``: its PodAutoscaler per variant, KPA or APA of head or v0.4, or its optimizer over all variants.

``kpa`` and ``apa`` scale every variant as a Deployment of its own with a PodAutoscaler of its own, by one series of its
pods; no load moves between them, and one at zero stays there. ``optimizer`` looks at the requests of the LLM by their
lengths and chooses the mix of variants of least cost by capacity profiles, configured or made from what is known of
their speed.

The rules are the peer's, with its quirks; what differs is what would hurt a live fleet: a pod that does not tell counts
as missing, never as 0, and one that starts as carrying nothing; no report at all keeps what is there; ``kpa`` is given
the sum over pods unless told otherwise; rates are taken over the time that was watched; an idle count and a loaded one
are both whole replicas; a variant without any profile is left alone. Bounds, limits, calm and order of steps are those
of every policy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from optimizer.domain import PodPhase, ServedModel, Settings, SignalSpec
from optimizer.policy.aibrix.autoscaler import Strategy, Tick, step_autoscaler
from optimizer.policy.aibrix.gpu_optimizer import (
    CapacityProfile,
    OptimizedDeployment,
)
from optimizer.policy.aibrix.memory import (
    decode_autoscaler,
    decode_old_autoscaler,
    decode_optimizer,
    encode_autoscaler,
    encode_old_autoscaler,
    encode_optimizer,
)
from optimizer.policy.aibrix.modelled_profile import ModelledProfile, is_modelled
from optimizer.policy.aibrix.old_autoscaler import OldTick, step_old_autoscaler
from optimizer.policy.aibrix.options import (
    METRIC,
    AibrixOptions,
    Algorithm,
    Source,
    Version,
    decode_options,
)
from optimizer.policy.aibrix.request_memory import step_requests, track_requests
from optimizer.policy.aibrix.scaling_settings import ScalingSettings
from optimizer.policy.protocol import FixedReplicas, ModelView, PolicyState, VariantView
from optimizer.policy.single_pools import bound_count, may_be_zero

_MOST_REPLICAS = 2**31 - 1


class AibrixPolicy:
    """See the module; options: `AibrixOptions`."""

    def propose(
        self, view: ModelView, state: PolicyState, now_s: float, settings: Settings
    ) -> tuple[FixedReplicas, PolicyState]:
        """Return the replicas wanted at `now_s` [s]; see `Policy`."""
        del settings  # prices stand in the view
        options = decode_options(view.model.policy_options, view.model)
        kind = f"{options.algorithm} {options.version}"
        remembered = state.get("memory") if state.get("kind") == kind else None
        memory: Mapping[str, Any]
        if options.algorithm is Algorithm.OPTIMIZER:
            proposal, memory = _propose_mix(view, remembered, now_s, options)
        else:
            proposal, memory = _propose_pools(view, remembered, now_s, options)
        return proposal, {"kind": kind, "memory": memory}

    def list_signals(self, options: Mapping[str, object]) -> tuple[SignalSpec, ...]:
        """Return the series that is scaled by; the optimizer needs none. See `SignalReader`."""
        decoded = decode_options(options)
        return () if decoded.algorithm is Algorithm.OPTIMIZER else (decoded.signal,)

    def check_options(self, model: ServedModel) -> None:
        """Check the options of `model`, against its variants too; see `OptionsChecker`."""
        decode_options(model.policy_options, model)


def _propose_pools(
    view: ModelView, remembered: object, now_s: float, options: AibrixOptions
) -> tuple[FixedReplicas, dict[str, Any]]:
    """Return the replicas of every variant by a PodAutoscaler of its own; one without replicas stays so."""
    states = remembered if isinstance(remembered, Mapping) else {}
    wanted, memory = {}, {}
    for line in view.variants:
        step = _step_old_pool if options.version is Version.OLD else _step_pool
        count, memory[line.variant.name] = step(view, line, states.get(line.variant.name), now_s, options)
        wanted[line.key] = bound_count(view, line, count) if line.published_replicas > 0 else 0
    return FixedReplicas(wanted), memory


def _bound_settings(view: ModelView, line: VariantView, options: AibrixOptions) -> ScalingSettings:
    bounds = [bound for bound in (line.variant.max_replicas, view.model.max_replicas) if bound is not None]
    most = min(bounds, default=_MOST_REPLICAS)
    least = line.variant.min_replicas if may_be_zero(view) else max(line.variant.min_replicas, 1)
    return replace(options.scaling, min_replicas=min(least, most), max_replicas=most)


def _step_pool(
    view: ModelView, line: VariantView, remembered: object, now_s: float, options: AibrixOptions
) -> tuple[int, dict[str, Any]]:
    settings = _bound_settings(view, line, options)
    value = _sum_up(view, line)
    if value is not None and options.source is Source.POD:
        value /= max(line.published_replicas, line.state.observed_replicas, 1)  # who is on the way carries nothing yet
    tick = Tick(line.published_replicas, None if value is None else (value,))
    strategy = Strategy(options.algorithm.value)
    count, state = step_autoscaler(decode_autoscaler(remembered, settings), tick, now_s, settings, strategy)
    return count, encode_autoscaler(state)


def _sum_up(view: ModelView, line: VariantView) -> float | None:
    """Return the sum over the pods that serve, those that say nothing taken for average; None when none does."""
    ready = {pod.pod for pod in line.state.pods if pod.phase is PodPhase.READY}
    observed = [entry.values.get(METRIC) for entry in view.signals if entry.pod in ready]
    told = [entry.value for entry in observed if entry is not None and entry.value is not None]
    return math.fsum(told) * len(ready) / len(told) if told else None


def _step_old_pool(
    view: ModelView, line: VariantView, remembered: object, now_s: float, options: AibrixOptions
) -> tuple[int, dict[str, Any]]:
    settings = _bound_settings(view, line, options)
    total = _sum_up(view, line)
    tick = OldTick(line.published_replicas, line.state.ready_replicas, None if total is None else (total,))
    before = decode_old_autoscaler(remembered, settings, line.published_replicas)
    count, state = step_old_autoscaler(before, tick, now_s, settings, Strategy(options.algorithm.value))
    return count, encode_old_autoscaler(state)


def _propose_mix(
    view: ModelView, remembered: object, now_s: float, options: AibrixOptions
) -> tuple[FixedReplicas, dict[str, Any]]:
    """Return the mix of least cost for the requests of the last minutes; what is there until any were seen."""
    memory = track_requests(decode_optimizer(remembered), view.history, view.workload, now_s)
    profiles = make_profiles(view.variants, view.model, options)
    lines = [line for line in view.variants if line.variant.name in profiles]
    wanted = {line.key: line.published_replicas for line in view.variants}
    if memory.documents:
        deployments = [
            OptimizedDeployment(line.variant.name, line.published_replicas, line.variant.min_replicas) for line in lines
        ]
        memory = step_requests(memory, now_s, profiles, deployments)
        wanted |= {line.key: _bound(line, memory.replicas[line.variant.name]) for line in lines}
    if view.variants and not any(wanted.values()) and not may_be_zero(view):
        wanted[min(view.variants, key=_get_price).key] = 1
    return FixedReplicas(wanted), encode_optimizer(memory)


def _get_price(line: VariantView) -> tuple[float, str]:
    return line.replica_cost_per_hour, line.variant.name


def make_profiles(
    lines: Sequence[VariantView], model: ServedModel, options: AibrixOptions
) -> dict[str, CapacityProfile]:
    """Return the profiles of `lines` by name: as configured, else of what is known of their speed; some have none."""
    profiles: dict[str, CapacityProfile] = {}
    grid = next(iter(options.profiles.values()), None)
    for line in lines:
        name, cost = line.variant.name, line.replica_cost_per_hour
        if name in options.profiles:
            profiles[name] = replace(options.profiles[name], cost=options.own_costs.get(name, cost))
        elif is_modelled(line.variant):
            modelled = ModelledProfile(line.variant, model.service_classes, line.kv_capacity_tokens, cost)
            if grid is not None:
                modelled = replace(
                    modelled,
                    output_ticks_tokens=grid.output_ticks_tokens,
                    input_ticks_tokens=grid.input_ticks_tokens,
                )
            profiles[name] = modelled
    return profiles


def _bound(line: VariantView, replicas: int) -> int:
    most = replicas if line.variant.max_replicas is None else line.variant.max_replicas
    return max(min(replicas, most), line.variant.min_replicas)
