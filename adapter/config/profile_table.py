"""Measured iteration times from CSV text, checked for completeness. Pure; reads no files itself.

::

    kind,batch,tokens,milliseconds
    decode,1,128,6.4
    decode,1,2048,6.5
    decode,64,128,7.2
    decode,64,2048,12.9
    prefill,1,128,7.0
    prefill,1,2048,35.1
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping

from adapter.config.amounts import number
from adapter.config.problems import Findings
from adapter.errors import BadDocument
from optimizer.domain import IterationTable

COLUMNS = ("kind", "batch", "tokens", "milliseconds")
_POSITIVE = number(above=0)
_Times = dict[tuple[float, float], float]


def parse_table(text: str) -> IterationTable:
    """Return the table that CSV `text` holds; times in it are milliseconds, in the table seconds.

    Raises
    ------
    BadDocument
        Naming the first line that cannot be used, or what is missing.
    """
    times: Mapping[str, _Times] = {"decode": {}, "prefill": {}}
    for line, kind, batch, tokens, milliseconds in _iterate_rows(text):
        if kind not in times:
            raise BadDocument(f"line {line}: kind must be decode or prefill, got {kind}")
        if (batch, tokens) in times[kind]:
            raise BadDocument(f"line {line}: repeats {kind} of batch {batch:g} with {tokens:g} tokens")
        times[kind][batch, tokens] = milliseconds / 1e3
    return _to_table(times["decode"], times["prefill"])


def _iterate_rows(text: str) -> Iterator[tuple[int, str, float, float, float]]:
    rows = csv.DictReader(io.StringIO(text))
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise BadDocument(f"line 1: must be {','.join(COLUMNS)}")
    for row in rows:
        findings = Findings()
        batch, tokens, milliseconds = (_POSITIVE.read(row[column], column, findings) for column in COLUMNS[1:])
        if findings.problems or None in row:
            said = str(findings.problems[0]) if findings.problems else "has too many columns"
            raise BadDocument(f"line {rows.line_num}: {said}")
        yield rows.line_num, row["kind"] or "", batch, tokens, milliseconds


def _to_table(decode: _Times, prefill: _Times) -> IterationTable:
    if not decode or not prefill:
        raise BadDocument(f"has no rows of kind {'prefill' if decode else 'decode'}")
    batches, contexts = sorted({batch for batch, _ in decode}), sorted({tokens for _, tokens in decode})
    for batch in batches:
        for context in contexts:
            if (batch, context) not in decode:
                raise BadDocument(
                    f"has no decode time of batch {batch:g} with {context:g} tokens; the grid must be full"
                )
    if any(batch != 1 for batch, _ in prefill):
        raise BadDocument("has a prefill row of a batch other than 1")
    return IterationTable(
        batches=tuple(batches),
        contexts_tokens=tuple(contexts),
        decode_s=tuple(tuple(decode[batch, context] for context in contexts) for batch in batches),
        prompts_tokens=tuple(sorted(tokens for _, tokens in prefill)),
        prefill_s=tuple(prefill[1.0, tokens] for tokens in sorted(tokens for _, tokens in prefill)),
    )
