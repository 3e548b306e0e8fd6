"""How many sequences were offered between two readings: no engine of ours counts that, so it follows from conservation.

    HTTP_ARRIVALS  requests counted at arrival
    C              ended requests (2xx, 5xx)         + change of (running + waiting)
    B              first tokens                      + change of waiting             + rejected
    A              finished sequences                + change of (running + waiting) + rejected

The first that the pages allow is taken: B loses who leaves before the first token, A everybody who leaves. One request
may be several sequences (a list of prompts, or n > 1); requests are converted, since capacity is counted in sequences.
It does not judge whether two readings can be compared.

Source: derived above. Two experiments on vLLM 0.32.0 tell the three apart: 8 rejected and 10 that all leave give A 8,
B 12, C 18; 8 of which 6 leave give A 2, B 5, C 8.
"""

from __future__ import annotations

from collections.abc import Callable

from optimizer.demand.difference import Difference, sum_gauges
from optimizer.domain import Counter, DemandSource, Gauge, Histogram, PodReading, Reason, ReasonCode

SURPLUS_RATIO = 0.02
SURPLUS_REQUESTS = 8.0
"""Finished sequences beyond the answered requests by more than both together show that requests hold several sequences;
fewer may be answers that are still being sent."""

_IN_FLIGHT = (Gauge.RUNNING_REQUESTS, Gauge.WAITING_REQUESTS)
_PROGRESS = (
    Counter.FINISHED,
    Counter.PROMPT_TOKENS,
    Counter.COMPUTED_TOKENS,
    Counter.GENERATED_TOKENS,
    Counter.ITERATIONS,
)


def count_arrivals(step: Difference) -> tuple[DemandSource, float] | Reason:
    """Return by which count, and how many sequences were offered, or why that is not known.

    Fewer than 0 means that the readings before had counted some that were not there: gauges and counters of a page are
    not of exactly the same moment.
    """
    for source, count in _FORMULAS.items():
        arrivals = count(step)
        if arrivals is not None:
            # Arrivals that are counted directly hold whatever the engine does, as long as the page is alive.
            is_direct = source is DemandSource.HTTP_ARRIVALS and (arrivals > 0.0 or step.newer.is_changed is True)
            if not is_direct and is_frozen(step):
                stuck = sum_gauges(step.newer, *_IN_FLIGHT)
                message = f"{step.newer.pod.name}: {stuck:g} requests in flight, and no token, no step, no change"
                return Reason(ReasonCode.FROZEN, message)
            return source, arrivals
    message = f"{step.newer.pod.name}: two pages show too little to count arrivals; it takes first tokens and waiting"
    return Reason(ReasonCode.METRIC_MISSING, message)


def is_frozen(step: Difference) -> bool:
    """Return whether requests are in flight and nothing at all moves: a hung engine, or a page that is not alive."""
    if not (sum_gauges(step.older, *_IN_FLIGHT) and sum_gauges(step.newer, *_IN_FLIGHT)):
        return False
    moved = [step.get(counter) for counter in _PROGRESS]
    moved += [_count_observed(step, histogram) for histogram in (Histogram.TTFT, Histogram.ITL)]
    known = [value for value in moved if value is not None]
    is_changed = any(step.older.gauges.get(gauge) != step.newer.gauges.get(gauge) for gauge in _IN_FLIGHT)
    return bool(known) and not any(known) and not is_changed


def _count_at_arrival(step: Difference) -> float | None:
    arrivals = step.get(Counter.HTTP_ARRIVALS)
    return None if arrivals is None else arrivals * _count_ended(step)[1]


def _count_ended_requests(step: Difference) -> float | None:
    requests, change = step.get(Counter.HTTP_REQUESTS), step.get_gauges(*_IN_FLIGHT)
    if requests is None or change is None:
        return None
    ended, sequences_per_request = _count_ended(step)
    answered = step.get(Counter.HTTP_OK)
    failed = 0.0 if answered is None else requests - answered
    return (requests if answered is None else ended) + failed * sequences_per_request + change


def _count_first_tokens(step: Difference) -> float | None:
    first, change = _count_observed(step, Histogram.TTFT), step.get_gauges(Gauge.WAITING_REQUESTS)
    rejected = _count_rejected(step)
    return None if first is None or change is None or rejected is None else first + change + rejected


def _count_finished(step: Difference) -> float | None:
    finished, change = step.get(Counter.FINISHED), step.get_gauges(*_IN_FLIGHT)
    rejected = _count_rejected(step)
    return None if finished is None or change is None or rejected is None else finished + change + rejected


def _count_rejected(step: Difference) -> float | None:
    """Return the rejections; engines that count none admit everything."""
    if Counter.REJECTED not in step.newer.counters:
        return 0.0
    return step.get(Counter.REJECTED)


def _count_observed(step: Difference, histogram: Histogram) -> float | None:
    observed = step.get_histogram(histogram)
    return None if observed is None else observed.count


def _count_ended(step: Difference) -> tuple[float, float]:
    """Return the sequences of the requests that were answered, and the sequences of one request.

    n is counted when a request finishes and shows at once. Lists of prompts show only as finished sequences beyond the
    requests; the two are not counted at the same moment, so that is believed once it exceeds what timing explains.
    """
    answered, finished = step.get(Counter.HTTP_OK), step.get(Counter.FINISHED)
    if answered is None:
        return 0.0, 1.0
    ended = answered + _count_extra(step)
    if finished is not None and _has_surplus(step.newer):
        ended = max(ended, finished)
    return ended, ended / answered if answered > 0.0 else 1.0


def _count_extra(step: Difference) -> float:
    sequences = step.get_histogram(Histogram.SEQUENCES)
    return 0.0 if sequences is None else max(0.0, sequences.total - sequences.count)


def _has_surplus(reading: PodReading) -> bool:
    answered, finished = reading.counters.get(Counter.HTTP_OK, 0.0), reading.counters.get(Counter.FINISHED, 0.0)
    sequences = reading.histograms.get(Histogram.SEQUENCES)
    extra = 0.0 if sequences is None else sequences.total - sequences.count
    return finished - answered - extra > SURPLUS_REQUESTS + SURPLUS_RATIO * answered


_FORMULAS: dict[DemandSource, Callable[[Difference], float | None]] = {
    DemandSource.HTTP_ARRIVALS: _count_at_arrival,
    DemandSource.HTTP_REQUESTS: _count_ended_requests,
    DemandSource.FIRST_TOKENS: _count_first_tokens,
    DemandSource.FINISHED: _count_finished,
}
