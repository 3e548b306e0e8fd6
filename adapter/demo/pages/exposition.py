"""Text exposition of metrics, built once as a template and filled in at each scrape. It knows no metric by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain

from optimizer.simulation import HistogramCounts

Labels = Mapping[str, str]
Read = Callable[[], float]

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def render_labels(labels: Labels) -> str:
    """Return ``{a="1",b="2"}`` with names in order, "" without labels."""
    parts = [f'{name}="{value.translate(_ESCAPES)}"' for name, value in sorted(labels.items())]
    return "{" + ",".join(parts) + "}" if parts else ""


def render_header(name: str, kind: str, description: str) -> str:
    """Return the HELP and TYPE lines of a family."""
    return f"# HELP {name} {description}\n# TYPE {name} {kind}\n"


def constant(value: float) -> Read:
    """Return a reader that always reads `value`."""
    return float(value).__float__


class PageTemplate:
    """A page whose series never change, only their values.

    Parameters
    ----------
    created_s
        Value of the ``_created`` series of every counter and histogram [Unix s]; None leaves them out, as servers with
        several processes do.
    """

    def __init__(self, created_s: float | None = None) -> None:
        self._created_s = created_s
        self._text: list[str] = []
        self._reads: list[Callable[[], Iterable[float]]] = []
        self._template = ""

    def add_family(self, name: str, kind: str, description: str, series: Iterable[tuple[str, Labels, Read]]) -> None:
        """Add a family of any kind, each series with the suffix of its name."""
        self._add_text(render_header(name, kind, description))
        for suffix, labels, read in series:
            self._add_line(name + suffix, labels)
            self._reads.append(lambda read=read: (read(),))  # type: ignore[misc]

    def add_gauge(self, name: str, description: str, series: Iterable[tuple[Labels, Read]]) -> None:
        """Add a gauge."""
        self.add_family(name, "gauge", description, [("", labels, read) for labels, read in series])

    def add_counter(self, name: str, description: str, series: Iterable[tuple[Labels, Read]]) -> None:
        """Add a counter whose `name` ends in ``_total``."""
        series = list(series)
        self.add_family(name, "counter", description, [("", labels, read) for labels, read in series])
        self._add_created(name.removesuffix("_total"), description, [labels for labels, _ in series])

    def add_histogram(self, name: str, description: str, series: Iterable[tuple[Labels, HistogramCounts]]) -> None:
        """Add a histogram."""
        series = list(series)
        self._add_text(render_header(name, "histogram", description))
        for labels, counts in series:
            edges = [*map(_render_edge, counts.edges), "+Inf"]
            for edge in edges:
                self._add_line(f"{name}_bucket", {**labels, "le": edge})
            self._add_line(f"{name}_count", labels)
            self._add_line(f"{name}_sum", labels)
            self._reads.append(lambda counts=counts: _read_histogram(counts))  # type: ignore[misc]
        self._add_created(name, description, [labels for labels, _ in series])

    def render(self) -> str:
        """Return the page with the present values."""
        if not self._template:
            self._template = "".join(self._text)
        return self._template % tuple(map(float, chain.from_iterable(read() for read in self._reads)))

    def _add_created(self, name: str, description: str, series: Iterable[Labels]) -> None:
        if self._created_s is not None:
            read = constant(self._created_s)
            self.add_gauge(f"{name}_created", description, [(labels, read) for labels in series])

    def _add_line(self, name: str, labels: Labels) -> None:
        self._add_text(name + render_labels(labels))
        self._text.append(" %r\n")

    def _add_text(self, text: str) -> None:
        self._text.append(text.replace("%", "%%"))
        self._template = ""


def _render_edge(edge: float) -> str:
    """Return `edge` as exporters write it: with an exponent from a million on."""
    short = f"{edge:g}"
    return short if edge >= 1e6 and float(short) == edge else repr(float(edge))


def _read_histogram(counts: HistogramCounts) -> Iterable[float]:
    cumulative = counts.accumulate()
    return (*cumulative, cumulative[-1], counts.total)
