"""What is asked of an LLM: arrival rate with the distribution of token lengths. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LengthDistribution:
    """Token lengths of requests: exact first moment, and a histogram for the shape.

    Attributes
    ----------
    mean_tokens
        Mean length.
    mean_square_tokens2
        Mean of the squared length [tokens^2].
    edges_tokens
        B ascending inner upper edges of the histogram; () when no shape is known.
    cumulative_ratio
        Share of requests at or below each edge, B entries; the rest lies above the last edge.
    """

    mean_tokens: float
    mean_square_tokens2: float
    edges_tokens: tuple[float, ...] = ()
    cumulative_ratio: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests offered to one LLM, or to one bucket or service class of it.

    Attributes
    ----------
    arrival_rate_per_s
        Requests offered [1/s].
    input_lengths, output_lengths
        Prompt and generated tokens per request.
    cached_ratio
        Share of prompt tokens found in the prefix cache [0-1].
    """

    arrival_rate_per_s: float
    input_lengths: LengthDistribution
    output_lengths: LengthDistribution
    cached_ratio: float = 0.0
