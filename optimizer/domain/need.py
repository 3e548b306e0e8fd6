"""What a policy asks for (capacity, by when) and what a replica of each variant gives. Data only.

A need is a table over lead times, service classes and buckets, even where each of them has one entry.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.domain.variant import VariantKey

WHOLE = ""
"""The class or bucket of a table that does not tell them apart."""


@dataclass(frozen=True, slots=True)
class NeedEntry:
    """One cell: by `lead_time_s` from now, `rate_per_s` of capacity for one class and bucket.

    Attributes
    ----------
    lead_time_s
        Time until which the capacity must be there [s], >= 0. The rate is the highest expected up to then, so that it
        does not fall with the lead time.
    rate_per_s
        Capacity asked for, margin included [1/s], >= 0.
    service_class, bucket
        Whom it is for; `WHOLE` when not told apart.
    priority
        Of the class: the higher is served first in a shortage.
    """

    lead_time_s: float
    rate_per_s: float
    service_class: str = WHOLE
    bucket: str = WHOLE
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """Capacity asked for one LLM; no entry means nothing is needed."""

    entries: tuple[NeedEntry, ...] = ()

    @property
    def lead_times_s(self) -> tuple[float, ...]:
        """Distinct lead times [s], ascending."""
        return tuple(sorted({entry.lead_time_s for entry in self.entries}))

    @property
    def peak_per_s(self) -> float:
        """Capacity asked for at the longest lead time, all classes and buckets together [1/s]; 0 for no entry."""
        return self.sum_rate_per_s(self.lead_times_s[-1]) if self.entries else 0.0

    def sum_rate_per_s(self, lead_time_s: float) -> float:
        """Return the rate asked for at exactly `lead_time_s` [s], all classes and buckets together [1/s]."""
        return sum(entry.rate_per_s for entry in self.entries if entry.lead_time_s == lead_time_s)


@dataclass(frozen=True, slots=True)
class CapacityEntry:
    """One cell: what one replica of `key` carries within the SLO [1/s], for one bucket or (`WHOLE`) the present mix."""

    key: VariantKey
    capacity_per_s: float
    bucket: str = WHOLE


@dataclass(frozen=True, slots=True)
class CapacityTable:
    """Capacity of one replica of every variant that has one; a variant that is absent has no known capacity."""

    entries: tuple[CapacityEntry, ...] = ()

    def get(self, key: VariantKey, bucket: str = WHOLE) -> float | None:
        """Return the capacity of one replica of `key` [1/s], None when not known."""
        cells = (entry.capacity_per_s for entry in self.entries if entry.key == key and entry.bucket == bucket)
        return next(cells, None)
