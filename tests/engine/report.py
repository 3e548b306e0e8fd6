"""Shows judgements as a table and as JSON. It judges nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.engine.compare import Line

HEADINGS = ("", "what", "expected", "observed", "bound")


def render_table(lines: Sequence[Line]) -> str:
    """Return one row a judgement, columns as wide as their content."""
    rows = [HEADINGS] + [
        ("pass" if line.is_passed else "FAIL", line.subject, line.expected, line.observed, line.bound) for line in lines
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def write_report(path: Path, lines: Sequence[Line], facts: Mapping[str, object]) -> None:
    """Write verdict, facts and judgements to `path`."""
    report = {"passed": is_passed(lines), **facts, "lines": [asdict(line) for line in lines]}
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def is_passed(lines: Sequence[Line]) -> bool:
    """Whether there are judgements and none failed."""
    return bool(lines) and all(line.is_passed for line in lines)
