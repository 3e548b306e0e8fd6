"""One metric out of the options of a policy, written alike for all of them. It reads no page and decides nothing.

::

    series: vllm:num_requests_waiting   # of a histogram without ``_bucket``, ``_count`` and ``_sum``
    labels: {model_name: llama}         # [{}]     only samples with all of these labels; several are added
    kind: gauge                         # gauge | rate (growth per second) | quantile (of a histogram)
    quantile_ratio: 0.9                 #          of kind quantile only, and needed there
    window: 60s                         # [60s]    of a rate or quantile

Without a kind, a series whose name says that it counts up is a rate, any other a gauge.
"""

from __future__ import annotations

import re

from optimizer.domain import SignalKind, SignalSpec, is_counter_name
from optimizer.policy.options import OptionReader

LONGEST_WINDOW_S = 3600.0
_SHORTEST_WINDOW_S, _USUAL_WINDOW_S = 1.0, 60.0
_METRIC_NAME, _LABEL_NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*", "[a-zA-Z_][a-zA-Z0-9_]*"
_HISTOGRAM_PARTS = ("_bucket", "_count", "_sum")


def read_metric(reader: OptionReader, name: str | None = None, usual_series: str = "") -> SignalSpec:
    """Return the one series that `reader` describes.

    Parameters
    ----------
    reader
        What is wrong is noted there.
    name
        How the policy calls it; None takes the option ``name``, else the series.
    usual_series
        The series where none is given; "" makes it required.
    """
    series = reader.text("series", usual_series, is_required=not usual_series)
    return _read_specs(reader, reader.text("name", series) if name is None else name, (series,))[0]


def read_metric_sum(reader: OptionReader, name: str) -> tuple[SignalSpec, ...]:
    """Return the series that `reader` describes, one or several to add up: these are called ``name/0`` and so on."""
    if not isinstance(reader.peek("series"), (list, tuple)):
        return (read_metric(reader, name),)
    series = reader.texts("series", is_required=True)
    if not series:
        reader.refuse("series", "one series, or a list of at least one", [])
    return _read_specs(reader, name, series or ("",))


def _read_specs(reader: OptionReader, name: str, series: tuple[str, ...]) -> tuple[SignalSpec, ...]:
    for entry in series:
        if entry and re.fullmatch(_METRIC_NAME, entry) is None:  # none is told as missing
            reader.refuse("series", f"the name of a metric, {_METRIC_NAME}", entry)
    counters = [entry for entry in series if is_counter_name(entry)]
    kind = reader.choice("kind", SignalKind.RATE if counters else SignalKind.GAUGE)
    if counters and kind is SignalKind.GAUGE:
        suffix = counters[0].rpartition("_")[2]
        bound = f"rate: by its name in _{suffix} {counters[0]} only counts up, and would be above any target for good"
        reader.refuse("kind", bound, kind.value)
    labels = _read_labels(reader.mapping("labels"))
    ratio = _read_ratio(reader, kind)
    if kind is SignalKind.QUANTILE:
        _check_histogram(reader, series)
    window_s = reader.duration_s("window", _USUAL_WINDOW_S, at_least=_SHORTEST_WINDOW_S, at_most=LONGEST_WINDOW_S)
    names = [name] if len(series) == 1 else [f"{name}/{index}" for index in range(len(series))]
    return tuple(
        SignalSpec(called, entry, kind, labels, ratio, window_s) for called, entry in zip(names, series, strict=True)
    )


def _read_ratio(reader: OptionReader, kind: SignalKind) -> float | None:
    ratio = reader.number("quantile_ratio", None, above=0.0, below=1.0)
    if kind is SignalKind.QUANTILE and not reader.has("quantile_ratio"):
        reader.refuse("quantile_ratio", "given with kind quantile, such as 0.9", None)
    if kind is not SignalKind.QUANTILE and ratio is not None:
        reader.refuse("quantile_ratio", "left out unless kind is quantile", ratio)
    return ratio


def _check_histogram(reader: OptionReader, series: tuple[str, ...]) -> None:
    if len(series) > 1:
        reader.refuse("series", "one series where kind is quantile, since quantiles do not add up", list(series))
    for entry in series:
        suffix = next((part for part in _HISTOGRAM_PARTS if entry.endswith(part)), None)
        if suffix is not None:
            whole = entry.removesuffix(suffix)
            reader.refuse("series", f"a histogram without {suffix} where kind is quantile, such as {whole}", entry)


def _read_labels(reader: OptionReader) -> dict[str, str]:
    """Return the wanted values of labels; one that looks like a number or truth value is a text on the page."""
    found = {}
    for key in reader.keys:
        if re.fullmatch(_LABEL_NAME, key) is None:
            reader.refuse(key, f"under the name of a label, {_LABEL_NAME}", key)
        value = reader.peek(key)
        if isinstance(value, bool):
            found[key] = str(value).lower()
        elif isinstance(value, (int, float)):
            found[key] = f"{value:.12g}"
        else:
            found[key] = reader.text(key, "", is_required=True)
        reader.has(key)
    return found
