"""Finds the wanted samples in a page of metrics (Prometheus text or OpenMetrics), and only those.

It knows the grammar of pages, not what an engine means by a name; it does no I/O.

A page has hundreds of lines of which some dozens matter, so lines are chosen by one compiled expression over the whole
body, and label sets, which repeat from page to page, are parsed once and remembered.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache

from adapter.errors import BadDocument

Labels = Mapping[str, str]

MAX_PAGE_BYTES = 16 * 1024 * 1024
"""Longer bodies are refused unread; real pages have 50 kB to 10 MB."""

_REMEMBERED_LABEL_SETS = 8192
_LONGEST_LABELS_BYTES = (
    8192  # real ones have up to 1300; a hostile page cannot fill the memory through what is remembered
)
_SHOWN_BYTES = 60

_LABEL = re.compile(
    rb'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"([^"\\]*(?:\\.[^"\\]*)*)"[ \t]*(?:,[ \t]*|\Z)', re.DOTALL
)
_SUFFIX = re.compile("_(?:bucket|sum|count)$")
_ESCAPE = re.compile(r'\\([\\"n])')
_NUMBER = rb"([-+.0-9eEINafn]+)"
# Nearly all lines are plain: no brace within labels, nothing behind the value.
_PLAIN_OR_ANY_REST = rb"(?:(?:\{([^}]*)\})? " + _NUMBER + rb"|([ \t{][^\n]*)?)(?=\n)"
_STRICT_REST = re.compile(
    rb'[ \t]*(?:\{([^"}]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^"}]*)*)\})?'  # labels; a brace inside quotes does not end them
    rb"[ \t]*"
    + _NUMBER  # value
    + rb"(?:[ \t]+[-+.0-9eE]+)?"  # time stamp
    rb"[ \t]*(?:#.*)?\Z",  # exemplar
    re.DOTALL,
)
_KINDS = {b"<": "HTML", b"{": "JSON", b"[": "JSON", b"\x1f": "compressed"}


@dataclass(frozen=True, slots=True)
class Page:
    """The wanted samples of one page.

    Attributes
    ----------
    samples
        For each wanted name found, values by the raw text of their labels (see `parse_labels`). A series that stands
        twice on the page is there once, with its last value.
    is_cut
        Whether the page visibly ends too early. Of the name at the cut nothing is in `samples`, since what remains of
        its series could be taken for all of them.
    problems
        Why a name of which an odd line was to cost nobody the page is not in `samples`.
    """

    samples: Mapping[str, Mapping[bytes, float]]
    is_cut: bool = False
    problems: Mapping[str, str] = field(default_factory=dict)


class PageReader:
    """Reads the samples of the given names out of pages.

    ``vllm:x`` is found as ``vllm_x`` as well, which is how OpenMetrics pages write it.

    Parameters
    ----------
    names
        Wanted names as written on the line, suffixes such as ``_total`` and ``_bucket`` included, each with the name
        under which its samples are handed out. Several may share one: of a series that has both, the later line counts.
    guests
        Those of the names handed out of which a line that cannot be understood, or contradicts another, costs the name
        and not the page.
    """

    def __init__(self, names: Mapping[str, str], guests: Set[str] = frozenset()) -> None:
        self._names = {form.encode(): wanted for name, wanted in names.items() for form in _list_forms(name)}
        self._guests = {form for form, wanted in self._names.items() if wanted in guests}
        pattern = rb"\n(" + _to_pattern(self._names) + rb")" + _PLAIN_OR_ANY_REST
        self._find_lines = re.compile(pattern).findall

    def read(self, body: bytes) -> Page:
        """Return the wanted samples of `body`.

        Raises
        ------
        BadDocument
            If the body is too long, is no page of metrics, shows none of the wanted names, or the line of one that is
            no guest cannot be understood.
        """
        if len(body) > MAX_PAGE_BYTES:
            raise BadDocument(f"page must be <= {MAX_PAGE_BYTES} bytes, got {len(body)}")
        if b"\r" in body:
            body = body.replace(b"\r\n", b"\n")
        is_cut = not body.endswith((b"\n", b"# EOF"))
        found, problems = self._find_samples(body)
        samples = {name: series for name, series in self._rename(found).items() if name not in problems}
        if is_cut:
            _drop_family(samples, self._find_last_name(body))
        if not samples and not problems:
            raise BadDocument(f"page shows none of the wanted series, {_describe(body)}")
        return Page(samples, is_cut, problems)

    def _find_samples(self, body: bytes) -> tuple[Mapping[bytes, Mapping[bytes, float]], dict[str, str]]:
        """Return the samples by name as written, and what is wrong with guests by the name handed out."""
        found: defaultdict[bytes, dict[bytes, float]] = defaultdict(dict)
        problems: dict[str, str] = {}
        guests = self._guests
        for name, labels, value, rest in self._find_lines(b"\n" + body):
            try:
                place, text = _split_strictly(rest) if rest else (labels, value)
                number = float(text)
            except (BadDocument, ValueError) as problem:
                if name not in guests:
                    raise BadDocument(_explain(problem)) from problem
                problems[self._names[name]] = _explain(problem)
                continue
            series = found[name]
            if name in guests and place in series and series[place] != number:
                problems[self._names[name]] = f"it stands twice with the labels {_show(place)}, as two values"
            series[place] = number
        return found, problems

    def _rename(self, found: Mapping[bytes, Mapping[bytes, float]]) -> dict[str, dict[bytes, float]]:
        samples: dict[str, dict[bytes, float]] = {}
        for name, series in found.items():
            samples.setdefault(self._names[name], {}).update(series)
        return samples

    def _find_last_name(self, body: bytes) -> str:
        """Return what stands on the last whole line, "" when that is nothing wanted."""
        end = body.rfind(b"\n")
        line = body[body.rfind(b"\n", 0, max(end, 0)) + 1 : max(end, 0)]
        name = re.split(rb"[ \t{]", line, maxsplit=1)[0]
        return self._names.get(name, "")


def is_bucket(name: str) -> bool:
    """Return whether `name` is that of a histogram's bucket."""
    return name.endswith("_bucket")


@lru_cache(maxsize=_REMEMBERED_LABEL_SETS)
def parse_labels(raw: bytes) -> Labels:
    """Return the labels written as `raw`, without the braces.

    Raises
    ------
    BadDocument
        If they are not ``name="value"`` separated by commas, in UTF-8, or absurdly long.
    """
    if len(raw) > _LONGEST_LABELS_BYTES:
        raise BadDocument(f"labels must be <= {_LONGEST_LABELS_BYTES} bytes, got {len(raw)}: {_show(raw)}")
    labels: dict[str, str] = {}
    position = 0
    while position < len(raw):
        match = _LABEL.match(raw, position)
        if match is None:
            raise BadDocument(f"labels cannot be read: {_show(raw)}")
        try:
            value = match[2].decode()
        except UnicodeDecodeError as cause:
            raise BadDocument(f"labels are not UTF-8: {_show(raw)}") from cause
        labels[match[1].decode()] = _ESCAPE.sub(_unescape, value) if "\\" in value else value
        position = match.end()
    return labels


def _drop_family(samples: dict[str, dict[bytes, float]], name: str) -> None:
    """Take everything of the metric that `name` belongs to out of `samples`: its buckets, its sum and its count."""
    family = _SUFFIX.sub("", name)
    for other in [other for other in samples if _SUFFIX.sub("", other) == family]:
        del samples[other]


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]


def _explain(problem: BadDocument | ValueError) -> str:
    return str(problem) if isinstance(problem, BadDocument) else f"value cannot be read: {problem}"


def _split_strictly(rest: bytes) -> tuple[bytes, bytes]:
    """Return raw labels and value of a line behind its name, which has a time stamp, an exemplar or odd blanks."""
    match = _STRICT_REST.match(rest)
    if match is None:
        raise BadDocument(f"sample cannot be read: {_show(rest)}")
    return match[1] or b"", match[2]


def _list_forms(name: str) -> tuple[str, ...]:
    return (name, name.replace(":", "_", 1)) if ":" in name else (name,)


def _to_pattern(names: Iterable[bytes]) -> bytes:
    """Return an expression that matches exactly `names`, trying each character once."""
    tails: dict[bytes, list[bytes]] = {}
    for name in names:
        tails.setdefault(name[:1], []).append(name[1:])
    ends = b"" in tails
    branches = [re.escape(head) + _to_pattern(rest) for head, rest in sorted(tails.items()) if head]
    if not branches:
        return b""
    joined = branches[0] if len(branches) == 1 and not ends else b"(?:" + b"|".join(branches) + b")"
    return joined + b"?" if ends else joined


def _describe(body: bytes) -> str:
    if not body.strip():
        return "it is empty"
    kind = _KINDS.get(body.lstrip()[:1])
    return f"it begins with {_show(body)}" + (f" and looks like {kind}" if kind else "")


def _show(raw: bytes) -> str:
    return repr(raw[:_SHOWN_BYTES].decode("utf-8", "replace"))
