"""Keeps a trial as files: pages, requests and phases, in a form that other tests can replay. It reads nothing back."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path

from tests.engine.compare import Span
from tests.engine.record import RequestRecord
from tests.engine.schedule import Phase, Restart
from tests.engine.watch import Answer

COLUMNS = ("sent_s", "input_tokens", "output_tokens", "first_s", "done_s", "status")


def write_recording(
    folder: Path,
    name: str,
    pages: Sequence[Answer],
    records: Sequence[RequestRecord],
    parts: Sequence[tuple[Phase | Restart, Span]],
) -> None:
    """Write `name`-pages.jsonl.gz, `name`-requests.csv.gz and `name`-phases.json into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_answers(folder / f"{name}-pages.jsonl.gz", pages)
    _write_compressed(folder / f"{name}-requests.csv.gz", _render_requests(records))
    phases = json.dumps(_list_phases(parts), indent=1)
    (folder / f"{name}-phases.json").write_text(phases + "\n", encoding="utf-8")


def write_answers(path: Path, answers: Sequence[Answer]) -> None:
    """Write one line an answer: when it was asked for and when it began [s], 200 or what went wrong, the whole text."""
    lines = [
        json.dumps(
            {
                "t_s": _round(one.time_s),
                "begun_s": _round(one.begun_s),
                "status": 200 if one.status == "200" else one.status,
                "text": one.text,
            }
        )
        for one in answers
    ]
    _write_compressed(path, "\n".join(lines) + "\n")


def write_token_times(path: Path, records: Sequence[RequestRecord]) -> None:
    """Write one line a request: when it was sent, taken, and over, and when its tokens came [s]."""
    lines = [
        json.dumps(
            {
                "sent_s": _round(one.sent_s),
                "taken_s": _round(one.taken_s),
                "ended_s": _round(one.ended_s),
                "token_times_s": [_round(time_s) for time_s in one.token_times_s],
            }
        )
        for one in records
    ]
    _write_compressed(path, "\n".join(lines) + "\n")


def _list_phases(parts: Sequence[tuple[Phase | Restart, Span]]) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = []
    for part, span in parts:
        start_s = round(span.start_s, 2)
        if isinstance(part, Restart):
            entries.append({"start_s": start_s, "phase": "restart"})
            continue
        lengths = [part.input_ln_mean, part.output_ln_mean]
        if part.burst_requests:
            entries.append({"start_s": start_s, "phase": ["burst", part.burst_requests, *lengths]})
        entries.append({"start_s": start_s, "phase": [part.rate_per_s, part.duration_s, *lengths]})
    if parts:
        entries.append({"start_s": round(parts[-1][1].end_s, 2), "phase": "end"})
    return entries


def _render_requests(records: Sequence[RequestRecord]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in records:
        lengths = (one.input_tokens, one.output_tokens)
        writer.writerow([_round(one.sent_s), *lengths, _round(one.first_s), _round(one.done_s), one.status])
    return text.getvalue()


def _round(time_s: float | None) -> float | None:
    return None if time_s is None else round(time_s, 4)


def _write_compressed(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode(), mtime=0))  # no time inside: equal content gives equal files
