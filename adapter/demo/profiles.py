"""Reads the packaged measurements: iteration times, their fits, prices, and the request trace. It computes nothing.

The data folder's README.md names sources and licences.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from adapter.errors import BadDocument
from optimizer.domain import IterationLaw, IterationTable

_DATA = files("adapter.demo") / "data"
_MILLISECOND_S, _MICROSECOND_S = 1e-3, 1e-6


class SetUp(NamedTuple):
    """What was measured: device, size of the LLM, tensor parallel degree, weights."""

    system: str
    size: str
    tensor: int
    quantization: str


@dataclass(frozen=True, slots=True)
class Fit:
    """The linear law of a set-up and the tokens that fit into its KV cache."""

    law: IterationLaw
    kv_capacity_tokens: int


@dataclass(frozen=True, slots=True)
class TracedRequest:
    """One request of the trace: seconds since the first, prompt and output tokens."""

    offset_s: float
    input_tokens: int
    output_tokens: int


def read_iteration_table(set_up: SetUp) -> IterationTable:
    """Return the measured iteration times of `set_up`.

    Raises
    ------
    BadDocument
        When it was not measured.
    """
    decode: dict[float, dict[float, float]] = defaultdict(dict)
    prefill: dict[float, float] = {}
    for row in _read_packaged("iteration_times.csv.gz"):
        if _get_set_up(row) == set_up:
            batch, tokens, time_s = float(row["batch"]), float(row["ctx"]), float(row["ms"]) * _MILLISECOND_S
            if row["kind"] == "decode":
                decode[batch][tokens] = time_s
            else:
                prefill[tokens] = time_s
    if not decode or not prefill:
        raise BadDocument(f"no iteration times of {set_up}")
    batches, prompts = sorted(decode), sorted(prefill)
    contexts = sorted(decode[batches[0]])
    return IterationTable(
        tuple(batches),
        tuple(contexts),
        tuple(tuple(decode[batch][context] for context in contexts) for batch in batches),
        tuple(prompts),
        tuple(prefill[prompt] for prompt in prompts),
    )


def read_fit(set_up: SetUp) -> Fit:
    """Return the linear fit of `set_up`.

    Raises
    ------
    BadDocument
        When there is none.
    """
    for row in _read_packaged("linear_fits.csv"):
        if _get_set_up(row) == set_up:
            law = IterationLaw(
                fixed_s=float(row["a_ms"]) * _MILLISECOND_S,
                per_request_s=float(row["b_ms"]) * _MILLISECOND_S,
                per_context_token_s=float(row["c_us"]) * _MICROSECOND_S,
                per_prompt_token_s=float(row["e_us"]) * _MICROSECOND_S,
            )
            return Fit(law, int(row["kv_tokens"]))
    raise BadDocument(f"no linear fit of {set_up}")


def read_prices(path: Path | None = None) -> Mapping[str, float]:
    """Return the price of each accelerator [currency/h], from the sheet at `path` or the packaged one.

    Raises
    ------
    BadDocument
        When there is no such file, or naming the line that cannot be read.
    """
    try:
        text = (_DATA / "prices.csv" if path is None else path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise BadDocument(f"price sheet {path} cannot be read: {cause}") from cause
    prices: dict[str, float] = {}
    for line, row in enumerate(csv.DictReader(io.StringIO(text)), start=2):
        try:
            prices[row["accelerator"]] = float(row["cost_per_hour"])
        except (KeyError, TypeError, ValueError) as cause:
            raise BadDocument(
                f"{path or 'prices.csv'} line {line} must hold accelerator,cost_per_hour, got {row}"
            ) from cause
    return prices


@lru_cache(maxsize=1)
def read_trace() -> tuple[TracedRequest, ...]:
    """Return the conversation trace in order of time."""
    return tuple(
        TracedRequest(float(row["arrival_seconds"]), int(row["input_tokens"]), int(row["output_tokens"]))
        for row in _read_packaged("azure2023_conv.csv.gz")
    )


def _read_packaged(name: str) -> Iterator[dict[str, str]]:
    raw = (_DATA / name).read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode()
    return iter(csv.DictReader(io.StringIO(text)))


def _get_set_up(row: Mapping[str, str]) -> SetUp:
    return SetUp(row["system"], row["model"], int(row["tp"]), row["quant"])
