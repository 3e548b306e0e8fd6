"""What saturation remembers of one LLM, as plain values and back; what makes no sense is forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from optimizer.policy.saturation.cycle import SaturationMemory
from optimizer.policy.saturation.readings import MOST_PODS_WITH_PEAKS, GaugeSample
from optimizer.policy.saturation.token_analyzer import TokenState
from optimizer.policy.saturation.token_capacity import CapacityRecord, EngineArguments, LearnedFrom

_AGE_DECIMALS, _RATIO_DECIMALS = 1, 4


def encode_memory(memory: SaturationMemory) -> dict[str, Any]:
    """Return `memory` as plain values."""
    peaks = {} if len(memory.peaks) > MOST_PODS_WITH_PEAKS else memory.peaks
    newest_s = max((samples[-1].time_s for samples in peaks.values()), default=0.0)
    return {
        "newest_s": newest_s,
        "peaks": {name: [_encode_sample(entry, newest_s) for entry in samples] for name, samples in peaks.items()},
        "records": {name: asdict(record) for name, record in memory.tokens.records.items()},
        "saturated_tokens": {key: list(values) for key, values in memory.tokens.saturated_tokens.items()},
    }


def decode_memory(state: Mapping[str, Any]) -> SaturationMemory:
    """Return the memory that `state` holds; a fresh one when it makes no sense."""
    try:
        newest_s = float(state.get("newest_s", 0.0))
        peaks = {
            str(name): tuple(_decode_sample(sample, newest_s) for sample in samples)
            for name, samples in state.get("peaks", {}).items()
        }
        records = {str(name): _decode_record(record) for name, record in state.get("records", {}).items()}
        saturated = {
            str(key): tuple(float(value) for value in values)
            for key, values in state.get("saturated_tokens", {}).items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        return SaturationMemory()
    return SaturationMemory(peaks, TokenState(records, saturated))


def _encode_sample(sample: GaugeSample, newest_s: float) -> list[float]:
    """Return age [s], share and requests with as many digits as matter: there are many of them."""
    return [
        round(newest_s - sample.time_s, _AGE_DECIMALS),
        round(sample.kv_cache_ratio, _RATIO_DECIMALS),
        round(sample.waiting_requests, _AGE_DECIMALS),
    ]


def _decode_sample(sample: Sequence[float], newest_s: float) -> GaugeSample:
    age_s, kv_cache_ratio, waiting_requests = map(float, sample)
    return GaugeSample(newest_s - age_s, kv_cache_ratio, waiting_requests)


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
