"""Series that a policy asked for by name: how they are found on the pages of one engine. It fetches nothing.

They never change what else is read of a page: neither which LLMs nor which data-parallel ranks it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
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


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page says of the series asked for, by the name of the spec: values, or why what it shows has none.

    What the page does not show is in neither.
    """

    values: Mapping[str, SeriesValue]
    problems: Mapping[str, str]


class AskedSeries:
    """What is asked for of the pages of one engine, made ready once for all of them.

    Where the engine's table knows a series, the other names of the same figure count as well, and a gauge is folded as
    there: of the KV caches of several ranks the fullest. A series that another engine's table knows as the whole of a
    figure is looked for under this engine's names of that figure, so that one policy can look at pods of several
    engines; one that is a part of a figure there is not. All else is added up.

    Attributes
    ----------
    specs
        What is asked for.
    reader
        Finds these series, and all of the table; an odd line of one that the table does not know costs only that one.
    """

    def __init__(self, specs: tuple[SignalSpec, ...], table: EngineTable) -> None:
        self.specs = specs
        known = table.list_names()
        own = frozenset(known.values())
        self._searches = {spec.name: _MAKERS[spec.kind](spec, table, known) for spec in specs}
        asked = {name: wanted for search in self._searches.values() for name, wanted in search.names.items()}
        asked = {name: wanted for name, wanted in asked.items() if wanted not in own}  # the table says what feeds it
        self.reader = PageReader({**asked, **known}, frozenset(asked.values()))

    def read(self, sheet: Sheet, problems: Mapping[str, str]) -> Answer:
        """Return what `sheet` says of every spec; `problems` tell what is wrong with names of the page."""
        found: dict[str, SeriesValue] = {}
        missing: dict[str, str] = {}
        for spec in self.specs:
            search = self._searches[spec.name]
            try:
                value = search.read(sheet)
            except BadDocument as problem:
                value, missing[spec.name] = None, str(problem)
            said = [problems[name] for name in search.names.values() if name in problems]
            if said:
                missing[spec.name] = said[0]
            elif value is not None:
                found[spec.name] = value
            elif spec.name not in missing and sheet.has_any(search.names.values()):
                missing[spec.name] = _explain(spec)
        return Answer(found, missing)


def _explain(spec: SignalSpec) -> str:
    """Return why there is no value of a series whose name is on the page."""
    if not spec.labels:
        return "its values are not finite, below 0 or above what is possible, or a part of them is missing"
    labels = ", ".join(f"{name}={value}" for name, value in spec.labels.items())
    return f"none of its samples has the labels {labels}, or their values are not finite, or a part of them is missing"


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
    accepts, foreign, labels = _to_filter(spec.labels), _find_foreign_counter(spec.series, table), spec.labels.keys()
    if foreign:
        series = tuple(Series(one.name, _both(one.accepts, accepts)) for one in foreign)
        return _Search({one.name: one.name for one in foreign}, lambda sheet: _sum_counter(sheet, series, labels))
    plain = spec.series.removesuffix(_TOTAL)
    name = known.get(spec.series, known.get(plain, plain))
    own = (Series(name, accepts),)
    forms = {spec.series: name, plain: name, plain + _TOTAL: name}
    return _Search(forms, lambda sheet: _sum_counter(sheet, own, labels))


def _sum_counter(sheet: Sheet, series: tuple[Series, ...], labels: Set[str]) -> float | None:
    """Return the sum of the first of `series` on the page; a label that none of its samples has is no count of 0."""
    name = next((one.name for one in series if sheet.has_any((one.name,))), None)
    return None if name is None or not sheet.has_labels(name, labels) else sheet.sum_counter(series)


def _make_quantile(spec: SignalSpec, table: EngineTable, known: Mapping[str, str]) -> _Search:  # noqa: ARG001
    alike = next((names for names in table.histograms.values() if spec.series in names), ())
    names = _find_foreign_histogram(spec.series, table) or _put_first(spec.series, alike)
    accepts = _to_filter(spec.labels)
    wanted = {name + suffix: name + suffix for name in names for suffix in _SUFFIXES}
    return _Search(wanted, lambda sheet: sheet.sum_histogram(names, accepts))


def _find_foreign_gauge(name: str, table: EngineTable) -> GaugeRule | None:
    """Return how `table` has the gauge that only another engine calls `name`, None when there is no such figure."""
    others = [other.gauges.items() for other in _list_others(name, table)]
    figures = [figure for items in others for figure, rule in items if name in rule.list_wholes()]
    return next((table.gauges[figure] for figure in figures if figure in table.gauges), None)


def _find_foreign_counter(name: str, table: EngineTable) -> tuple[Series, ...]:
    """Return how `table` has the counter that only another engine calls `name`, () when there is no such figure.

    A series of which that engine's figure is a part only, chosen by labels, is another figure.
    """
    whole = Series(name.removesuffix(_TOTAL))
    others = [other.counters.items() for other in _list_others(name, table)]
    figures = [figure for items in others for figure, series in items if whole in series]
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
