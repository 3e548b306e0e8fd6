"""When requests came to the server, as far as its client can know. Pure: no clock, no network.

A sent request waits in the server's socket and front end, is handed to the engine between two steps, and is on the
server's page once the engine has told of a step. The client sees the sending, the status line (the front end has it)
and every token, so it knows two moments of each request:

    sent   earlier no page can show it
    told   the third token of one stream after the status line: by then the page must show it. One step was going on at
           the status line, one may have begun before the request was handed over, one tells of it.

Where the server is prompt, the two are a few steps apart and the truth is one number. Where it is short of CPU they are
not, and then only the server itself knows; requests in between may be counted on either side of a window's edge.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from tests.engine.record import RequestRecord, count_sent

STEPS = 3


@dataclass(frozen=True, slots=True)
class ArrivalTruth:
    """When requests were sent, and by when the server's page had to show them [s], each ascending."""

    sent_s: tuple[float, ...]
    told_s: tuple[float, ...]

    def count_sent(self, start_s: float, end_s: float) -> int:
        """Return how many were sent in (start_s, end_s]."""
        return count_sent(self.sent_s, start_s, end_s)

    def bound_arrivals(self, start_s: float, end_s: float) -> tuple[int, int]:
        """Return the fewest and the most that can have come between two pages of `start_s` and `end_s`."""
        least = bisect_right(self.told_s, end_s) - bisect_right(self.sent_s, start_s)
        most = bisect_right(self.sent_s, end_s) - bisect_right(self.told_s, start_s)
        return max(0, least), most


def find_truth(records: Sequence[RequestRecord]) -> ArrivalTruth:
    """Return what the client's `records` tell of the arrivals."""
    streams = [one.token_times_s for one in records if len(one.token_times_s) >= STEPS]
    told_s = sorted(max(one.sent_s, _find_told_s(one, streams)) for one in records)
    return ArrivalTruth(tuple(sorted(one.sent_s for one in records)), tuple(told_s))


def _find_told_s(record: RequestRecord, streams: Sequence[Sequence[float]]) -> float:
    """Return by when the server had to tell of `record`; at the latest when it ended, for it tells of that too."""
    told_s = math.inf if record.ended_s is None else record.ended_s
    if record.taken_s is None:
        return told_s
    for times_s in streams:
        nth = bisect_right(times_s, record.taken_s) + STEPS - 1
        if nth < len(times_s):
            told_s = min(told_s, times_s[nth])
    return told_s
