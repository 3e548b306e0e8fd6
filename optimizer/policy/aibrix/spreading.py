"""Requests of a stretch of time as the points that AIBrix's optimizer clusters, out of a rate and two distributions.

Pages tell how long prompts and answers are, not which belong together: the two are taken as independent, and every
request counts as completed where it arrived. Points stand on every second place of the lattice of the peer's trace, a
fifth in log2: far below the radius of a cluster, and few.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from optimizer.domain import LengthDistribution, Workload
from optimizer.policy.aibrix.request_trace import PRECISION, TraceDocument, TraceRecord
from optimizer.queueing.lengths import make_length_grid

_COARSE = 2
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class LengthShares:
    """Share of the requests [0-1] by index of their length, tenths of log2 of tokens."""

    inputs: Mapping[int, float]
    outputs: Mapping[int, float]


def share_lengths(workload: Workload) -> LengthShares:
    """Return the shares of the lengths of `workload`."""
    return LengthShares(_share(workload.input_lengths), _share(workload.output_lengths))


def write_spread(shares: LengthShares, requests: float, interval_s: float) -> TraceDocument:
    """Return the document of `requests` that came over `interval_s` [s]."""
    records = tuple(
        TraceRecord(input_index / PRECISION, output_index / PRECISION, requests * input_share * output_share)
        for input_index, input_share in shares.inputs.items()
        for output_index, output_share in shares.outputs.items()
    )
    return TraceDocument(records if requests > 0.0 else (), requests, 0.0, interval_s)


def _share(lengths: LengthDistribution) -> dict[int, float]:
    grid = make_length_grid(lengths, 1.0)
    shares: dict[int, float] = {}
    for tokens, weight in zip(grid.points_tokens.tolist(), grid.weights.tolist(), strict=True):
        index = _COARSE * math.floor(PRECISION / _COARSE * math.log2(tokens) + 0.5)
        shares[index] = shares.get(index, 0.0) + weight
    return {index: round(share, _DIGITS) for index, share in shares.items()}
