"""What saturation remembers of one LLM, as plain values and back; what makes no sense is forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from optimizer.policy.saturation.cycle import SaturationMemory
from optimizer.policy.saturation.readings import GaugeSample
from optimizer.policy.saturation.token_analyzer import TokenState
from optimizer.policy.saturation.token_capacity import CapacityRecord, EngineArguments, LearnedFrom


def encode_memory(memory: SaturationMemory) -> dict[str, Any]:
    """Return `memory` as plain values."""
    peaks = {
        name: [[entry.time_s, entry.kv_cache_ratio, entry.waiting_requests] for entry in samples]
        for name, samples in memory.peaks.items()
    }
    return {
        "peaks": peaks,
        "records": {name: asdict(record) for name, record in memory.tokens.records.items()},
        "saturated_tokens": {key: list(values) for key, values in memory.tokens.saturated_tokens.items()},
    }


def decode_memory(state: Mapping[str, Any]) -> SaturationMemory:
    """Return the memory that `state` holds; a fresh one when it makes no sense."""
    try:
        peaks = {
            str(name): tuple(GaugeSample(*map(float, sample)) for sample in samples)
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
