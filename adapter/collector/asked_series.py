"""Series that a policy asked for by name: how they are found on the pages of one engine. It fetches nothing.

They never change what else is read of a page: neither which LLMs nor which data-parallel ranks it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from adapter.collector.engine_tables import ENGINE_TABLES, EngineTable, Fold, GaugeRule, Series
from adapter.collector.exposition import Labels, PageReader
from adapter.collector.sheet import Sheet
from adapter.errors import BadDocument
from optimizer.domain import HistogramReading, ModelKey, SignalKind, SignalSpec

_SUFFIXES = ("_bucket", "_count", "_sum")
_TOTAL = "_total"

SeriesValue = float | HistogramReading
Accepts = Callable[[Labels], bool]
_Read = Callable[[Sheet], SeriesValue | None]


@dataclass(frozen=True, slots=True)
class _Search:
    """How one spec is looked for: names on the page with the name each goes by, and what makes them a value."""

    names: Mapping[str, str]
    read: _Read


class AskedSeries:
    """What is asked for of the pages of one engine, made ready once for all of them.

    Where the engine's table knows a series, the other names of the same figure count as well, and a gauge is folded as
    there: of the KV caches of several ranks the fullest. A series that another engine's table knows is looked for under
    this engine's names of that figure, so that one policy can look at pods of several engines. All else is added up.

    Attributes
    ----------
    specs
        What is asked for.
    reader
        Finds these series, and all of the table.
    """

    def __init__(self, specs: tuple[SignalSpec, ...], table: EngineTable) -> None:
        self.specs = specs
        known = table.list_names()
        self._searches = {spec.name: _MAKERS[spec.kind](spec, table, known) for spec in specs}
        asked = {name: wanted for search in self._searches.values() for name, wanted in search.names.items()}
        self.reader = PageReader({**asked, **known})

    def read(self, sheet: Sheet) -> dict[str, SeriesValue]:
        """Return the value of every spec that the page shows, by its name."""
        found: dict[str, SeriesValue] = {}
        for name, search in self._searches.items():
            try:
                value = search.read(sheet)
            except BadDocument:  # an odd series of somebody's own costs nobody the page
                value = None
            if value is not None:
                found[name] = value
        return found


def _make_gauge(spec: SignalSpec, table: EngineTable, known: Mapping[str, str]) -> _Search:
    accepts, foreign = _to_filter(spec.labels), _find_foreign_gauge(spec.series, table)
    if foreign is not None:
        rule = replace(foreign, accepts=_both(foreign.accepts, accepts))
    else:
        alike, fold = next(
            ((part, one.fold) for one in table.gauges.values() for part in one.parts if spec.series in part),
            ((), Fold.SUM),
        )
        rule = GaugeRule((_put_first(spec.series, alike),), fold, accepts)
    names = {name: known.get(name, name) for part in rule.parts for name in part}
    return _Search(names, lambda sheet: sheet.fold_gauge(rule))


def _make_rate(spec: SignalSpec, table: EngineTable, known: Mapping[str, str]) -> _Search:
    accepts, foreign = _to_filter(spec.labels), _find_foreign_counter(spec.series, table)
    if foreign:
        series = tuple(Series(one.name, _both(one.accepts, accepts)) for one in foreign)
        return _Search({}, lambda sheet: sheet.sum_counter(series))  # names of the table are looked for anyway
    plain = spec.series.removesuffix(_TOTAL)
    name = known.get(spec.series, known.get(plain, plain))
    own = (Series(name, accepts),)
    return _Search({spec.series: name, plain: name, plain + _TOTAL: name}, lambda sheet: sheet.sum_counter(own))


def _make_quantile(spec: SignalSpec, table: EngineTable, known: Mapping[str, str]) -> _Search:  # noqa: ARG001
    alike = next((names for names in table.histograms.values() if spec.series in names), ())
    names = _find_foreign_histogram(spec.series, table) or _put_first(spec.series, alike)
    accepts = _to_filter(spec.labels)
    wanted = {name + suffix: name + suffix for name in names for suffix in _SUFFIXES}
    return _Search(wanted, lambda sheet: sheet.sum_histogram(names, accepts))


def _find_foreign_gauge(name: str, table: EngineTable) -> GaugeRule | None:
    """Return how `table` has the gauge that only another engine calls `name`, None when there is no such figure."""
    figures = [
        figure for other in _list_others(name, table) for figure, rule in other.gauges.items() if _has(rule, name)
    ]
    return next((table.gauges[figure] for figure in figures if figure in table.gauges), None)


def _find_foreign_counter(name: str, table: EngineTable) -> tuple[Series, ...]:
    """Return how `table` has the counter that only another engine calls `name`, () when there is no such figure."""
    plain = name.removesuffix(_TOTAL)
    others = [other.counters.items() for other in _list_others(name, table)]
    figures = [figure for items in others for figure, series in items if any(one.name == plain for one in series)]
    return next((table.counters[figure] for figure in figures if figure in table.counters), ())


def _find_foreign_histogram(name: str, table: EngineTable) -> tuple[str, ...]:
    """Return what `table` calls the histogram that only another engine calls `name`, () when it has none."""
    others = [other.histograms.items() for other in _list_others(name, table)]
    figures = [figure for items in others for figure, names in items if name in names]
    return next((table.histograms[figure] for figure in figures if figure in table.histograms), ())


def _list_others(name: str, table: EngineTable) -> list[EngineTable]:
    """Return the tables of other engines; none when `table` itself knows `name`."""
    known = table.list_names()
    if any(form in known for form in (name, f"{name}{_TOTAL}", *(name + suffix for suffix in _SUFFIXES))):
        return []
    return [other for other in ENGINE_TABLES.values() if other is not table]


def _has(rule: GaugeRule, name: str) -> bool:
    return any(name in part for part in rule.parts)


def _both(one: Accepts, other: Accepts) -> Accepts:
    return lambda labels: one(labels) and other(labels)


_MAKERS: Mapping[SignalKind, Callable[[SignalSpec, EngineTable, Mapping[str, str]], _Search]] = {
    SignalKind.GAUGE: _make_gauge,
    SignalKind.RATE: _make_rate,
    SignalKind.QUANTILE: _make_quantile,
}


def _put_first(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return (name, *(other for other in names if other != name))


def _to_filter(wanted: Mapping[str, str]) -> Accepts:
    items = frozenset(wanted.items())
    return lambda labels: items <= labels.items()


class AskedByModel:
    """What the policy of each LLM asks for, made ready once per engine and for as long as it stays the same."""

    def __init__(self, signals: Mapping[ModelKey, tuple[SignalSpec, ...]]) -> None:
        self._signals = signals
        self._ready: dict[tuple[ModelKey, str], AskedSeries] = {}

    def change(self, signals: Mapping[ModelKey, tuple[SignalSpec, ...]]) -> None:
        """Ask for `signals` from now on."""
        self._signals = signals
        self._ready = {key: asked for key, asked in self._ready.items() if asked.specs == signals.get(key[0])}

    def find(self, model: ModelKey, engine: str) -> AskedSeries | None:
        """Return what is asked of pages of `model` by `engine`, None when nothing is, or nobody can read them."""
        specs, table = self._signals.get(model, ()), ENGINE_TABLES.get(engine)
        if not specs or table is None:
            return None
        if (model, engine) not in self._ready:
            self._ready[model, engine] = AskedSeries(specs, table)
        return self._ready[model, engine]
