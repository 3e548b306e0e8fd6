"""What became of every request: in engine time whether it kept its promises, and apart from that what the client saw.

It measures nothing itself; a load generator fills it in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from optimizer.domain import LatencyQuantity, ModelKey, Slo

RECENT_S = 120.0
"""Span of the attainment that is shown while running [s]."""


class Fate(StrEnum):
    """What became of a request."""

    OPEN = "open"  # still under way
    FINISHED = "finished"
    REFUSED = "refused"  # answered 503: nothing was ready in time, or the queue was full
    FAILED = "failed"  # any other refusal, a broken answer, no answer


@dataclass(slots=True)
class RequestRecord:
    """One request.

    Attributes
    ----------
    key
        The LLM that was asked.
    arrived_s
        When it was due to be sent [s].
    input_tokens, output_tokens
        What was asked [tokens].
    fate
        What became of it.
    replica
        Who answered, "" when nobody did.
    held_s
        How long it was held because nothing was ready [s].
    ttft_s, itl_s, ttlt_s
        In engine time, time held included [s]; None where there is none.
    sent_s, client_first_s, client_end_s
        What the client saw: when it was sent, when the first piece of the answer came, and the last [s].
    """

    key: ModelKey
    arrived_s: float
    input_tokens: int
    output_tokens: int
    fate: Fate = Fate.OPEN
    replica: str = ""
    held_s: float = 0.0
    ttft_s: float | None = None
    itl_s: float | None = None
    ttlt_s: float | None = None
    sent_s: float | None = None
    client_first_s: float | None = None
    client_end_s: float | None = None

    def get(self, quantity: LatencyQuantity) -> float | None:
        """Return a latency in engine time [s], None where there is none."""
        return {
            LatencyQuantity.TTFT: self.ttft_s,
            LatencyQuantity.ITL: self.itl_s,
            LatencyQuantity.TTLT: self.ttlt_s,
        }[quantity]


def is_met(record: RequestRecord, slos: Iterable[Slo]) -> bool:
    """Whether `record` kept every target: it finished, and no latency it has exceeds its own.

    A request of one token has no ITL, and keeps that promise. Percentiles play no part for a single request.
    """
    if record.fate is not Fate.FINISHED:
        return False
    values = ((record.get(slo.quantity), slo.target_s) for slo in slos)
    return all(value is None or value <= target_s for value, target_s in values)


@dataclass(slots=True)
class Attainment:
    """Requests judged, and those of them that met every target."""

    requests: int = 0
    met: int = 0

    @property
    def ratio(self) -> float | None:
        """Share that met every target [0-1]; None while there is no request."""
        return self.met / self.requests if self.requests else None

    def add(self, is_good: bool) -> None:
        """Count one request."""
        self.requests += 1
        self.met += is_good


@dataclass(slots=True)
class RequestLog:
    """Every request of one run.

    Attributes
    ----------
    slos
        The promises, per LLM.
    records
        In order of arrival.
    judged
        Joint attainment of the requests that ended, per LLM.
    judged_by_replica
        The same per replica; those nobody answered are in none.
    fates
        Requests that ended, per LLM and fate.
    """

    slos: Mapping[ModelKey, Sequence[Slo]]
    records: list[RequestRecord] = field(default_factory=list)
    judged: dict[ModelKey, Attainment] = field(default_factory=dict)
    judged_by_replica: dict[str, Attainment] = field(default_factory=dict)
    fates: dict[tuple[ModelKey, Fate], int] = field(default_factory=dict)
    _recent: deque[tuple[float, ModelKey, str, bool]] = field(default_factory=deque)

    def open(self, record: RequestRecord) -> None:
        """Note a request that is about to be sent."""
        self.records.append(record)

    def close(self, record: RequestRecord, now_s: float) -> None:
        """Judge a request that ended at `now_s` [s]; its fate is set."""
        is_good = is_met(record, self.slos[record.key])
        self.judged.setdefault(record.key, Attainment()).add(is_good)
        if record.replica:
            self.judged_by_replica.setdefault(record.replica, Attainment()).add(is_good)
        fate = (record.key, record.fate)
        self.fates[fate] = self.fates.get(fate, 0) + 1
        self._recent.append((now_s, record.key, record.replica, is_good))

    def compute_recent(self, now_s: float) -> dict[ModelKey, Attainment]:
        """Return the joint attainment of the requests that ended within the last two minutes, per LLM."""
        while self._recent and self._recent[0][0] < now_s - RECENT_S:
            self._recent.popleft()
        found: dict[ModelKey, Attainment] = {}
        for _, key, _, is_good in self._recent:
            found.setdefault(key, Attainment()).add(is_good)
        return found

    def compute_recent_by_replica(self, now_s: float) -> dict[str, Attainment]:
        """Return the same per replica."""
        self.compute_recent(now_s)
        found: dict[str, Attainment] = {}
        for _, _, replica, is_good in self._recent:
            if replica:
                found.setdefault(replica, Attainment()).add(is_good)
        return found

    def judge_open(self, now_s: float) -> dict[ModelKey, Attainment]:
        """Return the requests still under way at the end that have already missed: no first token within its target.

        What is under way and has not missed yet is left out of every count.
        """
        found: dict[ModelKey, Attainment] = {}
        for record in self.records:
            if record.fate is not Fate.OPEN or record.client_first_s is not None:
                continue
            targets = [slo.target_s for slo in self.slos[record.key] if slo.quantity is LatencyQuantity.TTFT]
            if targets and now_s - record.arrived_s > min(targets):
                found.setdefault(record.key, Attainment()).add(False)
        return found

    def select(self, key: ModelKey, begin_s: float = float("-inf"), end_s: float = float("inf")) -> list[RequestRecord]:
        """Return the requests for `key` that arrived from `begin_s` to before `end_s` [s]."""
        return [record for record in self.records if record.key == key and begin_s <= record.arrived_s < end_s]
