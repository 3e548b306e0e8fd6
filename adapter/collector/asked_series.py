"""Series that a policy asked for by name: how they are found on the pages of one engine. It fetches nothing.

They never change what else is read of a page: neither which LLMs nor which data-parallel ranks it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapter.collector.engine_tables import ENGINE_TABLES, EngineTable, Fold, GaugeRule, Series
from adapter.collector.exposition import Labels, PageReader
from adapter.collector.sheet import Sheet
from adapter.errors import BadDocument
from optimizer.domain import HistogramReading, ModelKey, SignalKind, SignalSpec

_SUFFIXES = ("_bucket", "_count", "_sum")
_TOTAL = "_total"

SeriesValue = float | HistogramReading
_Read = Callable[[Sheet], SeriesValue | None]


@dataclass(frozen=True, slots=True)
class _Search:
    """How one spec is looked for: names on the page with the name each goes by, and what makes them a value."""

    names: Mapping[str, str]
    read: _Read


class AskedSeries:
    """What is asked for of the pages of one engine, made ready once for all of them.

    Where the engine's table knows a series, the other names of the same figure count as well, and a gauge is folded as
    there: of the KV caches of several ranks the fullest. All else is added up.

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
    alike, fold = next(
        ((part, rule.fold) for rule in table.gauges.values() for part in rule.parts if spec.series in part),
        ((), Fold.SUM),
    )
    names = _put_first(spec.series, alike)
    rule = GaugeRule((names,), fold, _to_filter(spec.labels))
    return _Search({name: known.get(name, name) for name in names}, lambda sheet: sheet.fold_gauge(rule))


def _make_rate(spec: SignalSpec, table: EngineTable, known: Mapping[str, str]) -> _Search:  # noqa: ARG001
    plain = spec.series.removesuffix(_TOTAL)
    name = known.get(spec.series, known.get(plain, plain))
    series = (Series(name, _to_filter(spec.labels)),)
    return _Search({spec.series: name, plain: name, plain + _TOTAL: name}, lambda sheet: sheet.sum_counter(series))


def _make_quantile(spec: SignalSpec, table: EngineTable, known: Mapping[str, str]) -> _Search:  # noqa: ARG001
    alike = next((names for names in table.histograms.values() if spec.series in names), ())
    names, accepts = _put_first(spec.series, alike), _to_filter(spec.labels)
    wanted = {name + suffix: name + suffix for name in names for suffix in _SUFFIXES}
    return _Search(wanted, lambda sheet: sheet.sum_histogram(names, accepts))


_MAKERS: Mapping[SignalKind, Callable[[SignalSpec, EngineTable, Mapping[str, str]], _Search]] = {
    SignalKind.GAUGE: _make_gauge,
    SignalKind.RATE: _make_rate,
    SignalKind.QUANTILE: _make_quantile,
}


def _put_first(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return (name, *(other for other in names if other != name))


def _to_filter(wanted: Mapping[str, str]) -> Callable[[Labels], bool]:
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
