"""What a policy sees of variants whose pods say some figures, for tests of scalers that know one pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from optimizer import ModelView, VariantView
from optimizer.demand import DemandHistory, DemandNow, LoadShares, PodCount
from optimizer.domain import (
    Observation,
    PodPhase,
    PodSignals,
    PodState,
    ReasonCode,
    ServedModel,
    Variant,
    VariantState,
)
from tests.builders.snapshots import make_pod, make_pod_key, make_workload

Told = float | ReasonCode | None
"""What a pod says of a figure: its value, or why there is none; None for any reason."""


def make_line(
    variant: Variant,
    in_flight: Sequence[float | None] = (),
    *,
    published: int | None = None,
    starting: int = 0,
) -> VariantView:
    """Return a variant with a ready pod for each of `in_flight` (running requests, None for an unread page)."""
    ready = [_make_pod(f"{variant.name}-{index}", PodPhase.READY, running) for index, running in enumerate(in_flight)]
    coming = [_make_pod(f"{variant.name}-s{index}", PodPhase.STARTING, None) for index in range(starting)]
    replicas = len(ready) + len(coming) if published is None else published
    state = VariantState(variant.key(), replicas, (*ready, *coming))
    return VariantView(variant.key(), variant, state, replicas, 1.0)


def make_view(
    model: ServedModel,
    lines: Sequence[VariantView],
    *,
    rate_per_s: float = 4.0,
    silent_s: float = 0.0,
    shares: Mapping[str, float] | None = None,
    signals: Mapping[str, Mapping[str, Sequence[Told]]] | None = None,
) -> ModelView:
    """Return the view of `model`; `shares` by variant [1/s] and `signals` by variant and name, a value a ready pod."""
    demand = DemandNow(Observation(rate_per_s), None, 0.0, None, silent_s, 15.0)
    counts = [
        PodCount(pod.pod, line.key.variant, (shares or {}).get(line.key.variant, 0.0) * 15.0, 15.0)
        for line in lines
        for pod in line.state.pods
    ]
    existing = [pod.pod for line in lines for pod in line.state.pods]
    loads = LoadShares().count(counts, existing, frozenset(), 15.0) if shares else LoadShares()
    told = [entry for line in lines for entry in _make_signals(line, (signals or {}).get(line.key.variant, {}))]
    return ModelView(
        model, tuple(lines), demand, DemandHistory(), loads, make_workload(rate_per_s), signals=tuple(told)
    )


def _make_pod(name: str, phase: PodPhase, running: float | None) -> PodState:
    return replace(make_pod(name, phase), running_requests=running, waiting_requests=None if running is None else 0.0)


def _make_signals(line: VariantView, values: Mapping[str, Sequence[Told]]) -> list[PodSignals]:
    pods = max((len(entries) for entries in values.values()), default=0)
    return [
        PodSignals(
            make_pod_key(f"{line.key.variant}-{index}"),
            line.key,
            15.0,
            {name: _to_observation(entries[index]) for name, entries in values.items()},
        )
        for index in range(pods)
    ]


def _to_observation(told: Told) -> Observation:
    if isinstance(told, ReasonCode) or told is None:
        return Observation.absent(told or ReasonCode.METRIC_MISSING, "not told")
    return Observation(told)
