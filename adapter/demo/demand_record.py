"""The demand that really arrived, as evidence wants it: steps of rate and token lengths per LLM. It judges nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from optimizer import DemandRecord, DemandStep
from optimizer.domain import LengthDistribution, ModelKey, Workload

LENGTHS_S = 120.0
"""Span over which token lengths are taken together: some hundred requests, and short beside a shift of the mix [s]."""

_EDGES_TOKENS = tuple(float(step * 10**power) for power in range(5) for step in (1, 2, 5))


def to_demand_record(report: dict[str, Any], step_s: float) -> DemandRecord:
    """Return the requests of `report` as steps of `step_s` [s], whole steps only; {} when it is shorter than one.

    Where nothing arrived within two minutes, the lengths of the time before are kept.
    """
    steps = math.floor((report["now_s"] - report["begin_s"]) / step_s)
    if steps < 1:
        return {}
    keys = [ModelKey(model["namespace"], model["model_id"]) for model in report["models"]]
    found: dict[ModelKey, tuple[DemandStep, ...]] = {}
    for number, key in enumerate(keys):
        rows = [row for row in report["requests"] if row[0] == number and row[1] < steps * step_s]
        if rows:
            found[key] = _to_steps(rows, steps, step_s)
    return found


def _to_steps(rows: Sequence[Sequence[float]], count: int, step_s: float) -> tuple[DemandStep, ...]:
    arrivals = [0] * count
    for row in rows:
        arrivals[min(int(row[1] / step_s), count - 1)] += 1
    made = []
    lengths = _to_lengths(rows[:1])
    for index, requests in enumerate(arrivals):
        if (index * step_s) % LENGTHS_S < step_s:
            begin_s = index * step_s
            near = [row for row in rows if begin_s <= row[1] < begin_s + LENGTHS_S]
            lengths = _to_lengths(near) if near else lengths
        workload = Workload(requests / step_s, *lengths)
        made.append(DemandStep(index * step_s, (index + 1) * step_s, workload))
    return tuple(made)


def _to_lengths(rows: Sequence[Sequence[float]]) -> tuple[LengthDistribution, LengthDistribution]:
    return _to_distribution([row[2] for row in rows]), _to_distribution([row[3] for row in rows])


def _to_distribution(lengths: Sequence[float]) -> LengthDistribution:
    values = np.asarray(lengths, dtype=float)
    cumulative = tuple(float((values <= edge).mean()) for edge in _EDGES_TOKENS)
    return LengthDistribution(float(values.mean()), float((values**2).mean()), _EDGES_TOKENS, cumulative)
