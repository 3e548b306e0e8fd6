"""Traces: read from the package or a file, invented, cut, and made denser or thinner. Nothing is simulated here.

A trace is never played faster than it was: denser means that moved copies of it are laid over each other, thinner that
requests are left out by chance. N requests.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from adapter.config.problems import suggest
from adapter.errors import BadDocument, NotFound
from adapter.simulation.names import TRACES

Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]
Shape: TypeAlias = Callable[[Floats], Floats]

COLUMNS = ("arrival_seconds", "input_tokens", "output_tokens")
MOVE_S = 300.0
"""A further copy is moved by up to this, as a whole [s]."""
SHIFT_AFTER_S = 86_400.0
"""Times whose first is later than this are of a clock of their own, and count from its whole second [s]."""
LONGEST_S = 31.0 * 86_400.0
"""No trace of a file is longer [s]."""
MOST_TOKENS = 10_000_000
"""No prompt and no answer of a file is longer [tokens]."""
MOST_REQUESTS = 10_000_000
"""No trace is made denser than this."""

_STORY_S = 1200.0
_LENGTHS, _COPIES = 1, 2  # streams of chance
_LATEST_S = 1e11  # beyond this a time is no Unix time in seconds
_HOUR = ("adapter.demo", "azure2023_conv.csv.gz")  # one copy of it, that of the embedded fleet
_DAY = ("adapter.simulation", "day_24h.csv.gz")


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Requests without an LLM.

    Attributes
    ----------
    name
        What it is called.
    arrival_s
        Since its begin, never falling, below `duration_s` [s]; N entries.
    input_tokens, output_tokens
        Lengths, >= 1 [tokens].
    duration_s
        Its length, silence at its end included [s].
    jumps_s
        When demand jumps up, as far as it is known [s].
    counted_from_s
        The time in its file that became 0 [s].
    """

    name: str
    arrival_s: Floats
    input_tokens: Counts
    output_tokens: Counts
    duration_s: float
    jumps_s: tuple[float, ...] = ()
    counted_from_s: float = 0.0

    def __len__(self) -> int:
        """Return N."""
        return len(self.arrival_s)


def read_trace(name: str, seed: int = 0) -> Trace:
    """Return the built-in trace called `name`, or that of a CSV file; `seed` is of those that are invented.

    Raises
    ------
    NotFound
        When it is neither built in nor a file.
    BadDocument
        Naming the line of a file that cannot be read.
    """
    if name == "azure-hour":
        return _read_packaged(name, *_HOUR)
    if name == "day":
        return _read_packaged(name, *_DAY, duration_s=86_400.0)
    if name in _SHAPES:
        return _invent(name, seed)
    path = Path(name)
    if not path.is_file():
        hint = "" if path.suffix in (".csv", ".gz") else suggest(name, TRACES)
        raise NotFound(f"no trace {name}: neither built in nor a file{hint}")
    try:
        return parse_trace(path.name, _unpack(path.read_bytes()))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as cause:
        raise BadDocument(f"trace {path} cannot be read: {cause}") from cause


def parse_trace(name: str, text: str, duration_s: float | None = None) -> Trace:
    """Return the trace of CSV text with the columns `COLUMNS`, in order of time; its end is a second after the last.

    Where the first time is later than `SHIFT_AFTER_S`, as of a log with Unix times, all count from its whole second.

    Raises
    ------
    BadDocument
        Naming the line that cannot be read or played.
    """
    reader = csv.DictReader(io.StringIO(text))
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise BadDocument(f"trace {name} has no column {', '.join(missing)}; it needs {','.join(COLUMNS)}")
    times_s: list[float] = []
    inputs, outputs = [], []
    begin_s = 0.0
    for row in reader:
        where = f"trace {name} line {reader.line_num}"
        time_s, tokens, answer = _read_row(where, row)
        if not times_s:
            begin_s = float(math.floor(time_s)) if time_s > SHIFT_AFTER_S else 0.0
        _check_order(where, time_s, times_s[-1] if times_s else 0.0, begin_s)
        times_s.append(time_s)
        inputs.append(tokens)
        outputs.append(answer)
    if not times_s:
        raise BadDocument(f"trace {name} has no requests")
    end_s = duration_s or math.floor(times_s[-1]) + 1.0 - begin_s
    arrival_s = np.array(times_s) - begin_s
    return Trace(name, arrival_s, np.array(inputs), np.array(outputs), end_s, counted_from_s=begin_s)


def cut_trace(trace: Trace, from_s: float = 0.0, for_s: float | None = None) -> Trace:
    """Return the stretch that begins at `from_s` and lasts `for_s` [s], or to the end, with times from its begin.

    Raises
    ------
    BadDocument
        When it lies outside the trace.
    """
    end_s = trace.duration_s if for_s is None else from_s + for_s
    if from_s >= trace.duration_s or end_s > trace.duration_s + 1e-9:
        raise BadDocument(
            f"trace {trace.name} lasts {trace.duration_s:.10g} s; there is no stretch from {from_s:.10g} s "
            f"to {end_s:.10g} s"
        )
    chosen = slice(*np.searchsorted(trace.arrival_s, (from_s, end_s)).tolist())
    lengths = trace.input_tokens[chosen], trace.output_tokens[chosen]
    jumps_s = tuple(jump_s - from_s for jump_s in trace.jumps_s if from_s < jump_s < end_s)
    arrival_s = trace.arrival_s[chosen] - from_s
    return Trace(trace.name, arrival_s, *lengths, end_s - from_s, jumps_s, trace.counted_from_s)


def scale_trace(trace: Trace, factor: float, seed: int = 0) -> Trace:
    """Return a trace of `factor` times the rate (> 0), over the same time.

    Every whole copy keeps all of its inter-arrival times; the second and further ones are moved as a whole, by chance,
    by up to `MOVE_S` (a twelfth of a short trace), around its ends. Of the last, partial copy requests are left out by
    chance.

    Raises
    ------
    BadDocument
        When these are more than `MOST_REQUESTS`.
    """
    if factor == 1.0:
        return trace
    if factor * len(trace) > MOST_REQUESTS:
        raise BadDocument(
            f"trace {trace.name} has {len(trace)} requests; {factor:g} times as many are more than the {MOST_REQUESTS} "
            "that can be played"
        )
    generator = np.random.default_rng([seed, _COPIES])
    whole = math.floor(factor)
    widest_s = min(MOVE_S, trace.duration_s / 12.0)
    times_s, places = [], []
    for copy in range(math.ceil(factor)):
        moved_s = generator.uniform(-widest_s, widest_s) if copy else 0.0
        draws = generator.random(len(trace))
        kept = np.flatnonzero(draws < (1.0 if copy < whole else factor - whole))
        times_s.append((trace.arrival_s[kept] + moved_s) % trace.duration_s if copy else trace.arrival_s[kept])
        places.append(kept)
    all_s, place = np.concatenate(times_s), np.concatenate(places)
    order = np.argsort(all_s, kind="stable")
    chosen = place[order]
    return replace(
        trace,
        arrival_s=all_s[order],
        input_tokens=trace.input_tokens[chosen],
        output_tokens=trace.output_tokens[chosen],
    )


def _read_packaged(name: str, package: str, file: str, duration_s: float | None = None) -> Trace:
    return parse_trace(name, _unpack((files(package) / "data" / file).read_bytes()), duration_s)


def _unpack(raw: bytes) -> str:
    return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")


def _read_row(where: str, row: dict[str, str]) -> tuple[float, int, int]:
    """Return time [s], prompt and answer [tokens] of the line at `where`, or raise BadDocument."""
    try:
        time_s, tokens, answer = float(row[COLUMNS[0]]), int(row[COLUMNS[1]]), int(row[COLUMNS[2]])
    except (TypeError, ValueError):
        raise BadDocument(f"{where} must hold {','.join(COLUMNS)}, got {_join(row)}") from None
    if not (0.0 <= time_s < math.inf and tokens >= 1 and answer >= 1):
        raise BadDocument(f"{where} must have a time >= 0 and 1 token at least, got {_join(row)}")
    if time_s >= _LATEST_S:
        raise BadDocument(f"{where} must have a time in seconds, below {_LATEST_S:g}, got {row[COLUMNS[0]]}")
    if max(tokens, answer) > MOST_TOKENS:
        raise BadDocument(f"{where} must have {MOST_TOKENS} tokens at most each, got {_join(row)}")
    return time_s, tokens, answer


def _check_order(where: str, time_s: float, before_s: float, begin_s: float) -> None:
    """Raise BadDocument when the time of the line at `where` is before that of the line before, or too late."""
    if time_s < before_s:
        raise BadDocument(f"{where} goes back in time, from {before_s:.15g} s to {time_s:.15g} s")
    if time_s >= begin_s + LONGEST_S:
        raise BadDocument(
            f"{where} must be less than {LONGEST_S:.0f} s (31 days) after {begin_s:.0f} s, where the trace begins, "
            f"got {time_s:.15g} s"
        )


def _join(row: dict[str, str]) -> str:
    values: Iterable[object] = row.values()
    return ",".join("nothing" if value is None else str(value) for value in values)[:60]


# --- Invented ---------------------------------------------------------------------------------------------------------
def _shape_step(times_s: Floats) -> Floats:
    return np.where((times_s >= _STORY_S / 3.0) & (times_s < 2.0 * _STORY_S / 3.0), 4.0, 2.0)


def _shape_ramp(times_s: Floats) -> Floats:
    middle_s = _STORY_S / 2.0
    return 5.0 - 4.0 * np.abs(times_s - middle_s) / middle_s


def _shape_spikes(times_s: Floats) -> Floats:
    return np.where(times_s % 240.0 >= 180.0, 3.0, 1.0)


_SHAPES: dict[str, Shape] = {"step": _shape_step, "ramp": _shape_ramp, "spikes": _shape_spikes}
_JUMPS_S = {"step": (_STORY_S / 3.0,), "spikes": tuple(180.0 + 240.0 * number for number in range(5))}
_HIGHEST_PER_S = 5.0


def _invent(name: str, seed: int) -> Trace:
    """Return a Poisson process of the rate of its shape [1/s]; the lengths are pairs of the Azure hour.

    Source: thinning of a process of constant rate (Lewis and Shedler, 1979).
    """
    generator = np.random.default_rng([seed, _LENGTHS])
    count = int(generator.poisson(_HIGHEST_PER_S * _STORY_S))
    times_s = np.sort(generator.uniform(0.0, _STORY_S, count))
    times_s = times_s[generator.uniform(0.0, _HIGHEST_PER_S, count) < _SHAPES[name](times_s)]
    lengths = _read_packaged(name, *_HOUR)
    drawn = generator.integers(0, len(lengths), len(times_s))
    return Trace(
        name, times_s, lengths.input_tokens[drawn], lengths.output_tokens[drawn], _STORY_S, _JUMPS_S.get(name, ())
    )
