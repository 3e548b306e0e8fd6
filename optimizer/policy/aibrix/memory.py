"""What the policy ``aibrix`` remembers, as plain values and back; what makes no sense is forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optimizer.policy.aibrix.autoscaler import AutoscalerState
from optimizer.policy.aibrix.old_autoscaler import OldAutoscalerState
from optimizer.policy.aibrix.scaling_settings import ScalingSettings
from optimizer.policy.aibrix.spreading import LengthShares
from optimizer.policy.aibrix.windows import MeanWindow
from optimizer.policy.extremes import keep_extremes, keep_highest

_KEPT_DECIMALS = 5


@dataclass(frozen=True, slots=True)
class SpreadDocument:
    """Requests that came until `time_s` [s], over `interval_s` [s], and how their lengths were shared."""

    time_s: float
    requests: float
    interval_s: float
    shares: LengthShares


@dataclass(frozen=True, slots=True)
class OptimizerMemory:
    """What is remembered of the optimizer.

    Attributes
    ----------
    start_s
        Time of its first loop [s]; None before it.
    told_s
        End of the newest stretch of demand that it was told [s]; None before the first.
    documents
        Of the window, oldest first.
    replicas
        What it wanted last, by name of the variant; {} before the first mix.
    """

    start_s: float | None = None
    told_s: float | None = None
    documents: tuple[SpreadDocument, ...] = ()
    replicas: Mapping[str, int] = field(default_factory=dict)


def encode_autoscaler(state: AutoscalerState) -> dict[str, Any]:
    """Return `state` as plain values."""
    return {
        "stable": _encode_window(state.stable),
        "panic": _encode_window(state.panic),
        "history": _encode_pairs(keep_extremes(state.history)),
    }


def decode_autoscaler(state: object, settings: ScalingSettings) -> AutoscalerState:
    """Return what `state` holds, a fresh one where it makes no sense."""
    if not isinstance(state, Mapping):
        return AutoscalerState.start(settings)
    try:
        return AutoscalerState(
            MeanWindow(settings.stable_window_s, _decode_window(state["stable"])),
            MeanWindow(settings.panic_window_s, _decode_window(state["panic"])),
            tuple((float(time_s), int(count)) for time_s, count in state["history"]),
        )
    except (KeyError, TypeError, ValueError):
        return AutoscalerState.start(settings)


def encode_old_autoscaler(state: OldAutoscalerState) -> dict[str, Any]:
    """Return `state` as plain values."""
    return {
        "stable": _encode_window(state.stable),
        "panic": _encode_window(state.panic),
        "delay": _encode_pairs(keep_highest(state.delay.samples)),
        "is_panicking": state.is_panicking,
        "panic_s": state.panic_s,
        "most_replicas": state.most_replicas,
    }


def decode_old_autoscaler(state: object, settings: ScalingSettings, replicas: int) -> OldAutoscalerState:
    """Return what `state` holds, that of a start with `replicas` where it makes no sense."""
    fresh = OldAutoscalerState.start(settings, replicas)
    if not isinstance(state, Mapping):
        return fresh
    try:
        stable, panic, delay = *map(_decode_window, (state["stable"], state["panic"])), _decode_samples(state["delay"])
        panic_s = state["panic_s"]
        return OldAutoscalerState(
            MeanWindow(settings.stable_window_s, stable, is_old=True),
            MeanWindow(settings.panic_window_s, panic, is_old=True),
            MeanWindow(settings.scale_down_delay_s, delay, is_old=True, is_thinned=False),
            bool(state["is_panicking"]),
            None if panic_s is None else float(panic_s),
            int(state["most_replicas"]),
        )
    except (KeyError, TypeError, ValueError):
        return fresh


def encode_optimizer(memory: OptimizerMemory) -> dict[str, Any]:
    """Return `memory` as plain values."""
    documents = [
        {
            "time_s": entry.time_s,
            "requests": entry.requests,
            "interval_s": entry.interval_s,
            "inputs": _encode_pairs(tuple(entry.shares.inputs.items())),
            "outputs": _encode_pairs(tuple(entry.shares.outputs.items())),
        }
        for entry in memory.documents
    ]
    return {
        "start_s": memory.start_s,
        "told_s": memory.told_s,
        "documents": documents,
        "replicas": dict(memory.replicas),
    }


def decode_optimizer(state: object) -> OptimizerMemory:
    """Return what `state` holds, a fresh memory where it makes no sense."""
    if not isinstance(state, Mapping):
        return OptimizerMemory()
    try:
        documents = tuple(
            SpreadDocument(
                float(entry["time_s"]),
                float(entry["requests"]),
                float(entry["interval_s"]),
                LengthShares(dict(_decode_samples(entry["inputs"])), dict(_decode_samples(entry["outputs"]))),
            )
            for entry in state["documents"]
        )
        times_s = [None if state[name] is None else float(state[name]) for name in ("start_s", "told_s")]
        replicas = {str(name): int(count) for name, count in state["replicas"].items()}
        return OptimizerMemory(times_s[0], times_s[1], documents, replicas)
    except (AttributeError, KeyError, TypeError, ValueError):
        return OptimizerMemory()


def _encode_window(window: MeanWindow) -> list[float]:
    """Return the newest second, and age and value of every sample, all in one list: there are many of them."""
    newest = window.samples[-1][0] if window.samples else 0
    return [newest, *(figure for at, value in window.samples for figure in (newest - at, round(value, _KEPT_DECIMALS)))]


def _decode_window(figures: Any) -> tuple[tuple[int, float], ...]:
    newest, *rest = figures
    return tuple((int(newest) - int(age), float(value)) for age, value in zip(rest[::2], rest[1::2], strict=True))


def _encode_pairs(pairs: tuple[tuple[float, float], ...]) -> list[list[float]]:
    return [[first, round(second, _KEPT_DECIMALS)] for first, second in pairs]


def _decode_samples(pairs: Any) -> tuple[tuple[int, float], ...]:
    return tuple((int(second), float(value)) for second, value in pairs)
