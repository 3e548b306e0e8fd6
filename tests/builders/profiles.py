"""Reads the profiles carried for tests: laws, tables, capacities of real accelerators."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from optimizer.domain import IterationLaw, IterationTable, LengthDistribution, Workload


class SetUp(NamedTuple):
    system: str
    model: str
    tensor: str


class Fit(NamedTuple):
    law: IterationLaw
    kv_tokens: float


class MixedIteration(NamedTuple):
    batch: float
    context_tokens: float
    prompt_tokens: float
    time_s: float


class Capacity(NamedTuple):
    set_up: SetUp
    input_tokens: float
    output_tokens: float
    itl_target_s: float
    max_batch: int
    table_per_s: float
    law_per_s: float


A100_70B = SetUp("a100_sxm", "70B", "4")
RTX6000_70B = SetUp("rtx_pro_6000_server", "70B", "4")
L40S_8B = SetUp("l40s", "8B", "1")
H100_8B = SetUp("h100_sxm", "8B", "1")


def read_fits(data_dir: Path) -> dict[SetUp, Fit]:
    with (data_dir / "profiles" / "linear_fits.csv").open() as file:
        return {_set_up(row): _to_fit(row) for row in csv.DictReader(file)}


def read_capacities(data_dir: Path) -> list[Capacity]:
    with (data_dir / "profiles" / "capacity_under_itl.csv").open() as file:
        return [_to_capacity(row) for row in csv.DictReader(file)]


def read_tables(data_dir: Path) -> tuple[dict[SetUp, IterationTable], dict[SetUp, list[MixedIteration]]]:
    """Return tables, up to 256 requests and the largest context known for all of them, and the mixed points."""
    decode: dict[SetUp, dict[tuple[float, float], float]] = defaultdict(dict)
    prefill: dict[SetUp, dict[float, float]] = defaultdict(dict)
    mixed: dict[SetUp, list[MixedIteration]] = defaultdict(list)
    with gzip.open(data_dir / "profiles" / "iteration_times.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            set_up, time_s = _set_up(row), float(row["ms"]) / 1e3
            batch, context, chunk = float(row["batch"]), float(row["ctx"]), float(row["chunk"])
            if row["kind"] == "decode":
                decode[set_up][batch, context] = time_s
            elif row["kind"] == "prefill":
                prefill[set_up][context] = time_s
            else:
                mixed[set_up].append(MixedIteration(batch, context, chunk, time_s))
    return {set_up: _to_table(decode[set_up], prefill[set_up]) for set_up in decode}, mixed


def alike(input_tokens: float, output_tokens: float, cached_ratio: float = 0.0) -> Workload:
    """Return requests that are all alike."""
    return spread(input_tokens, 0.0, output_tokens, 0.0, cached_ratio)


def spread(
    input_tokens: float, input_cv: float, output_tokens: float, output_cv: float, cached_ratio: float = 0.0
) -> Workload:
    """Return requests whose lengths have these means and coefficients of variation."""
    return Workload(1.0, _lengths(input_tokens, input_cv), _lengths(output_tokens, output_cv), cached_ratio)


CONVERSATION = (1155.0, 0.96, 211.0, 0.77)
"""Means and coefficients of variation of the lengths of a real conversation service."""


def _lengths(mean_tokens: float, cv: float) -> LengthDistribution:
    return LengthDistribution(mean_tokens, mean_tokens * mean_tokens * (1.0 + cv * cv))


def _set_up(row: dict[str, str]) -> SetUp:
    return SetUp(row["system"], row["model"], row["tp"])


def _to_fit(row: dict[str, str]) -> Fit:
    a, b, c, e = float(row["a_ms"]) / 1e3, float(row["b_ms"]) / 1e3, float(row["c_us"]) / 1e6, float(row["e_us"]) / 1e6
    return Fit(IterationLaw(a, b, c, e), float(row["kv_tokens"]))


def _to_capacity(row: dict[str, str]) -> Capacity:
    return Capacity(
        _set_up(row),
        float(row["input_tokens"]),
        float(row["output_tokens"]),
        float(row["itl_target_ms"]) / 1e3,
        int(row["max_batch"]),
        float(row["table_per_s"]),
        float(row["law_per_s"]),
    )


def _to_table(decode: dict[tuple[float, float], float], prefill: dict[float, float]) -> IterationTable:
    batches = sorted({batch for batch, _ in decode if batch <= 256})
    contexts = [
        context
        for context in sorted({context for _, context in decode})
        if all((batch, context) in decode for batch in batches)
    ]
    prompts = sorted(prefill)
    return IterationTable(
        tuple(batches),
        tuple(contexts),
        tuple(tuple(decode[batch, context] for context in contexts) for batch in batches),
        tuple(prompts),
        tuple(prefill[tokens] for tokens in prompts),
    )
