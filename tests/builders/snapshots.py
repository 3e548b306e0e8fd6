"""Snapshots, windows and variants for tests of deciding: whole and valid, with the few fields a test is about."""

from __future__ import annotations

from optimizer.domain import (
    DemandSource,
    DemandWindow,
    LengthDistribution,
    LengthSums,
    ModelKey,
    ModelSnapshot,
    PodKey,
    PodPhase,
    PodState,
    Reason,
    ReasonCode,
    VariantKey,
    VariantState,
    Workload,
)

NAMESPACE, MODEL_ID = "prod", "llama"
MODEL = ModelKey(NAMESPACE, MODEL_ID)
INPUT = LengthDistribution(1000.0, 1.9e6)
OUTPUT = LengthDistribution(200.0, 6.4e4)


def make_workload(rate_per_s: float = 1.0) -> Workload:
    return Workload(rate_per_s, INPUT, OUTPUT)


def make_key(variant: str) -> VariantKey:
    return VariantKey(NAMESPACE, MODEL_ID, variant)


def make_pod_key(name: str) -> PodKey:
    return PodKey(NAMESPACE, name)


def make_window(
    name: str, arrivals: float | None, start_s: float = 0.0, end_s: float = 15.0, code: ReasonCode | None = None
) -> DemandWindow:
    """Return the window of pod `name`, absent with `code` when there are no `arrivals`."""
    if arrivals is None:
        reason = Reason(code or ReasonCode.SCRAPE_FAILED, f"{name}: no answer")
        return DemandWindow(start_s, end_s, DemandSource.NONE, make_pod_key(name), reason=reason)
    return DemandWindow(
        start_s,
        end_s,
        DemandSource.HTTP_REQUESTS,
        make_pod_key(name),
        arrivals=arrivals,
        input_lengths=LengthSums(arrivals, arrivals * INPUT.mean_tokens, arrivals * INPUT.mean_square_tokens2),
        output_lengths=LengthSums(arrivals, arrivals * OUTPUT.mean_tokens, arrivals * OUTPUT.mean_square_tokens2),
    )


def make_gateway(
    arrivals: float | None, start_s: float = 0.0, end_s: float = 15.0, waiting: float | None = 0.0
) -> DemandWindow:
    reason = None if arrivals is not None else Reason(ReasonCode.SCRAPE_FAILED, "gateway: no answer")
    source = DemandSource.GATEWAY if arrivals is not None else DemandSource.NONE
    return DemandWindow(start_s, end_s, source, arrivals=arrivals, waiting_requests=waiting, reason=reason)


def make_pod(name: str, phase: PodPhase = PodPhase.READY, seen_s: float | None = 15.0) -> PodState:
    return PodState(make_pod_key(name), phase, created_s=0.0, ready_s=0.0, seen_s=seen_s)


def make_state(
    variant: str, names: tuple[str, ...], requested: int | None = None, phase: PodPhase = PodPhase.READY
) -> VariantState:
    pods = tuple(make_pod(name, phase) for name in names)
    return VariantState(make_key(variant), len(names) if requested is None else requested, pods)


def make_model_snapshot(
    states: tuple[VariantState, ...], windows: tuple[DemandWindow, ...] = (), gateway: DemandWindow | None = None
) -> ModelSnapshot:
    return ModelSnapshot(MODEL, states, windows, gateway)
