"""Capacity: the largest rate that one replica carries within every promise. Knows no fleet and no price.

Bisection over the rate. Whether a promise holds at a rate can only change from no to yes when its target is relaxed,
and the rates tried do not depend on targets: so capacity never falls when a target is relaxed.

Source: the inversion of `operating_point` and `attainment`; derived.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from optimizer.domain import (
    LatencyQuantity,
    LengthDistribution,
    Observation,
    PerformanceProfile,
    ProfileOrigin,
    Reason,
    ReasonCode,
    ServiceClass,
    Slo,
    Variant,
    Workload,
)
from optimizer.performance import IterationTime, to_iteration_time
from optimizer.queueing.attainment import (
    compute_itl_attainment,
    compute_ttft_attainment,
    compute_ttlt_attainment,
)
from optimizer.queueing.fluid import BatchBound, ReplicaLimits, compute_batch_bound, compute_fluid_rate_per_s
from optimizer.queueing.mix import RequestMix, make_mix
from optimizer.queueing.operating_point import OperatingPoint, solve_operating_point
from optimizer.queueing.room import find_crowded

_HALVINGS = 16
_LONE_RATIO = 1e-6  # share of the largest rate at which a request is alone
_SIGNIFICANT_DIGITS = 3


@dataclass(frozen=True, slots=True)
class PromisedLatency:
    """What the model expects of one promise at the largest rate, before the derate.

    Attributes
    ----------
    service_class, slo
        Whose promise, and which.
    mean_s
        Mean of its quantity [s].
    attainment_ratio
        Share of requests that meet the target [0-1].
    """

    service_class: str
    slo: Slo
    mean_s: float
    attainment_ratio: float


@dataclass(frozen=True, slots=True)
class CapacityEstimate:
    """What one replica carries, and why not more.

    Attributes
    ----------
    capacity_per_s
        Largest rate within every promise [1/s], the profile's derate applied, the utilization ceiling not. Known and
        0.0 when even a lone request misses a target or does not fit (`reason` says which); absent without a profile.
    origin
        Where the figures come from; None without a profile.
    binding
        Which target or limit stops it: ``ttft``, ``itl``, ``ttlt``, ``kv``, ``batch``, ``token_budget``, ``time``; ""
        without a profile.
    latencies
        Every promise at that rate; () when the capacity is 0 or absent.
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
    """Return what one replica of `variant` carries of the mix of `workload` within every latency promise.

    Requests of all classes share the replica, first come first served, so the tightest promise decides.

    Parameters
    ----------
    variant
        Gives the profile, the largest batch and the token budget.
    workload
        The mix; its rate does not matter. Lengths are rounded up in the third digit, so that equal mixes are one.
    service_classes
        The promises; without any, what fits into the replica is its capacity.
    kv_capacity_tokens
        As the engine says [tokens]; None means the profile's figure, and without that no such limit.

    Raises
    ------
    InvalidInput
        When a mean length is not positive, the cached share is outside [0, 1], or the profile is not a profile.
    """
    profile = variant.performance
    if profile is None or (profile.law is None and profile.table is None):
        reason = Reason(ReasonCode.NO_PROFILE, f"variant {variant.name} has neither an iteration law nor a table")
        return CapacityEstimate(Observation(None, reason), None, "", (), reason)
    kv_tokens = profile.kv_capacity_tokens if kv_capacity_tokens is None else kv_capacity_tokens
    limits = ReplicaLimits(
        math.inf if kv_tokens is None else kv_tokens, variant.max_running_requests, variant.max_batched_tokens
    )
    promises = tuple((service_class.name, slo) for service_class in service_classes for slo in service_class.slos)
    return _estimate(profile, limits, _round_mix(workload), promises)


@dataclass(frozen=True, slots=True, eq=False)
class _Replica:
    """One replica under one mix: everything that does not depend on the rate."""

    iteration: IterationTime
    mix: RequestMix
    limits: ReplicaLimits
    bound: BatchBound
    overhead_s: float
    promises: tuple[tuple[str, Slo], ...]

    def solve_point(self, rate_per_s: float) -> OperatingPoint | None:
        return solve_operating_point(self.iteration, self.mix, self.limits, self.bound.requests, rate_per_s)

    def find_obstacle(self, rate_per_s: float) -> str:
        """Return the target or limit that `rate_per_s` breaks, "" when it breaks none."""
        point = self.solve_point(rate_per_s)
        if point is None:
            return self.bound.binding if rate_per_s * self.mix.mean_work_s < 1.0 else "time"
        if crowded := find_crowded(self.iteration, self.mix, self.limits, point):
            return crowded
        broken = (slo for _, slo in self.promises if self.compute_attainment(point, slo) < slo.percentile / 100.0)
        return next((slo.quantity.value for slo in broken), "")

    def compute_attainment(self, point: OperatingPoint, slo: Slo) -> float:
        within_s = slo.target_s - self.overhead_s
        match slo.quantity:
            case LatencyQuantity.TTFT:
                return compute_ttft_attainment(self.mix, self.limits, point, within_s)
            case LatencyQuantity.ITL:
                return compute_itl_attainment(self.iteration, self.mix, self.limits, point, slo.target_s)
            case LatencyQuantity.TTLT:
                return compute_ttlt_attainment(self.iteration, self.mix, self.limits, point, within_s)

    def describe(self, point: OperatingPoint) -> tuple[PromisedLatency, ...]:
        means_s = {
            LatencyQuantity.TTFT: point.ttft_s + self.overhead_s,
            LatencyQuantity.ITL: point.itl_s,
            LatencyQuantity.TTLT: point.ttlt_s + self.overhead_s,
        }
        return tuple(
            PromisedLatency(name, slo, means_s[slo.quantity], self.compute_attainment(point, slo))
            for name, slo in self.promises
        )


@lru_cache(maxsize=4096)
def _estimate(
    profile: PerformanceProfile, limits: ReplicaLimits, workload: Workload, promises: tuple[tuple[str, Slo], ...]
) -> CapacityEstimate:
    """Return the estimate; equal questions are answered once."""
    iteration = to_iteration_time(profile)
    assert iteration is not None
    mix = make_mix(workload, iteration)
    bound = compute_batch_bound(mix, limits)
    if bound.requests <= 0.0:
        message = f"{limits.kv_capacity_tokens:.0f} tokens of KV cache hold no request of {mix.held_tokens:.0f} tokens"
        return _refuse(profile, bound.binding, Reason(ReasonCode.LIMIT_BINDS, message))
    replica = _Replica(iteration, mix, limits, bound, profile.overhead_s, promises)
    largest_per_s = compute_fluid_rate_per_s(iteration, mix, bound.requests)
    if obstacle := replica.find_obstacle(largest_per_s * _LONE_RATIO):
        message = f"a lone request already misses its {obstacle} target"
        return _refuse(profile, obstacle, Reason(ReasonCode.TARGET_BELOW_LONE_REQUEST, message))
    rate_per_s, binding = _search_rate(replica, largest_per_s)
    point = replica.solve_point(rate_per_s)
    assert point is not None
    capacity = Observation(rate_per_s * profile.derate_ratio)
    return CapacityEstimate(capacity, profile.origin, binding, replica.describe(point))


def _search_rate(replica: _Replica, largest_per_s: float) -> tuple[float, str]:
    """Return the largest rate up to `largest_per_s` [1/s] that nothing stops, and what stops the next one."""
    low, high = largest_per_s * _LONE_RATIO, largest_per_s
    binding = replica.bound.binding
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if obstacle := replica.find_obstacle(middle):
            high, binding = middle, obstacle
        else:
            low = middle
    return low, binding


def _refuse(profile: PerformanceProfile, binding: str, reason: Reason) -> CapacityEstimate:
    return CapacityEstimate(Observation(0.0), profile.origin, binding, (), reason)


def _round_mix(workload: Workload) -> Workload:
    return replace(
        workload,
        arrival_rate_per_s=0.0,
        input_lengths=_round_lengths(workload.input_lengths),
        output_lengths=_round_lengths(workload.output_lengths),
        cached_ratio=math.floor(workload.cached_ratio * 100.0) / 100.0,
    )


def _round_lengths(lengths: LengthDistribution) -> LengthDistribution:
    return replace(
        lengths,
        mean_tokens=_round_up(lengths.mean_tokens),
        mean_square_tokens2=_round_up(lengths.mean_square_tokens2),
        cumulative_ratio=tuple(round(ratio, 2) for ratio in lengths.cumulative_ratio),
    )


def _round_up(value: float) -> float:
    """Return `value` rounded up to three digits; what is no positive number is left for the checks to come."""
    if not 0.0 < value < math.inf:
        return value
    digits = _SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(value))
    return round(math.ceil(value * 10.0**digits - 1e-6) / 10.0**digits, 12)
