"""Turns a page of one pod into PodReadings, one per LLM on it, by its engine's table. It fetches nothing.

page --exposition--> wanted samples --engine table--> sheet of one LLM --> PodReading
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from adapter.collector.asked_series import AskedSeries
from adapter.collector.engine_tables import ENGINE_TABLES, EngineTable, Sample
from adapter.collector.exposition import Page, PageReader, is_bucket, parse_labels
from adapter.collector.sheet import Found, Sheet
from adapter.errors import BadDocument
from optimizer.domain import Histogram, HistogramReading, PodKey, PodReading

_READERS: Mapping[str, PageReader] = {name: PageReader(table.list_names()) for name, table in ENGINE_TABLES.items()}
_NAMES = {name: frozenset(table.list_names().values()) for name, table in ENGINE_TABLES.items()}

_Figure = TypeVar("_Figure")
_Rule = TypeVar("_Rule")
_Value = TypeVar("_Value")


def read_page(
    body: bytes,
    engine: str,
    pod: PodKey,
    time_s: float,
    model_name: str | None = None,
    *,
    asked: AskedSeries | None = None,
) -> tuple[PodReading, ...]:
    """Return what the page `body` of `pod` says, one reading per LLM, in the order of their names.

    Whatever the page does not show, or shows in a way that cannot be right, is absent from the reading.

    Parameters
    ----------
    body
        Prometheus text or OpenMetrics, as the server sent it.
    engine
        Name of an engine table.
    pod
        Whose page it is.
    time_s
        When it was taken [s].
    model_name
        The only LLM wanted, as the engine calls it; None means all.
    asked
        Series that a policy asked for, made ready for `engine`; None where none did.

    Raises
    ------
    BadDocument
        If the body is no page of metrics, cannot be understood, or says nothing about the engine or the wanted LLM.
    """
    table = ENGINE_TABLES.get(engine)
    if table is None:
        raise BadDocument(f"engine must be one of {', '.join(sorted(ENGINE_TABLES))}, got {engine!r}")
    page = (_READERS[engine] if asked is None else asked.reader).read(body)
    found = _find_series(page, table, _NAMES[engine])
    names = _list_models(found, table.model_label)
    if not names:
        raise BadDocument(f"page shows no LLM of {engine}")
    if model_name is not None and model_name not in names:
        raise BadDocument(f"page shows {', '.join(sorted(names))}, not {model_name}")
    wanted = sorted(names) if model_name is None else [model_name]
    sheets = {name: Sheet(table, found, name, is_shared=len(names) > 1) for name in wanted}
    readings = tuple(_read_sheet(sheet, table, pod, name, time_s) for name, sheet in sheets.items())
    if table.shows_every_rank and not any(reading.counters for reading in readings):
        raise BadDocument(f"page shows no counter of {engine}: it was cut, or the engine keeps no statistics")
    if asked is None:
        return readings
    others, problems = _find_others(page, table, _NAMES[engine])
    every = {**found, **others}
    wider = [Sheet(table, every, name, is_shared=len(names) > 1, ranks=sheet.ranks) for name, sheet in sheets.items()]
    answers = [asked.read(sheet, problems) for sheet in wider]
    return tuple(
        replace(reading, series=answer.values, series_problems=answer.problems)
        for reading, answer in zip(readings, answers, strict=True)
    )


def _find_series(page: Page, table: EngineTable, names: frozenset[str]) -> Found:
    return {name: _parse(series, table) for name, series in page.samples.items() if name in names}


def _find_others(page: Page, table: EngineTable, names: frozenset[str]) -> tuple[Found, Mapping[str, str]]:
    """Return the series that the table does not name, as far as they can be read, and why others cannot, by name."""
    others: dict[str, list[Sample]] = {}
    problems = dict(page.problems)
    for name in sorted(page.samples.keys() - names):
        try:
            others[name] = _parse(page.samples[name], table)
            _refuse_repeats(others[name])
        except BadDocument as problem:
            others.pop(name, None)
            problems[name] = str(problem)
    return others, problems


def _refuse_repeats(samples: list[Sample]) -> None:
    """Raise BadDocument when two samples have the same labels, which differ in how they are written only."""
    seen: set[frozenset[tuple[str, str]]] = set()
    for labels, _ in samples:
        key = frozenset(labels.items())
        if key in seen:
            shown = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
            raise BadDocument(f"it stands twice with the labels {shown}")
        seen.add(key)


def _parse(series: Mapping[bytes, float], table: EngineTable) -> list[Sample]:
    return table.keep([(parse_labels(raw), value) for raw, value in series.items()])


def _list_models(found: Found, label: str) -> set[str]:
    samples = (sample for name, series in found.items() if not is_bucket(name) for sample in series)
    return {labels[label] for labels, _ in samples if label in labels}


def _read_sheet(sheet: Sheet, table: EngineTable, pod: PodKey, model_name: str, time_s: float) -> PodReading:
    histograms = _read_present(table.histograms, sheet.sum_histogram)
    for histogram in table.totals.keys() - histograms.keys():
        total = _read_totals(sheet, table, histogram)
        if total is not None:
            histograms[histogram] = total
    return PodReading(
        pod=pod,
        model_name=model_name,
        engine=table.name,
        time_s=time_s,
        start_s=sheet.find_start_s(table.starts),
        counters=_read_present(table.counters, sheet.sum_counter),
        gauges=_read_present(table.gauges, sheet.fold_gauge),
        histograms=histograms,
        ranks=sheet.count_ranks(),
    )


def _read_present(rules: Mapping[_Figure, _Rule], read: Callable[[_Rule], _Value | None]) -> dict[_Figure, _Value]:
    return {figure: value for figure, rule in rules.items() if (value := read(rule)) is not None}


def _read_totals(sheet: Sheet, table: EngineTable, histogram: Histogram) -> HistogramReading | None:
    """Return count and sum of a histogram that the page keeps in two counters only."""
    counter, series = table.totals[histogram]
    count, total = sheet.sum_counter(table.counters[counter]), sheet.sum_counter((series,))
    return None if count is None or total is None else HistogramReading((), (), count, total)
