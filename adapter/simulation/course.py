"""The course of a run in B bins of equal length: demand, replicas by state, attainment, cost. It simulates nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

from adapter.simulation.figures import NS_PER_S
from optimizer.simulation.cluster import SimulationResult, StepSeries, compute_attainment_by_time

MOST_BINS = 200
_LENGTHS_S = (10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)


@dataclass(frozen=True, slots=True)
class Course:
    """One run over time; every column has B entries, the last bin may be shorter.

    Attributes
    ----------
    bin_s
        Length of a bin [s].
    demand_per_s
        Requests that arrived [1/s].
    ready, starting, pending, draining
        Replicas by state, means.
    attained
        Share of the requests that arrived in the bin and kept every promise [0-1]; None where none arrived.
    cost
        Until the end of the bin [currency].
    """

    bin_s: float
    demand_per_s: tuple[float, ...]
    ready: tuple[float, ...]
    starting: tuple[float, ...]
    pending: tuple[float, ...]
    draining: tuple[float, ...]
    attained: tuple[float | None, ...]
    cost: tuple[float, ...]

    @property
    def replicas(self) -> tuple[float, ...]:
        """All replicas that are not deleted, means."""
        states = (self.ready, self.starting, self.pending, self.draining)
        return tuple(math.fsum(parts) for parts in zip(*states, strict=True))


def compute_course(result: SimulationResult) -> Course:
    """Return the course of `result`."""
    horizon_s = result.scenario.horizon_s
    bin_s = next((one for one in _LENGTHS_S if horizon_s / one <= MOST_BINS), math.ceil(horizon_s / MOST_BINS))
    bin_ns, end_ns = round(bin_s * NS_PER_S), round(horizon_s * NS_PER_S)
    lengths_s = [(min(start + bin_ns, end_ns) - start) / NS_PER_S for start in range(0, end_ns, bin_ns)]
    arrived = [0] * len(lengths_s)
    for index in (result.scenario.requests.arrival_ns // bin_ns).tolist():
        arrived[min(index, len(arrived) - 1)] += 1
    kept = compute_attainment_by_time(result, bin_s).tolist()
    return Course(
        bin_s=float(bin_s),
        demand_per_s=tuple(count / length for count, length in zip(arrived, lengths_s, strict=True)),
        ready=_average(result, "ready", bin_ns, lengths_s),
        starting=_average(result, "starting", bin_ns, lengths_s),
        pending=_average(result, "pending", bin_ns, lengths_s),
        draining=_average(result, "draining", bin_ns, lengths_s),
        attained=tuple(share if count else None for share, count in zip(kept, arrived, strict=True)),
        cost=_add_up_cost(result, bin_ns, len(lengths_s)),
    )


def _average(result: SimulationResult, state: str, bin_ns: int, lengths_s: list[float]) -> tuple[float, ...]:
    """Return the mean count of replicas in `state` of all variants, by bin."""
    totals = [0] * len(lengths_s)
    for one in result.variants.values():
        series: StepSeries = getattr(one.replicas, state)
        sums = series.integrate_bins(bin_ns, round(result.scenario.horizon_s * NS_PER_S))
        totals = [total + part for total, part in zip(totals, sums, strict=True)]
    return tuple(total / NS_PER_S / length_s for total, length_s in zip(totals, lengths_s, strict=True))


def _add_up_cost(result: SimulationResult, bin_ns: int, bins: int) -> tuple[float, ...]:
    """Return the bill at the end of every bin: of replicas that have their devices."""
    spent = [0.0] * bins
    for one in result.variants.values():
        lives = one.replicas
        for series in (lives.starting, lives.ready, lives.draining):
            sums = series.integrate_bins(bin_ns, round(result.scenario.horizon_s * NS_PER_S))
            spent = [
                before + billed_ns / (3600 * NS_PER_S) * one.cost_per_hour
                for before, billed_ns in zip(spent, sums, strict=True)
            ]
    return tuple(accumulate(spent))
