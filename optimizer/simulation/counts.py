"""What a token engine counts: counters and histograms that move when a real engine's do. It decides nothing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate

from optimizer.domain import HistogramReading
from optimizer.simulation.request import EndedRequest
from optimizer.simulation.steps import Steps
from optimizer.simulation.ticks import TICKS_PER_S, to_ticks

# Upper edges of vLLM 0.32 [s]; engines that bucket otherwise bring their own.
TTFT_EDGES_S = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
ITL_EDGES_S = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 80.0),
)
REQUEST_EDGES_S = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0),
    *(960.0, 1920.0, 7680.0),
)
STEP_EDGES_TOKENS = (1.0, *(float(2**power) for power in range(3, 15)))
PREEMPTION_EDGES = (1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0)
SEQUENCE_EDGES = (1.0, 2.0, 5.0, 10.0, 20.0)


def compute_length_edges_tokens(max_tokens: int) -> tuple[float, ...]:
    """Return the series 1, 2, 5, 10, 20, 50, ... up to and with `max_tokens` [tokens]."""
    edges = (float(step * 10**power) for power in range(len(str(max_tokens))) for step in (1, 2, 5))
    return tuple(edge for edge in edges if edge <= max_tokens)


class HistogramCounts:
    """A histogram that grows.

    Parameters
    ----------
    edges
        B ascending upper edges; a value equal to an edge lies below it.

    Attributes
    ----------
    counts
        Observations per bucket, B + 1 entries, the last above all edges.
    total
        Sum of the observed values.
    """

    __slots__ = ("counts", "edges", "total")

    def __init__(self, edges: Iterable[float]) -> None:
        self.edges = tuple(edges)
        self.counts = [0] * (len(self.edges) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count `value`, `times` times."""
        self.counts[bisect_left(self.edges, value)] += times
        self.total += value * times

    @property
    def count(self) -> int:
        """All observations."""
        return sum(self.counts)

    def accumulate(self) -> list[int]:
        """Return the observations at or below each edge, and all of them last (B + 1 entries)."""
        return list(accumulate(self.counts))

    def to_reading(self) -> HistogramReading:
        """Return a frozen copy."""
        *cumulative, count = self.accumulate()
        return HistogramReading(self.edges, tuple(map(float, cumulative)), float(count), self.total)


class StepCounts(HistogramCounts):
    """A histogram of times of iterations, exact: it does not matter in what portions they are counted.

    Parameters
    ----------
    edges_s
        As `edges` [s].
    """

    __slots__ = ("_edges_ticks", "_total_ticks")

    def __init__(self, edges_s: Iterable[float]) -> None:
        super().__init__(edges_s)
        self._edges_ticks = [to_ticks(edge_s) for edge_s in self.edges]
        self._total_ticks = 0

    def observe_steps(self, steps: Steps, count: int, times: int = 1) -> None:
        """Count the first `count` of `steps`, each `times` times."""
        edges, first_ticks = self._edges_ticks, steps.first_ticks
        bucket, seen = bisect_left(edges, first_ticks), 0
        if count > 1 and steps.growth_ticks:
            while bucket < len(edges) and (below := steps.count_up_to(edges[bucket])) < count:
                self.counts[bucket] += (below - seen) * times
                bucket, seen = bucket + 1, below
        self.counts[bucket] += (count - seen) * times
        self._total_ticks += steps.sum_ticks(count) * times
        self.total = self._total_ticks / TICKS_PER_S

    def observe_ticks(self, value_ticks: int) -> None:
        """Count one time [ticks]."""
        self.observe_steps(Steps(value_ticks, 0, 1), 1)


@dataclass(frozen=True, slots=True)
class HistogramEdges:
    """Upper edges of the histograms that engines bucket differently."""

    ttft_s: tuple[float, ...] = TTFT_EDGES_S
    itl_s: tuple[float, ...] = ITL_EDGES_S
    ttlt_s: tuple[float, ...] = REQUEST_EDGES_S
    queue_s: tuple[float, ...] = REQUEST_EDGES_S
    lengths_tokens: tuple[float, ...] = compute_length_edges_tokens(131072)


@dataclass(slots=True)
class EngineCounters:
    """Cumulative counts of one engine since it started.

    Attributes
    ----------
    prompt_tokens, cached_tokens
        Prompt tokens, and those of them cached or transferred, of each request at its *first token* [tokens].
    queried_tokens, hit_tokens
        Prompt tokens, and those found in the prefix cache, at the first admission into the batch [tokens].
    prefilled_tokens, prefill_hit_tokens
        Prompt tokens computed, and skipped as they were there, as the work is done, recomputation included [tokens].
    generated_tokens, decoded_tokens
        Counted each iteration: all, and those that did not come straight from a prefill [tokens].
    iterations, prefill_iterations
        All iterations, and those that computed prompt tokens.
    accepted, rejected, left, preemptions
        Requests taken in, refused, whose client went away; and how often one lost its cache blocks.
    finished_by_reason
        Sequences finished; a client that leaves moves nothing here.
    ttft, itl
        At the first token; at each later one [s].
    ttlt, queue_time, prefill_time, decode_time, inference_time, mean_itl
        At finish [s]; a request of one token puts 0 into `mean_itl`.
    input_lengths, output_lengths, bounds, computed_lengths, request_preemptions, sequences
        At finish: prompt, output, its bound, prompt tokens really computed [tokens]; preemptions; sequences asked for.
    iteration_tokens
        Tokens of each iteration that returned output; a prompt counts whole, at its first token [tokens].
    """

    edges: HistogramEdges = field(default_factory=HistogramEdges)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    queried_tokens: int = 0
    hit_tokens: int = 0
    prefilled_tokens: int = 0
    prefill_hit_tokens: int = 0
    generated_tokens: int = 0
    decoded_tokens: int = 0
    iterations: int = 0
    prefill_iterations: int = 0
    accepted: int = 0
    rejected: int = 0
    left: int = 0
    preemptions: int = 0
    finished_by_reason: dict[str, int] = field(default_factory=lambda: {"stop": 0, "length": 0})
    ttft: HistogramCounts = field(init=False)
    itl: StepCounts = field(init=False)
    ttlt: HistogramCounts = field(init=False)
    queue_time: HistogramCounts = field(init=False)
    prefill_time: HistogramCounts = field(init=False)
    decode_time: HistogramCounts = field(init=False)
    inference_time: HistogramCounts = field(init=False)
    mean_itl: HistogramCounts = field(init=False)
    input_lengths: HistogramCounts = field(init=False)
    output_lengths: HistogramCounts = field(init=False)
    bounds: HistogramCounts = field(init=False)
    computed_lengths: HistogramCounts = field(init=False)
    request_preemptions: HistogramCounts = field(init=False)
    sequences: HistogramCounts = field(init=False)
    iteration_tokens: HistogramCounts = field(init=False)

    def __post_init__(self) -> None:
        """Make the histograms."""
        edges = self.edges
        self.itl = StepCounts(edges.itl_s)
        self.ttft, self.mean_itl = HistogramCounts(edges.ttft_s), HistogramCounts(edges.itl_s)
        self.ttlt, self.queue_time = HistogramCounts(edges.ttlt_s), HistogramCounts(edges.queue_s)
        self.prefill_time, self.decode_time, self.inference_time = (HistogramCounts(edges.ttlt_s) for _ in range(3))
        self.input_lengths, self.output_lengths, self.bounds, self.computed_lengths = (
            HistogramCounts(edges.lengths_tokens) for _ in range(4)
        )
        self.request_preemptions = HistogramCounts(PREEMPTION_EDGES)
        self.sequences = HistogramCounts(SEQUENCE_EDGES)
        self.iteration_tokens = HistogramCounts(STEP_EDGES_TOKENS)

    @property
    def finished(self) -> int:
        """Sequences finished, all reasons."""
        return sum(self.finished_by_reason.values())

    def count_first_token(self, ttft_s: float, input_tokens: int, cached_tokens: int) -> None:
        """Count a request that reached its first token."""
        self.ttft.observe(ttft_s)
        self.prompt_tokens += input_tokens
        self.cached_tokens += cached_tokens

    def count_finished(self, ended: EndedRequest, cached_tokens: int) -> None:
        """Count a request that finished; `cached_tokens` of its prompt were not computed."""
        request, end_s = ended.request, ended.end_s
        assert ended.scheduled_s is not None
        assert ended.first_token_s is not None
        bound = request.max_tokens or request.output_tokens
        self.finished_by_reason["length" if ended.generated_tokens >= bound else "stop"] += 1
        arrival_s, scheduled_s, first_token_s = request.arrival_s, ended.scheduled_s, ended.first_token_s
        for histogram, value in (
            (self.ttlt, end_s - arrival_s),
            (self.queue_time, scheduled_s - arrival_s),
            (self.prefill_time, first_token_s - scheduled_s),
            (self.decode_time, end_s - first_token_s),
            (self.inference_time, end_s - scheduled_s),
            (self.mean_itl, ended.itl_s or 0.0),
            (self.input_lengths, request.input_tokens),
            (self.output_lengths, ended.generated_tokens),
            (self.bounds, bound),
            (self.computed_lengths, request.input_tokens - cached_tokens),
            (self.request_preemptions, ended.preemptions),
            (self.sequences, 1),
        ):  # as `observe` does, without twelve calls
            histogram.counts[bisect_left(histogram.edges, value)] += 1
            histogram.total += value
