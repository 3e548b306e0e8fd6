"""What is remembered of every group becomes plain values, and back. Windows survive while their lengths do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

from optimizer.policy.kthena.behavior import Behavior
from optimizer.policy.kthena.correct import Memory, make_memory
from optimizer.policy.kthena.windows import line_from_plain, line_to_plain, record_from_plain, record_to_plain


def encode_memory(memory: Memory) -> dict[str, Any]:
    """Return `memory` as plain values."""
    return {
        "highest_recommended": record_to_plain(memory.highest_recommended),
        "lowest_recommended": record_to_plain(memory.lowest_recommended),
        "highest_corrected": line_to_plain(memory.highest_corrected),
        "lowest_corrected": line_to_plain(memory.lowest_corrected),
        "lowest_in_panic": line_to_plain(memory.lowest_in_panic),
        "panic_until_s": memory.panic_until_s,
    }


def decode_memory(plain: object, behavior: Behavior) -> Memory:
    """Return what `plain` tells, with an empty window for each that it does not tell of in the length of now."""
    empty = make_memory(behavior)
    if not isinstance(plain, Mapping):
        return empty
    return replace(
        empty,
        highest_recommended=record_from_plain(plain.get("highest_recommended"), empty.highest_recommended),
        lowest_recommended=record_from_plain(plain.get("lowest_recommended"), empty.lowest_recommended),
        highest_corrected=line_from_plain(plain.get("highest_corrected"), empty.highest_corrected),
        lowest_corrected=line_from_plain(plain.get("lowest_corrected"), empty.lowest_corrected),
        lowest_in_panic=line_from_plain(plain.get("lowest_in_panic"), empty.lowest_in_panic),
        panic_until_s=_read_time_s(plain.get("panic_until_s")) if behavior.panic.hold_s > 0.0 else None,
    )


def _read_time_s(plain: object) -> float | None:
    if isinstance(plain, bool) or not isinstance(plain, (int, float)) or not isfinite(plain):
        return None
    return float(plain)
