"""Several variants in the eyes of a scaler that knows one pool: a pool each, as it would have an object per Deployment.

What such a scaler cannot do is no different here: it moves no load between variants, and a variant without replicas
shows no load, so that it stays at zero until something else wakes it. It reads no page and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.domain import Observation, PodPhase, PodSignals, PodState, ReasonCode
from optimizer.policy.protocol import ModelView, VariantView

_NOTHING = Observation()


@dataclass(frozen=True, slots=True)
class Reading:
    """What the pods of one variant said of one figure.

    Attributes
    ----------
    values
        Of those that told it.
    missing_pods
        Number of those that did not.
    thin_pods
        Of these, those that would tell it and had too few observations for a quantile.
    """

    values: tuple[float, ...]
    missing_pods: int
    thin_pods: int = 0

    def extrapolate(self) -> float | None:
        """Return the sum over all pods, those that said nothing taken for average; None when none said anything."""
        if not self.values:
            return None
        return sum(self.values) * (1.0 + self.missing_pods / len(self.values))


def bound_count(view: ModelView, line: VariantView, wanted: int) -> int:
    """Return `wanted` within the bounds of the variant.

    The lower bound is at least 1, as it is by default with every peer, except while the LLM as a whole may go to zero.
    """
    least = line.variant.min_replicas if may_be_zero(view) else max(line.variant.min_replicas, 1)
    bounded = max(wanted, least)
    return bounded if line.variant.max_replicas is None else min(bounded, line.variant.max_replicas)


def may_be_zero(view: ModelView) -> bool:
    """Return whether the LLM has been silent for as long as was configured, and something can wake it."""
    model, demand = view.model, view.demand
    is_silent = demand.rate_per_s.value == 0.0 and not demand.waiting_requests
    return model.has_gateway and model.min_replicas == 0 and is_silent and demand.silent_s >= model.idle_to_zero_s


def read_signal(view: ModelView, line: VariantView, name: str) -> Reading:
    """Return what the ready pods of `line` said of the signal `name`; pods that are starting have said nothing."""
    by_pod = {signals.pod: signals for signals in view.signals if signals.variant == line.key}
    told = [_get_observation(by_pod.get(pod.pod), name) for pod in iterate_living(line)]
    values = tuple(entry.value for entry in told if entry.value is not None)
    thin = [entry for entry in told if entry.reason is not None and entry.reason.code is ReasonCode.FEW_SAMPLES]
    return Reading(values, len(told) - len(values), len(thin))


def read_concurrency(line: VariantView) -> Reading:
    """Return the requests in flight (running and waiting) of the ready pods of `line`."""
    ready = [pod for pod in line.state.pods if pod.phase is PodPhase.READY]
    told = [
        pod.running_requests + pod.waiting_requests
        for pod in ready
        if pod.reason is None and pod.running_requests is not None and pod.waiting_requests is not None
    ]
    return Reading(tuple(told), len(ready) - len(told))


def read_rate_per_s(view: ModelView, line: VariantView) -> float | None:
    """Return the arrival rate that falls to `line` [1/s] by the measured shares, None when that is not known."""
    total_per_s = view.demand.rate_per_s.value
    used = [entry for entry in view.variants if entry.state.ready_replicas > 0]
    if total_per_s is None:
        return None
    if len(used) <= 1:
        return total_per_s if line in used else 0.0
    loads = [view.shares.get_rate_per_s(pod.pod for pod in iterate_living(entry)) for entry in used]
    if sum(loads) <= 0.0:
        return None if total_per_s > 0.0 else 0.0
    own_per_s = view.shares.get_rate_per_s(pod.pod for pod in iterate_living(line))
    return total_per_s * own_per_s / sum(loads)


def iterate_living(line: VariantView) -> Iterator[PodState]:
    """Yield the pods of `line` that serve or will."""
    return (pod for pod in line.state.pods if pod.phase is not PodPhase.TERMINATING)


def _get_observation(signals: PodSignals | None, name: str) -> Observation:
    return _NOTHING if signals is None else signals.values.get(name, _NOTHING)
