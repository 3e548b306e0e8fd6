"""AIBrix: profiles, the capacity of a replica by cell of output and input length, and how a benchmark becomes one.

Lookup: per dimension the nearest tick in log2, halfway up, clamped to the border: longer requests are priced as the
longest that was measured. Of a cell the highest rate that meets every bound and is really served (to 90 %) counts, else
the lowest that meets them; its measured throughput is stored.

The policy and the peer in the simulator look profiles up; both are given them, measured with the peer's own tools, or
model them: how a benchmark becomes a cell (`measure_cell`) stands here for conformance alone.

Source: AIBrix e3e10f9e (head, 2026-08-22), profile generator and lookup.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise

from optimizer.errors import InvalidInput

SERVED_RATIO = 0.9
"""Share of the offered rate that must have been served for a rate to count as not saturated."""
_METRICS = ("e2e", "ttft", "tpot")


@dataclass(frozen=True, slots=True)
class AibrixProfile:
    """Capacity of one replica of one Deployment.

    Attributes
    ----------
    gpu
        Its name.
    cost
        Price of a replica, in any unit per time.
    tputs_per_s
        Requests per second within the SLO; a row per output tick, a column per input tick; 0 is unattainable.
    output_ticks_tokens, input_ticks_tokens
        Ticks of the grid, ascending [tokens].
    e2e_s, ttft_s
        Mean latencies at that rate, where known [s].
    """

    gpu: str
    cost: float
    tputs_per_s: tuple[tuple[float, ...], ...]
    output_ticks_tokens: tuple[float, ...]
    input_ticks_tokens: tuple[float, ...]
    e2e_s: tuple[tuple[float, ...], ...] = ()
    ttft_s: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        """Check the shape.

        Raises
        ------
        InvalidInput
            When ticks do not ascend, the table does not fit them, or a capacity is negative or not finite.
        """
        for name, ticks in (("output", self.output_ticks_tokens), ("input", self.input_ticks_tokens)):
            if not ticks or ticks[0] <= 0.0 or any(b <= a for a, b in pairwise(ticks)):
                raise InvalidInput(f"profile.indexes ({name})", "ascending and > 0 [tokens]", ticks)
        shape = (len(self.output_ticks_tokens), len(self.input_ticks_tokens))
        if len(self.tputs_per_s) != shape[0] or any(len(row) != shape[1] for row in self.tputs_per_s):
            raise InvalidInput("profile.tputs", f"{shape[0]} rows of {shape[1]} columns", self.tputs_per_s)
        if not all(0.0 <= value < math.inf for row in self.tputs_per_s for value in row):
            raise InvalidInput("profile.tputs", ">= 0 and finite [1/s]", self.tputs_per_s)
        if not 0.0 < self.cost < math.inf:
            raise InvalidInput("profile.cost", "> 0 and finite", self.cost)

    def find_cell(self, output_tokens: float, input_tokens: float) -> tuple[int, int]:
        """Return row and column of the lengths [tokens]."""
        return (
            find_tick(self.output_ticks_tokens, output_tokens),
            find_tick(self.input_ticks_tokens, input_tokens),
        )

    def get_capacity_per_s(self, row: int, column: int) -> float:
        """Return what one replica carries of a cell [1/s]."""
        return self.tputs_per_s[row][column]


def find_tick(ticks_tokens: Sequence[float], tokens: float) -> int:
    """Return the index of the tick nearest to `tokens` in log2, halfway up, clamped to the border."""
    wanted = math.log2(max(tokens, 1.0))
    best = 0
    for index, tick_tokens in enumerate(ticks_tokens):
        if abs(math.log2(tick_tokens) - wanted) <= abs(math.log2(ticks_tokens[best]) - wanted):
            best = index
    return best


@dataclass(frozen=True, slots=True)
class BenchmarkPoint:
    """What was measured at one rate.

    Attributes
    ----------
    request_rate_per_s, throughput_per_s
        Offered and served [1/s].
    latencies_s
        By metric (``e2e``, ``ttft``, ``tpot``) and percentile, 0 for the mean [s]; what was not measured is not there.
    """

    request_rate_per_s: float
    throughput_per_s: float
    latencies_s: Mapping[str, Mapping[int, float]]


@dataclass(frozen=True, slots=True)
class ProfileSlo:
    """Bounds that a rate must meet; None for no bound.

    Attributes
    ----------
    percentile
        Of the latencies: 0 (the mean), 50, 90 or 99.
    throughput_per_s, tokens_per_s
        Least requests [1/s] and generated tokens per second served; reaching them is enough.
    e2e_s, ttft_s, tpot_s
        Latencies that must be stayed below [s].
    tpat_s
        The same of the end-to-end time over all tokens [s].
    """

    percentile: int = 0
    throughput_per_s: float | None = None
    tokens_per_s: float | None = None
    e2e_s: float | None = None
    ttft_s: float | None = None
    tpat_s: float | None = None
    tpot_s: float | None = None

    def to_document(self) -> dict[str, float]:
        """Return the bounds by their names in a profile."""
        names = {"throughput_per_s": "tput", "tokens_per_s": "tt"}
        found = {"percentile": float(self.percentile)}
        for entry in fields(self):
            bound = getattr(self, entry.name)
            if entry.name != "percentile" and bound is not None:
                found[names.get(entry.name, entry.name.removesuffix("_s"))] = bound
        return found


@dataclass(frozen=True, slots=True)
class ProfileCell:
    """What a profile stores of one cell: capacity [1/s] and mean latencies at it, by metric [s]."""

    capacity_per_s: float
    means_s: Mapping[str, float] = field(default_factory=dict)


def measure_cell(
    points: Sequence[BenchmarkPoint], slo: ProfileSlo, input_tokens: float, output_tokens: float
) -> ProfileCell:
    """Return the cell that at least one of `points`, measured with these lengths [tokens], makes under `slo`.

    Where nothing meets the bounds, or a metric was not measured at all, the capacity is 0 and the latencies are those
    of the first point.
    """
    tokens = (input_tokens, output_tokens)
    complete = [point for point in points if all(name in point.latencies_s for name in _METRICS)]
    passing = [point for point in complete if _meets(point, slo, *tokens)]
    if not passing:
        return ProfileCell(0.0, _list_means_s(points[0]))
    served = [point for point in passing if point.throughput_per_s >= SERVED_RATIO * point.request_rate_per_s]
    if served:
        chosen = max(served, key=lambda point: point.request_rate_per_s)
    else:
        chosen = min(passing, key=lambda point: point.request_rate_per_s)
    return ProfileCell(chosen.throughput_per_s, _list_means_s(chosen))


def _list_means_s(point: BenchmarkPoint) -> dict[str, float]:
    return {name: by_percentile[0] for name, by_percentile in point.latencies_s.items()}


def _meets(point: BenchmarkPoint, slo: ProfileSlo, input_tokens: float, output_tokens: float) -> bool:
    if slo.throughput_per_s is not None and point.throughput_per_s < slo.throughput_per_s:
        return False
    if slo.tokens_per_s is not None and point.throughput_per_s * output_tokens < slo.tokens_per_s:
        return False
    seen_s = {name: point.latencies_s[name][slo.percentile] for name in _METRICS}
    seen_s["tpat"] = seen_s["e2e"] / (input_tokens + output_tokens)
    bounds_s = {"e2e": slo.e2e_s, "ttft": slo.ttft_s, "tpot": slo.tpot_s, "tpat": slo.tpat_s}
    return all(bound_s is None or seen_s[name] < bound_s for name, bound_s in bounds_s.items())
