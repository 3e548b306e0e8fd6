"""One cycle of saturation over one LLM: observe, analyze, choose, enforce zero. It neither publishes nor calms.

The rules look at KV cache, queue and mean lengths of every pod that tells them; without any what was asked for is kept.
Unlike the peer's, V2 counts neither supply nor demand of a pod that serves and does not tell: what it carries is not
known, and its replica stays; variants that stand at zero may be grown; of an LLM at zero the cheapest wakes alone;
bounds are kept (as in release 0.9), and prices are those configured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from optimizer.domain import PodKey, Variant, VariantState
from optimizer.policy.saturation.cost_aware import PricedVariant, choose_replicas
from optimizer.policy.saturation.enforcer import enforce_zero
from optimizer.policy.saturation.options import SaturationOptions, SaturationVersion
from optimizer.policy.saturation.percentage_analyzer import PercentageVariant, ReplicaLoad, analyze_percentages
from optimizer.policy.saturation.readings import (
    PeakHistory,
    find_peak,
    list_reporting,
    name_pod,
    track_peaks,
)
from optimizer.policy.saturation.token_analyzer import (
    TokenReading,
    TokenState,
    TokenVariant,
    remember_engine,
    step_tokens,
)
from optimizer.policy.saturation.token_capacity import to_record


@dataclass(frozen=True, slots=True)
class SaturationMemory:
    """What is remembered of one LLM: gauges of the last minute, and learned capacities."""

    peaks: PeakHistory = field(default_factory=dict)
    tokens: TokenState = field(default_factory=TokenState)


@dataclass(frozen=True, slots=True)
class SaturationLine:
    """One variant: what it is, its pods, what was asked for last, and the price of a replica [currency/h]."""

    variant: Variant
    state: VariantState
    desired_replicas: int
    cost_per_hour: float

    @property
    def name(self) -> str:
        """Its name."""
        return self.variant.name

    @property
    def pending_replicas(self) -> int:
        """Replicas that exist and do not serve."""
        return max(self.state.observed_replicas - self.state.ready_replicas, 0)


@dataclass(frozen=True, slots=True)
class SaturationCall:
    """What else a cycle is told.

    Attributes
    ----------
    model_id
        Name of the LLM.
    now_s
        Time [s].
    pod_lengths_tokens
        Mean input and output of its pods, of those that tell.
    lengths_tokens
        The same of the LLM, for pods that do not; None when not known.
    may_be_zero
        Whether the LLM may go to zero.
    retained_requests
        Requests over the retention period, as far as the rules of zero care: 0, or None for not known to be 0.
    is_wanted
        Whether somebody wants something: wakes an LLM that stands at zero.
    """

    model_id: str
    now_s: float
    pod_lengths_tokens: Mapping[PodKey, tuple[float, float]] = field(default_factory=dict)
    lengths_tokens: tuple[float, float] | None = None
    may_be_zero: bool = False
    retained_requests: float | None = None
    is_wanted: bool = False


def step_cycle(
    lines: Sequence[SaturationLine], call: SaturationCall, memory: SaturationMemory, options: SaturationOptions
) -> tuple[dict[str, int], SaturationMemory]:
    """Return the replicas wanted by name of the variant, within its bounds, and what to remember."""
    reporting = {line.name: list_reporting(line.state.pods) for line in lines}
    pods = [pod for entries in reporting.values() for pod in entries]
    peaks = track_peaks(memory.peaks, pods, call.now_s, options.peak_window_s)
    targets = {line.name: line.desired_replicas for line in lines}
    tokens = memory.tokens
    if pods and options.version is SaturationVersion.V1:
        variants = [_see_percentages(line, peaks) for line in lines]
        targets |= analyze_percentages(variants, options.percentage).target_replicas
    elif pods:
        for line in lines:
            tokens = remember_engine(tokens, line.name, to_record(line.variant))
        seen = [_see_tokens(line, peaks, call) for line in lines]
        analysis, tokens = step_tokens(tokens, call.model_id, seen, options.token)
        priced = [_price(line, analysis.capacity_tokens[line.name]) for line in lines]
        targets |= choose_replicas(priced, analysis.required_tokens, analysis.spare_tokens)
    elif call.is_wanted and targets and not any(targets.values()):
        targets |= {_find_cheapest(lines): 1}
    costs = {line.name: line.cost_per_hour for line in lines}
    targets, _ = enforce_zero(targets, costs, may_be_zero=call.may_be_zero, retained_requests=call.retained_requests)
    bounded = {line.name: _bound(line.variant, targets[line.name]) for line in lines}
    return bounded, replace(memory, peaks=peaks, tokens=tokens)


def _see_percentages(line: SaturationLine, peaks: PeakHistory) -> PercentageVariant:
    loads = tuple(ReplicaLoad(*find_peak(peaks[name_pod(pod.pod)])) for pod in list_reporting(line.state.pods))
    return PercentageVariant(
        line.name,
        line.cost_per_hour,
        line.state.observed_replicas,
        line.desired_replicas,
        line.pending_replicas,
        loads,
    )


def _see_tokens(line: SaturationLine, peaks: PeakHistory, call: SaturationCall) -> TokenVariant:
    usual = call.lengths_tokens or (0.0, 0.0)
    readings = []
    for pod in list_reporting(line.state.pods):
        if pod.kv_capacity_tokens is None:
            continue
        kv_ratio, waiting = find_peak(peaks[name_pod(pod.pod)])
        size_tokens = pod.kv_capacity_tokens
        inputs, outputs = call.pod_lengths_tokens.get(pod.pod, usual)
        readings.append(TokenReading(math.floor(kv_ratio * size_tokens + 0.5), size_tokens, waiting, inputs, outputs))
    return TokenVariant(
        line.name,
        line.variant.accelerator,
        line.variant.accelerators_per_replica,
        len(readings) + line.pending_replicas,
        line.pending_replicas,
        tuple(readings),
    )


def _find_cheapest(lines: Sequence[SaturationLine]) -> str:
    """Return the variant of least price that may have a replica."""
    free = [line for line in lines if line.variant.max_replicas != 0] or lines
    return min(free, key=lambda line: (line.cost_per_hour, line.name)).name


def _price(line: SaturationLine, capacity_tokens: float) -> PricedVariant:
    variant = line.variant
    return PricedVariant(
        line.name,
        line.cost_per_hour,
        line.state.observed_replicas,
        capacity_tokens,
        variant.min_replicas,
        variant.max_replicas,
    )


def _bound(variant: Variant, replicas: int) -> int:
    most = replicas if variant.max_replicas is None else variant.max_replicas
    return max(min(replicas, most), variant.min_replicas)
