"""Reads what the adapter publishes at `/v1/decisions` into estimates that can be compared. It judges nothing.

Per model, `observed` holds what the newest pages showed, each figure with the stretch it speaks for [Unix s]:

    {"arrivals": {"start_s", "end_s", "count", "overcounted"},
     "input_tokens": {"start_s", "end_s", "requests", "mean_tokens"}, "output_tokens": the same,
     "latencies": {"ttft" | "itl" | "ttlt": {"start_s", "end_s", "p50_s", "p90_s", ...}}}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.engine.compare import LengthEstimate, QuantileEstimate, Span
from tests.engine.compare_rates import RateEstimate
from tests.engine.watch import Answer

LEVELS = {"p50_s": 0.5, "p90_s": 0.9}

Estimate = TypeVar("Estimate", RateEstimate, LengthEstimate, QuantileEstimate)


@dataclass(frozen=True, slots=True)
class AdapterView:
    """What the adapter said in the course of a trial; times count from its beginning [s].

    Attributes
    ----------
    answers
        How many answers held a decision.
    replicas
        Published replicas with the time of asking.
    rates, input_lengths, output_lengths, quantiles
        Each estimate once, however often it was read.
    """

    answers: int
    replicas: tuple[tuple[float, int], ...]
    rates: tuple[RateEstimate, ...]
    input_lengths: tuple[LengthEstimate, ...]
    output_lengths: tuple[LengthEstimate, ...]
    quantiles: tuple[QuantileEstimate, ...]


def read_decisions(answers: Iterable[Answer], origin_unix_s: float) -> AdapterView:
    """Return the estimates in `answers`, of the only model there is; a trial begins at `origin_unix_s` [Unix s]."""
    count, replicas, seen = 0, [], []
    for answer in answers:
        models = json.loads(answer.text)["models"] if answer.status == "200" else []
        if models:
            count += 1
            replicas.append((answer.time_s, sum(one["planned_replicas"] for one in models[0]["variants"])))
            seen.append(models[0].get("observed") or {})

    def collect(key: str, to_estimate: Callable[[Mapping[str, Any], float, float], Estimate]) -> tuple[Estimate, ...]:
        entries = (one.get(key) for one in seen)
        return _unique(
            to_estimate(entry, entry["start_s"] - origin_unix_s, entry["end_s"] - origin_unix_s)
            for entry in entries
            if entry
        )

    latencies = [
        QuantileEstimate(
            entry["start_s"] - origin_unix_s, entry["end_s"] - origin_unix_s, latency, level, entry.get(name)
        )
        for one in seen
        for latency, entry in (one.get("latencies") or {}).items()
        for name, level in LEVELS.items()
    ]
    return AdapterView(
        count,
        tuple(replicas),
        collect("arrivals", _to_rate),
        collect("input_tokens", _to_length),
        collect("output_tokens", _to_length),
        _unique(latencies),
    )


def select_disjoint(estimates: Sequence[Estimate], within: Span) -> list[Estimate]:
    """Return estimates inside `within` that do not overlap, the newest first chosen, in order of time."""
    chosen: list[Estimate] = []
    free_until_s = within.end_s
    for one in sorted(estimates, key=lambda entry: -entry.end_s):
        if one.end_s <= free_until_s + 1e-6 and one.start_s >= within.start_s - 1e-6:
            chosen.append(one)
            free_until_s = one.start_s
    return chosen[::-1]


def select_quantile(
    estimates: Sequence[QuantileEstimate], latency: str, level: float, within: Span
) -> QuantileEstimate | None:
    """Return the newest estimate inside `within`; None when there is none."""
    inside = [
        one
        for one in estimates
        if (one.latency, one.level) == (latency, level) and within.start_s <= one.start_s and one.end_s <= within.end_s
    ]
    return max(inside, key=lambda one: one.end_s, default=None)


def _to_rate(entry: Mapping[str, Any], start_s: float, end_s: float) -> RateEstimate:
    return RateEstimate(start_s, end_s, entry["count"], entry.get("overcounted") or 0.0)


def _to_length(entry: Mapping[str, Any], start_s: float, end_s: float) -> LengthEstimate:
    return LengthEstimate(start_s, end_s, entry["requests"], entry["requests"] * (entry["mean_tokens"] or 0.0))


def _unique(estimates: Iterable[Estimate]) -> tuple[Estimate, ...]:
    return tuple(dict.fromkeys(estimates))
