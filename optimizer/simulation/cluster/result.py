"""What a simulated run left behind: how every request ended, what ran when, what it cost, what was decided. Data only.

R requests in order of arrival, S steps of a series.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from itertools import accumulate

from optimizer.domain import LatencyQuantity, ModelKey, VariantKey
from optimizer.simulation.cluster.scenario import Scenario
from optimizer.simulation.ticks import NS_PER_S, to_s


class Ending(IntEnum):
    """How a request ended; each ends exactly once."""

    OPEN = 0  # not yet; none is at the end of a run
    FINISHED = 1
    REJECTED = 2  # the queue of its engine was full
    DROPPED = 3  # its replica was gone before it had finished
    UNSERVED = 4  # no replica was ready in time
    TOO_LONG = 5  # no engine of its LLM can ever hold it


@dataclass(frozen=True, slots=True, eq=False)
class RequestColumns:
    """The end of every request: R entries each, or none where they were not kept.

    Attributes
    ----------
    ending
        As in `Ending`.
    ttft_s, itl_s, ttlt_s
        Its latencies, counted from its arrival at the router [s]; infinite unless it finished; `itl_s` is 0 for one
        token.
    """

    ending: bytearray
    ttft_s: array[float]
    itl_s: array[float]
    ttlt_s: array[float]


LATENCY_EDGES_S = tuple(mantissa * 10.0**power / 10_000.0 for power in range(7) for mantissa in range(10, 100))
"""Upper edges of the buckets of latencies that are not kept one by one: steps of a tenth to a hundredth of them [s]."""


class LatencyCounts:
    """Latencies of requests by bucket.

    Attributes
    ----------
    counts
        Requests per bucket of `LATENCY_EDGES_S`, the last above all edges and those that did not finish.
    """

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCY_EDGES_S) + 1)

    def observe(self, latency_s: float) -> None:
        """Count one, infinite where there is none."""
        self.counts[bisect_left(LATENCY_EDGES_S, latency_s)] += 1

    def find(self, rank: int) -> float:
        """Return the upper edge of the bucket in which the request of that `rank` >= 1 lies [s]."""
        for edge_s, seen in zip((*LATENCY_EDGES_S, math.inf), accumulate(self.counts), strict=True):
            if seen >= rank:
                return edge_s
        return math.inf


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """The requests of one service class of one LLM.

    Attributes
    ----------
    model, service_class
        Whose.
    requests, finished
        All of them, and those that finished.
    met
        Those that kept each promise, by quantity; one that did not finish kept none.
    met_all
        Those that kept every promise at once.
    """

    model: ModelKey
    service_class: str
    requests: int
    finished: int
    met: Mapping[LatencyQuantity, int]
    met_all: int

    @property
    def attainment_ratio(self) -> float:
        """Share that kept every promise at once; 1 without requests [0-1]."""
        return self.met_all / self.requests if self.requests else 1.0

    def compute_attainment_ratio(self, quantity: LatencyQuantity) -> float:
        """Return the share that kept the promise about `quantity`, 1 where there is none [0-1]."""
        return self.met[quantity] / self.requests if self.requests and quantity in self.met else 1.0


class StepSeries:
    """A count that is constant between its steps.

    Attributes
    ----------
    time_ns, value
        S steps: from `time_ns` on it is `value`; times rise, equal neighbours are merged.
    """

    __slots__ = ("time_ns", "value")

    def __init__(self) -> None:
        self.time_ns: array[int] = array("q")
        self.value: array[int] = array("q")

    def append(self, time_ns: int, value: int) -> None:
        """Note that it is `value` from `time_ns` on, which is not before the last step [ns]."""
        if self.time_ns and self.time_ns[-1] == time_ns:
            self.value[-1] = value
            if len(self.value) > 1 and self.value[-2] == value:
                self.time_ns.pop()
                self.value.pop()
        elif not self.value or self.value[-1] != value:
            self.time_ns.append(time_ns)
            self.value.append(value)

    def integrate(self, end_ns: int) -> int:
        """Return the sum of value times duration until `end_ns` [ns]."""
        return sum(value * (stop - start) for start, stop, value in self.iterate(end_ns))

    def integrate_bins(self, bin_ns: int, end_ns: int) -> list[int]:
        """Return the sum of value times duration of every bin of `bin_ns` until `end_ns` [ns]."""
        sums = [0] * -(-end_ns // bin_ns)
        for start, stop, value in self.iterate(end_ns):
            for index in range(start // bin_ns, -(-stop // bin_ns)):
                until_ns = min(stop, (index + 1) * bin_ns)
                sums[index] += value * (until_ns - max(start, index * bin_ns))
        return sums

    def iterate(self, end_ns: int) -> Iterator[tuple[int, int, int]]:
        """Yield (start, end, value) of every stretch until `end_ns` [ns]."""
        for index, start in enumerate(self.time_ns):
            if start >= end_ns:
                return
            stop = self.time_ns[index + 1] if index + 1 < len(self.time_ns) else end_ns
            yield start, min(stop, end_ns), self.value[index]

    def get(self, time_ns: int) -> int:
        """Return the count at `time_ns` [ns], 0 before the first step."""
        step = bisect_right(self.time_ns, time_ns) - 1
        return self.value[step] if step >= 0 else 0


@dataclass(frozen=True, slots=True, eq=False)
class ReplicaSeries:
    """Replicas of one variant over time, by what they do.

    Attributes
    ----------
    requested
        As ``scale.spec`` says.
    pending, starting, ready, draining
        Without devices, on their way, serving, finishing what they have.
    """

    requested: StepSeries
    pending: StepSeries
    starting: StepSeries
    ready: StepSeries
    draining: StepSeries

    @classmethod
    def empty(cls) -> ReplicaSeries:
        """Return series without steps."""
        return cls(*(StepSeries() for _ in fields(cls)))


@dataclass(frozen=True, slots=True, eq=False)
class VariantFigures:
    """One variant over the run.

    Attributes
    ----------
    replicas
        Over time.
    cost_per_hour
        Price of one replica [currency/h].
    billed_ns
        Time of all replicas from having their devices to being deleted, or to the horizon [ns].
    created, failed_starts
        Replicas that were made, and attempts to start that crashed.
    """

    replicas: ReplicaSeries
    cost_per_hour: float
    billed_ns: int
    created: int
    failed_starts: int

    @property
    def cost(self) -> float:
        """What it cost [currency]."""
        return self.billed_ns / (3600 * NS_PER_S) * self.cost_per_hour


@dataclass(frozen=True, slots=True)
class DecisionChange:
    """At `time_s` [s] the decider asked for `replicas` of `key`; before it was another number, or none."""

    time_s: float
    key: VariantKey
    replicas: int


@dataclass(frozen=True, slots=True, eq=False)
class SimulationResult:
    """One run.

    Attributes
    ----------
    scenario, seed
        Of what.
    columns
        The end of every request.
    histograms
        Latencies of all requests by quantity, where those of each were not kept; else {}.
    endings
        How many ended in which way.
    classes
        By LLM and service class, in the order of the scenario.
    variants
        By variant.
    decisions
        What the decider asked for, changes only.
    steps
        How often it was asked.
    pages, lost_pages
        Pages that were read, and that could not be had.
    """

    scenario: Scenario
    seed: int
    columns: RequestColumns
    histograms: Mapping[LatencyQuantity, LatencyCounts]
    endings: Mapping[Ending, int]
    classes: tuple[ClassFigures, ...]
    variants: Mapping[VariantKey, VariantFigures]
    decisions: tuple[DecisionChange, ...]
    steps: int
    pages: int = 0
    lost_pages: int = 0

    @property
    def cost(self) -> float:
        """What all replicas cost [currency]."""
        return math.fsum(figures.cost for figures in self.variants.values())

    @property
    def requests(self) -> int:
        """R."""
        return sum(self.endings.values())

    @property
    def failed(self) -> int:
        """Requests that did not finish."""
        return self.requests - self.endings.get(Ending.FINISHED, 0)

    @property
    def attainment_ratio(self) -> float:
        """Share of all requests that kept every promise of their class; 1 without requests [0-1]."""
        return sum(figures.met_all for figures in self.classes) / self.requests if self.requests else 1.0

    def to_bytes(self) -> bytes:
        """Return everything that was found, in one canonical form."""
        parts = [str(self.seed), str(sorted((int(key), count) for key, count in self.endings.items()))]
        for figures in self.classes:
            met = sorted((quantity.value, count) for quantity, count in figures.met.items())
            parts.append(f"{figures.model} {figures.service_class} {figures.finished} {met} {figures.met_all}")
        for key, found in self.variants.items():
            parts.append(f"{key} {found.billed_ns} {found.cost!r} {found.created} {found.failed_starts}")
            for entry in fields(found.replicas):
                series = getattr(found.replicas, entry.name)
                parts.append(f"{entry.name} {list(zip(series.time_ns, series.value, strict=True))}")
        parts += [f"{change.time_s!r} {change.key} {change.replicas}" for change in self.decisions]
        parts += [f"{quantity} {one.counts}" for quantity, one in self.histograms.items()]
        parts.append(f"{self.steps} {self.pages} {self.lost_pages}")
        latencies = (self.columns.ttft_s, self.columns.itl_s, self.columns.ttlt_s)
        columns = (bytes(self.columns.ending), *(column.tobytes() for column in latencies))
        return b"\x00".join(("\n".join(parts).encode(), *columns))

    def to_digest(self) -> str:
        """Return the SHA-256 of `to_bytes`: equal for equal runs."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def list_replica_steps(self, key: VariantKey) -> list[tuple[float, int]]:
        """Return (time [s], requested replicas) of `key` at every change."""
        series = self.variants[key].replicas.requested
        return [(to_s(time_ns), value) for time_ns, value in zip(series.time_ns, series.value, strict=True)]
