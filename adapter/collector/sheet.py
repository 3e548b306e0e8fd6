"""What one page says about one LLM: its series, looked up by name, folded to numbers and histograms. No I/O.

A sum of which a part is missing, a negative count, a histogram that contradicts itself: each is absent, not smaller.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import lru_cache

from adapter.collector.engine_tables import EngineTable, Fold, GaugeRule, Sample, Series, accept_all
from adapter.collector.exposition import Labels, is_bucket
from adapter.errors import BadDocument
from optimizer.domain import HistogramReading

Found = Mapping[str, Sequence[Sample]]
"""The series of each name."""


class Sheet:
    """The series of one LLM on a page that may show several.

    Parameters
    ----------
    table
        The engine's table.
    found
        All wanted series of the page.
    model_name
        The LLM, as the engine calls it.
    is_shared
        Whether other LLMs are on the page too. Then series that name no LLM cannot be counted for this one; gauges of
        the whole server, such as its KV cache, still hold.
    ranks
        The data-parallel ranks there are, where another sheet of the page told them; None finds them here.
    """

    def __init__(
        self, table: EngineTable, found: Found, model_name: str, *, is_shared: bool, ranks: Set[str] | None = None
    ) -> None:
        label, self._rank_label = table.model_label, table.rank_label
        self._shows_every_rank = table.shows_every_rank
        self._own = self._all = found
        if is_shared:
            self._own = _select(found, lambda labels: labels.get(label) == model_name)
            self._all = _select(found, lambda labels: labels.get(label, model_name) == model_name)
        self.ranks: Set[str] = (
            ranks
            if ranks is not None
            else self._list_ranks(one for name, samples in self._own.items() if not is_bucket(name) for one in samples)
        )

    def count_ranks(self) -> int:
        """Return the number of data-parallel ranks seen, 1 where they are not told apart."""
        return max(1, len(self.ranks))

    def sum_counter(self, aliases: Sequence[Series]) -> float | None:
        """Return the sum over the series of the first alias on the page, None when it is not known."""
        series = next((series for series in aliases if series.name in self._own), None)
        if series is None:
            return None
        samples = self._own[series.name]
        if not self._is_whole(samples):
            return None
        return _to_count(sum(value for labels, value in samples if series.accepts(labels)))

    def has_labels(self, name: str, wanted: Set[str]) -> bool:
        """Whether any series of `name` carries all labels of the names `wanted`."""
        return any(wanted <= labels.keys() for labels, _ in self._own.get(name, ()))

    def has_any(self, names: Iterable[str]) -> bool:
        """Whether any of `names` is on the page."""
        return any(name in self._all for name in names)

    def fold_gauge(self, rule: GaugeRule) -> float | None:
        """Return the gauge, None when a part of it is not known."""
        values: list[float] = []
        for number, names in enumerate(rule.parts):
            name = next((name for name in names if name in self._all), None)
            if name is None and number == 0:
                return None
            for labels, value in () if name is None else self._all[name]:
                if not rule.accepts(labels):
                    continue
                converted = rule.to_value(labels, value)
                if converted is None or not 0.0 <= converted <= rule.highest:
                    return None
                values.append(converted)
        if not values:
            return None
        folded = sum(values) if rule.fold is Fold.SUM else max(values) if rule.fold is Fold.LARGEST else min(values)
        return _to_count(folded)

    def sum_histogram(
        self, names: Sequence[str], accepts: Callable[[Labels], bool] = accept_all
    ) -> HistogramReading | None:
        """Return the histogram of the first name on the page, summed over ranks, None when it is not whole.

        Only series that `accepts` lets pass count; where it lets none pass, nothing is known.
        """
        name = next((name for name in names if f"{name}_count" in self._own), None)
        if name is None or not self._is_whole(self._own[f"{name}_count"]):
            return None
        counts, totals, buckets = (
            _filter(self._own.get(f"{name}_{part}", ()), accepts) for part in ("count", "sum", "bucket")
        )
        if not counts or len(totals) != len(counts):
            return None
        count, total = _to_count(sum(value for _, value in counts)), sum(value for _, value in totals)
        if count is None or not math.isfinite(total):
            return None
        return (
            _build_histogram(buckets, len(counts), count, total) if buckets else HistogramReading((), (), count, total)
        )

    def find_start_s(self, names: Sequence[str]) -> float | None:
        """Return when the process started [Unix s], None when the page does not say."""
        for name in names:
            values = [value for _, value in self._all.get(name, ()) if math.isfinite(value) and value > 0.0]
            if values:
                return min(values)
        return None

    def _list_ranks(self, samples: Iterable[Sample]) -> set[str]:
        return {labels[self._rank_label] for labels, _ in samples if self._rank_label in labels}

    def _is_whole(self, samples: Sequence[Sample]) -> bool:
        """Whether `samples` have every data-parallel rank, as far as they tell ranks apart."""
        if not self._shows_every_rank or len(self.ranks) < 2:
            return True
        ranks = self._list_ranks(samples)
        return not ranks or ranks == self.ranks


def _select(found: Found, accepts: Callable[[Labels], bool]) -> Found:
    chosen = {name: [sample for sample in samples if accepts(sample[0])] for name, samples in found.items()}
    return {name: samples for name, samples in chosen.items() if samples}


def _filter(samples: Sequence[Sample], accepts: Callable[[Labels], bool]) -> Sequence[Sample]:
    return samples if accepts is accept_all else [sample for sample in samples if accepts(sample[0])]


def _to_count(value: float) -> float | None:
    return value if math.isfinite(value) and value >= 0.0 else None


def _build_histogram(buckets: Sequence[Sample], series: int, count: float, total: float) -> HistogramReading | None:
    """Return the sum of `series` histograms: without a shape where their edges differ, None where a part is missing."""
    cumulative = {labels.get("le", ""): value for labels, value in buckets}
    if len(cumulative) < len(buckets):
        cumulative = _add_buckets(buckets)
    if len(cumulative) * series != len(buckets):
        return HistogramReading((), (), count, total) if _count_open(buckets) == series else None
    if cumulative.pop("+Inf", None) != count:
        return None
    names, edges = _order_edges(tuple(cumulative))
    values = tuple(cumulative[name] for name in names)
    is_rising = list(values) == sorted(values) and math.isfinite(sum(values))
    is_within = not values or 0.0 <= values[0] <= values[-1] <= count
    return HistogramReading(edges, values, count, total) if is_rising and is_within else None


@lru_cache(maxsize=1024)
def _order_edges(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return edges, as written, in ascending order, and their values; the same few lists come again and again."""
    try:
        pairs = sorted((float(name), name) for name in names)
    except ValueError as cause:
        raise BadDocument(f"bucket edge is not a number: {cause}") from cause
    if not all(math.isfinite(edge) for edge, _ in pairs):
        raise BadDocument(f"bucket edge is not finite: {', '.join(names)}")
    return tuple(name for _, name in pairs), tuple(edge for edge, _ in pairs)


def _add_buckets(buckets: Sequence[Sample]) -> dict[str, float]:
    cumulative: dict[str, float] = {}
    for labels, value in buckets:
        edge = labels.get("le", "")
        cumulative[edge] = cumulative.get(edge, 0.0) + value
    return cumulative


def _count_open(buckets: Sequence[Sample]) -> int:
    return sum(labels.get("le") == "+Inf" for labels, _ in buckets)
