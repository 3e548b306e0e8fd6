"""Recordings of a real vLLM, each cut into two halves: what its pages counted, and the requests its client sent.

Times that the client noted are rough where it says when a first token came, as it shared two cores with the server and
often read a whole answer at once. So times come from the sums on the server's pages; of the client, only when it sent a
request, and when it had the whole answer.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from optimizer.simulation import EngineLimits


class PageSums(NamedTuple):
    """What had been counted when a page was asked for; times are sums over requests or tokens [s]."""

    time_s: float
    finished: float
    tokens: float
    itl_s: float
    ttft_s: float
    queue_s: float
    prefill_s: float
    inference_s: float
    running_requests: float
    waiting_requests: float


class SentRequest(NamedTuple):
    """A request as its client saw it."""

    sent_s: float
    done_s: float
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class RecordedHalf:
    """A half of a recording, from a server without requests to one without.

    Attributes
    ----------
    name
        Of the recording, and which half.
    limits
        What the server was told.
    pages, requests
        In order of time.
    burst_s
        When many requests were sent at once, to stand in a queue [s]; None where that did not happen.
    """

    name: str
    limits: EngineLimits
    pages: tuple[PageSums, ...]
    requests: tuple[SentRequest, ...]
    burst_s: float | None = None


_SUMS = (
    "vllm:time_to_first_token_seconds_sum",
    "vllm:request_queue_time_seconds_sum",
    "vllm:request_prefill_time_seconds_sum",
    "vllm:request_inference_time_seconds_sum",
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
)
_HALVES = {  # from, until, when a burst was sent
    "restart": ((28.0, 152.0, None), (219.0, 344.5, None)),
    "overload": ((29.0, 120.15, 59.73), (120.15, 162.5, 120.26)),
}
_SLOTS = {"restart": 8, "overload": 2}


def read_halves(folder: Path) -> tuple[tuple[RecordedHalf, ...], tuple[RecordedHalf, ...]]:
    """Return the first halves of all recordings, and the second ones."""
    first, second = zip(*(tuple(_read_recording(folder, name)) for name in _HALVES), strict=True)
    return first, second


def _read_recording(folder: Path, name: str) -> Iterator[RecordedHalf]:
    with gzip.open(folder / f"vllm-0.32.0-{name}-pages.jsonl.gz", "rt") as lines:
        loaded = [json.loads(line) for line in lines]
    pages = [_read_sums(page["t_s"], page["text"]) for page in loaded if page["status"] == 200]
    with gzip.open(folder / f"vllm-0.32.0-{name}-requests.csv.gz", "rt") as rows:
        requests = sorted(
            SentRequest(float(row["sent_s"]), float(row["done_s"]), int(row["input_tokens"]), int(row["output_tokens"]))
            for row in csv.DictReader(rows)
            if row["status"] == "200"
        )
    limits = EngineLimits(262_144, 128, _SLOTS[name], 1024)
    for which, (start_s, end_s, burst_s) in zip(("first", "second"), _HALVES[name], strict=True):
        yield RecordedHalf(
            f"{name}, {which} half",
            limits,
            tuple(page for page in pages if start_s <= page.time_s < end_s),
            tuple(request for request in requests if start_s <= request.sent_s < end_s),
            burst_s,
        )


def _read_sums(time_s: float, text: str) -> PageSums:
    finished = sum(map(float, re.findall(r"^vllm:request_success_total\{.*\} (\S+)$", text, re.MULTILINE)))
    tokens, itl_s = (_read_one(text, f"vllm:inter_token_latency_seconds_{part}") for part in ("count", "sum"))
    return PageSums(time_s, finished, tokens, itl_s, *(_read_one(text, name) for name in _SUMS))


def _read_one(text: str, name: str) -> float:
    found = re.search(rf"^{name}\{{.*\}} (\S+)$", text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])
