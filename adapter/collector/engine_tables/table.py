"""The form of an engine table: which series of a page carry which figure of a `PodReading`. Data and their types only.

How a table is applied stands in `adapter.collector.read_page`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from adapter.collector.exposition import Labels
from optimizer.domain import Counter, Gauge, Histogram

Sample = tuple[Labels, float]
"""Labels and value of one series."""


def accept_all(labels: Labels) -> bool:  # noqa: ARG001
    """Let every series pass."""
    return True


def _keep_all(samples: list[Sample]) -> list[Sample]:
    return samples


def _take_value(labels: Labels, value: float) -> float:  # noqa: ARG001
    return value


@dataclass(frozen=True, slots=True)
class Series:
    """The series of one name that are added up to a counter.

    Attributes
    ----------
    name
        Without ``_total``; both forms are found.
    accepts
        Which of them count. Where the name is on the page and none is accepted, the counter stands at 0: children
        appear when they are first used.
    """

    name: str
    accepts: Callable[[Labels], bool] = accept_all


class Fold(StrEnum):
    """How the series of a gauge, one per data-parallel rank, become one number."""

    SUM = "sum"
    LARGEST = "largest"
    LEAST = "least"


@dataclass(frozen=True, slots=True)
class GaugeRule:
    """How a gauge is found.

    Attributes
    ----------
    parts
        What is folded together: each part is a tuple of names that exclude each other, the first on the page being
        taken. Without the first part there is no gauge; further parts may be absent.
    fold
        How series become one number.
    accepts
        Which series count.
    to_value
        What a series says, None when it says nothing; then the gauge is absent.
    highest
        Greatest possible value; beyond it, or below 0, the gauge is absent.
    is_first_whole
        Whether the first part alone is the whole figure, further ones being those of old versions only.
    """

    parts: tuple[tuple[str, ...], ...]
    fold: Fold = Fold.SUM
    accepts: Callable[[Labels], bool] = accept_all
    to_value: Callable[[Labels, float], float | None] = _take_value
    highest: float = float("inf")
    is_first_whole: bool = False

    def list_wholes(self) -> tuple[str, ...]:
        """Return the names of which each alone is the whole figure; () when it takes several."""
        return self.parts[0] if len(self.parts) == 1 or self.is_first_whole else ()


@dataclass(frozen=True, slots=True)
class EngineTable:
    """Where an engine's page carries what. Of several aliases the first on the page is taken, never a sum of two.

    Attributes
    ----------
    name
        As variants name the engine.
    counters, gauges, histograms
        Where each figure is, the preferred alias first; histograms by their name without suffix.
    totals
        Histograms that may be replaced, where the page has none, by a count and a sum kept in two counters.
    starts
        Names that tell when the process started [Unix s], the preferred first.
    rank_label
        Label of the data-parallel rank.
    shows_every_rank
        Whether a counter has a series for every rank from the start, so that one that lacks some is cut.
    model_label
        Label of the LLM's name; series without it belong to every LLM of the page.
    keep
        Takes out series that repeat others, given all series of one name.
    """

    name: str
    counters: Mapping[Counter, tuple[Series, ...]]
    gauges: Mapping[Gauge, GaugeRule]
    histograms: Mapping[Histogram, tuple[str, ...]]
    totals: Mapping[Histogram, tuple[Counter, Series]] = field(default_factory=dict)
    starts: tuple[str, ...] = ()
    rank_label: str = "engine"
    shows_every_rank: bool = True
    model_label: str = "model_name"
    keep: Callable[[list[Sample]], list[Sample]] = _keep_all

    def list_names(self) -> dict[str, str]:
        """Return every name to look for on a page, with the name it is known by in this table."""
        series = [one for aliases in self.counters.values() for one in aliases]
        series += [one for _, one in self.totals.values()]
        names = {name: name for rule in self.gauges.values() for part in rule.parts for name in part}
        names |= {name: name for name in self.starts}
        for one in series:
            names |= {one.name: one.name, f"{one.name}_total": one.name}
        for name in (name for aliases in self.histograms.values() for name in aliases):
            names |= {f"{name}{suffix}": f"{name}{suffix}" for suffix in ("_bucket", "_count", "_sum")}
        return names
