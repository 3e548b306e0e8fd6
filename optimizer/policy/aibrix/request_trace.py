"""AIBrix: the document of a request trace, as its gateway writes it every ten seconds and its optimizer reads it.

    bucket "<in>:<out>", index = round(10 log2 tokens) in units of 0.1 cut to whole numbers;   tokens = 2^(index / 10)

Quirks kept: cutting makes ten indexes one lower; a document with any key that is no bucket is refused; one key is read
a loop, so that a slow loop loses documents. It counts; it clusters nothing.

The peer in the simulator writes and reads documents; there is no store, so the names of keys stand here for conformance
alone.

Source: AIBrix e3e10f9e (head, 2026-08-22), request trace of the gateway and its reader.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from optimizer.errors import InvalidInput

INTERVAL_S = 10
PRECISION = 10
VERSION = 4
TRACE_KEPT_S = 600
"""How long a document is kept [s]."""
_STEP = 0.1
_BUCKET = re.compile(r"(-?\d+):(-?\d+)")


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """Completed requests of one bucket, by the logarithm to base 2 of their lengths in tokens."""

    log2_input_tokens: float
    log2_output_tokens: float
    requests: float

    @property
    def input_tokens(self) -> float:
        """Length of the prompts [tokens]."""
        return math.exp2(self.log2_input_tokens)

    @property
    def output_tokens(self) -> float:
        """Length of the answers [tokens]."""
        return math.exp2(self.log2_output_tokens)


@dataclass(frozen=True, slots=True)
class TraceDocument:
    """What one document says.

    Attributes
    ----------
    records
        Completed requests by bucket.
    arrived_requests, pending_requests
        As counted; before version 3 the completed stand in for the arrived.
    interval_s
        What it covers [s].
    """

    records: tuple[TraceRecord, ...]
    arrived_requests: float
    pending_requests: float = 0.0
    interval_s: float = INTERVAL_S

    @property
    def completed_requests(self) -> float:
        """Requests in all buckets."""
        return sum(record.requests for record in self.records)

    @property
    def rate_per_s(self) -> float:
        """Arrivals per second [1/s]."""
        return self.arrived_requests / self.interval_s


def encode_index(tokens: int) -> int:
    """Return the index of a length [tokens]; 0 for none."""
    return cut_index(math.floor(PRECISION * math.log2(tokens) + 0.5)) if tokens > 0 else 0


def cut_index(rounded_index: int) -> int:
    """Return what is written for an index that was rounded: the same, but for ten of them below 260."""
    return int(rounded_index * _STEP / _STEP)


def encode_bucket(input_tokens: int, output_tokens: int) -> str:
    """Return the key of a bucket."""
    return f"{encode_index(input_tokens)}:{encode_index(output_tokens)}"


def write_document(
    completed: Iterable[tuple[int, int]], arrived_requests: int, pending_requests: int, queueing_requests: int
) -> dict[str, int]:
    """Return the document of one interval; `completed` are pairs of input and output lengths [tokens]."""
    document = dict(Counter(encode_bucket(*lengths) for lengths in completed))
    return {
        **document,
        "meta_v": VERSION,
        "meta_interval_sec": INTERVAL_S,
        "meta_precision": PRECISION,
        "meta_total_reqs": arrived_requests,
        "meta_pending_reqs": pending_requests,
        "meta_queueing_reqs": queueing_requests,
    }


def read_document(document: Mapping[str, float]) -> TraceDocument:
    """Return what `document`, of any version, says.

    Raises
    ------
    InvalidInput
        When a key is neither a bucket nor begins with ``meta_``.
    """
    version = int(document.get("meta_v", 1))
    precision = document.get("meta_precision", PRECISION) if version > 1 else 1.0
    interval_s = float(document.get("meta_interval_sec", INTERVAL_S)) if version > 1 else float(INTERVAL_S)
    records = []
    for key, requests in document.items():
        if key.startswith("meta_"):
            continue
        found = _BUCKET.fullmatch(key)
        if found is None:
            raise InvalidInput("trace bucket", "<input index>:<output index>", key)
        records.append(TraceRecord(int(found[1]) / precision, int(found[2]) / precision, requests))
    completed = sum(record.requests for record in records)
    arrived = document.get("meta_total_reqs", completed) if version >= 3 else completed
    return TraceDocument(tuple(records), arrived, document.get("meta_pending_reqs", 0), interval_s)


def name_trace_key(model: str, write_time_s: float) -> str:
    """Return the key that a document written at `write_time_s` [unix s] is kept under."""
    return f"aibrix:{model}_request_trace_{int(write_time_s // INTERVAL_S) * INTERVAL_S}"


def name_profile_key(model: str, deployment: str) -> str:
    """Return the key of a profile; `deployment` ``*`` gives the pattern that is searched for."""
    return f"aibrix:profile_{model}_{deployment}"


def list_read_keys(model: str, read_times_s: Sequence[float]) -> list[str | None]:
    """Return the key that is read at each time [unix s], None where it was read before."""
    keys: list[str | None] = []
    last = None
    for time_s in read_times_s:
        key = name_trace_key(model, time_s)
        keys.append(None if key == last else key)
        last = key
    return keys
