"""A DemandWindow: what was asked of an LLM between two moments, by one source, or why that is not known. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from optimizer.domain.reading import Histogram, HistogramReading, PodKey
from optimizer.domain.reason import Reason


class DemandSource(StrEnum):
    """By which count the arrivals of a window were found, from the most to the least trusted."""

    GATEWAY = "gateway"
    HTTP_ARRIVALS = "http_arrivals"
    HTTP_REQUESTS = "http_requests"  # C: ended requests and the change of those in flight
    FIRST_TOKENS = "first_tokens"  # B: first tokens, change of waiting, rejections
    FINISHED = "finished"  # A: finished, change of those in flight, rejections
    NONE = "none"


@dataclass(frozen=True, slots=True)
class LengthSums:
    """Sums over requests of a window, so that windows add up.

    Attributes
    ----------
    requests
        Requests whose lengths were seen.
    tokens
        Sum of their lengths.
    squares_tokens2
        Sum of their squared lengths [tokens^2]; from the histogram where the page has no exact one.
    edges_tokens, counts
        B ascending upper edges and the requests in each bucket (not cumulative), B + 1 entries, the last above all
        edges; both () when no shape is known.
    """

    requests: float
    tokens: float
    squares_tokens2: float
    edges_tokens: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class DemandWindow:
    """What one source saw between `start_s` and `end_s`.

    Attributes
    ----------
    start_s, end_s
        The window [s]; `end_s` is the time of the newer page.
    source
        By which count; ``none`` together with a `reason`.
    pod
        The pod, None for sources that see the LLM as a whole.
    arrivals
        Requests offered, >= 0; None when not known.
    overcounted_arrivals
        Arrivals that windows before this one counted too many, which this one found out, >= 0; whoever adds windows up
        takes them off.
    completions
        Requests (generated sequences) finished; None when not known.
    waiting_requests
        Held or queued at `end_s`; None when not known.
    input_lengths, output_lengths
        Token lengths seen; None when not known.
    prompt_tokens, cached_tokens, generated_tokens
        Tokens moved; None when not known.
    iterations
        Engine steps that returned output; None when not known.
    latencies
        Histograms of the window alone (differences), for TTFT, ITL, TTLT, queue time.
    service_class
        The class these requests belong to, "" when not told apart.
    is_changed
        Whether the page that closed it differs from the one before, None when nobody compared. One that does not may be
        that of a server without work, or stand still.
    reason
        Why there is no `arrivals`, None when there is.
    """

    start_s: float
    end_s: float
    source: DemandSource
    pod: PodKey | None = None
    arrivals: float | None = None
    overcounted_arrivals: float = 0.0
    completions: float | None = None
    waiting_requests: float | None = None
    input_lengths: LengthSums | None = None
    output_lengths: LengthSums | None = None
    prompt_tokens: float | None = None
    cached_tokens: float | None = None
    generated_tokens: float | None = None
    iterations: float | None = None
    latencies: Mapping[Histogram, HistogramReading] = field(default_factory=dict)
    service_class: str = ""
    is_changed: bool | None = None
    reason: Reason | None = None

    @property
    def duration_s(self) -> float:
        """Length of the window [s]."""
        return self.end_s - self.start_s
