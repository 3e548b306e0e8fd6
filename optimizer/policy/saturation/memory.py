"""What saturation remembers of one LLM, as plain values and back; what makes no sense is forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from optimizer.policy.saturation.cycle import SaturationMemory
from optimizer.policy.saturation.readings import MOST_PODS_WITH_PEAKS, GaugeSample
from optimizer.policy.saturation.token_analyzer import TokenState
from optimizer.policy.saturation.token_capacity import CapacityRecord, EngineArguments, LearnedFrom

_RATIO_DECIMALS, _REQUEST_DECIMALS = 3, 1


def encode_memory(memory: SaturationMemory) -> dict[str, Any]:
    """Return `memory` as plain values."""
    peaks = {} if len(memory.peaks) > MOST_PODS_WITH_PEAKS else memory.peaks
    newest_s = round(max((samples[-1].time_s for samples in peaks.values()), default=0.0))
    return {
        "newest_s": newest_s,
        "peaks": {name: _encode_samples(samples, newest_s) for name, samples in peaks.items()},
        "records": {name: asdict(record) for name, record in memory.tokens.records.items()},
        "saturated_tokens": {key: list(values) for key, values in memory.tokens.saturated_tokens.items()},
    }


def decode_memory(state: Mapping[str, Any]) -> SaturationMemory:
    """Return the memory that `state` holds; a fresh one when it makes no sense."""
    try:
        newest_s = float(state.get("newest_s", 0.0))
        peaks = {str(name): _decode_samples(figures, newest_s) for name, figures in state.get("peaks", {}).items()}
        records = {str(name): _decode_record(record) for name, record in state.get("records", {}).items()}
        saturated = {
            str(key): tuple(float(value) for value in values)
            for key, values in state.get("saturated_tokens", {}).items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        return SaturationMemory()
    return SaturationMemory(peaks, TokenState(records, saturated))


def _encode_samples(samples: Iterable[GaugeSample], newest_s: float) -> list[float]:
    """Return age [s], share and requests of all, with as many digits as matter: there are many of them."""
    figures: list[float] = []
    for sample in samples:
        figures.append(round(newest_s - sample.time_s))
        figures.append(round(sample.kv_cache_ratio, _RATIO_DECIMALS))
        figures.append(round(sample.waiting_requests, _REQUEST_DECIMALS))
    return figures


def _decode_samples(figures: Sequence[float], newest_s: float) -> tuple[GaugeSample, ...]:
    ages, shares, requests = (list(map(float, figures[place::3])) for place in range(3))
    return tuple(GaugeSample(newest_s - age_s, *rest) for age_s, *rest in zip(ages, shares, requests, strict=True))


def _decode_record(record: Mapping[str, Any]) -> CapacityRecord:
    engine = record["engine"]
    return CapacityRecord(
        str(record["accelerator"]),
        int(record["accelerators_per_replica"]),
        float(record["capacity_tokens"]),
        float(record["kv_capacity_tokens"]),
        None if engine is None else EngineArguments(**engine),
        LearnedFrom(record["learned_from"]),
    )
