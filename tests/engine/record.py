"""What the client saw of each request, and the truths that follow from it. Pure: no clock, no network."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

OK = "200"
LEFT = "left"
INCOMPLETE = "incomplete"


@dataclass(slots=True)
class RequestRecord:
    """One request; all times are seconds since the beginning of the trial.

    Attributes
    ----------
    sent_s
        When it was sent.
    input_tokens, output_tokens
        As the server counted them where it told so, else as intended.
    token_times_s
        Arrival of each streamed piece, one token each as a rule.
    taken_s
        When the status line came: the server's front end has the request. None when it never came.
    done_s
        End of the answer; None when it did not end well.
    ended_s
        When it was over, well or not; None while it runs.
    status
        HTTP status, ``left`` when the client left, ``incomplete`` when the answer broke off, or the name of
        the client's error.
    """

    sent_s: float
    input_tokens: int
    output_tokens: int
    token_times_s: list[float] = field(default_factory=list)
    done_s: float | None = None
    status: str = ""
    taken_s: float | None = None
    ended_s: float | None = None

    @property
    def first_s(self) -> float | None:
        """Arrival of the first token."""
        return self.token_times_s[0] if self.token_times_s else None


def count_sent(sent_s: Sequence[float], start_s: float, end_s: float) -> int:
    """Return how many of the ascending times lie in (start_s, end_s]."""
    return bisect_right(sent_s, end_s) - bisect_right(sent_s, start_s)


def select_done(records: Iterable[RequestRecord], start_s: float, end_s: float) -> list[RequestRecord]:
    """Return the requests that ended well in (start_s, end_s]; a server knows lengths only then."""
    return [one for one in records if one.status == OK and one.done_s is not None and start_s < one.done_s <= end_s]


def collect_ttft_s(
    records: Iterable[RequestRecord], start_s: float, end_s: float, *, from_taken: bool = False
) -> list[float]:
    """Return sending to first token [s] of each request whose first token came in (start_s, end_s].

    With `from_taken` they count from the status line: the server's own clock started between the two.
    """
    return [
        one.first_s - _get_begin_s(one, from_taken=from_taken)
        for one in records
        if one.first_s is not None and start_s < one.first_s <= end_s
    ]


def collect_ttlt_s(
    records: Iterable[RequestRecord], start_s: float, end_s: float, *, from_taken: bool = False
) -> list[float]:
    """Return sending to end [s] of each request that ended well in (start_s, end_s]; `from_taken` as for TTFT."""
    return [
        one.done_s - _get_begin_s(one, from_taken=from_taken)
        for one in select_done(records, start_s, end_s)
        if one.done_s is not None
    ]


def _get_begin_s(record: RequestRecord, *, from_taken: bool) -> float:
    return record.taken_s if from_taken and record.taken_s is not None else record.sent_s


def collect_gaps_s(records: Iterable[RequestRecord], start_s: float, end_s: float) -> list[float]:
    """Return the gaps between successive tokens [s] that ended in (start_s, end_s]."""
    return [
        later - earlier
        for one in records
        for earlier, later in zip(one.token_times_s, one.token_times_s[1:], strict=False)
        if start_s < later <= end_s
    ]


def compute_mean(values: Sequence[float]) -> float | None:
    """Return the mean, None of nothing."""
    return sum(values) / len(values) if values else None


def compute_quantile(values: Sequence[float], level: float) -> float | None:
    """Return the smallest value at or below which at least the share `level` lies; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(level * len(ordered)) - 1))]


def find_bucket(edges: Sequence[float], value: float) -> int:
    """Return the index of the first ascending edge >= value; `len(edges)` when it is above all."""
    return bisect_left(edges, value)
