"""What AIBrix's gateway would have traced of a stretch of time: whole requests, in the document that it writes.

Pages tell how lengths are shared, not the length of every request: requests are placed by a sequence that spreads
evenly over prompts and answers, taken as independent, and goes on where the stretch before it ended. It sees none.

Source
------
The sequence: M. Roberts (2018), additive recurrence with the plastic number; the document: see `write_document`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate

from optimizer.policy.aibrix import LengthShares, TraceDocument, read_document, write_document
from optimizer.policy.aibrix.request_trace import PRECISION

_STEPS = (0.7548776662466927, 0.5698402909980532)
"""The inverse of the plastic number, and its square."""


class TracingGateway:
    """Traces the requests of one LLM."""

    def __init__(self) -> None:
        self._traced = 0

    def trace(self, shares: LengthShares, completed: float, arrived: float) -> TraceDocument:
        """Return what is read of a stretch in which so many requests were completed, and so many arrived."""
        inputs, outputs = _Lengths(shares.inputs), _Lengths(shares.outputs)
        places = range(self._traced + 1, self._traced + 1 + round(completed))
        self._traced += len(places)
        lengths = [
            (inputs.find_tokens(_STEPS[0] * at % 1.0), outputs.find_tokens(_STEPS[1] * at % 1.0)) for at in places
        ]
        return read_document(write_document(lengths, round(arrived), 0, 0))


class _Lengths:
    """Lengths by the share of the requests that are no longer."""

    def __init__(self, shares: Mapping[int, float]) -> None:
        self._sums = list(accumulate(shares.values()))
        self._tokens = [round(math.exp2(index / PRECISION)) for index in shares]

    def find_tokens(self, ratio: float) -> int:
        """Return the length below which `ratio` [0-1) of the requests lie [tokens]."""
        return self._tokens[bisect_right(self._sums, ratio * self._sums[-1])]
