"""Sections about the speed of one replica that is known beforehand. Data and their rules only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapter.config.amounts import duration, number, ratio
from adapter.config.fields import option, required, rule
from adapter.config.kinds import Text
from adapter.config.nesting import ListOf
from adapter.config.problems import Problem
from adapter.config.section import Section

_TOKENS = number(above=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LawConfig:
    """Time of one engine iteration: fixed + per_request·n + per_context_token·K + per_prompt_token·P.

    n requests decode, they hold K context tokens together, and P prompt tokens are computed in the iteration.
    """

    fixed_s: float = required(duration(above=0), meaning="Time of an iteration without any work, such as 11.4ms.")
    per_request_s: float = required(duration(), meaning="Time per decoding request, such as 43us.")
    per_context_token_s: float = required(duration(), meaning="Time per token of context read, such as 81ns.")
    per_prompt_token_s: float = required(
        duration(above=0), meaning="Time per prompt token computed, such as 61.7us; of the linear fit of the prefill."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TableConfig:
    """Measured iteration times: either `file`, or the five fields that a file would hold.

    A file is CSV with the columns `kind`, `batch`, `tokens` and `milliseconds`. A row of kind `decode` is the time of
    one decode iteration of `batch` requests with `tokens` of context each; every batch comes with every context. A row
    of kind `prefill` is the time of the prefill of one prompt of `tokens` alone; its `batch` is 1.
    """

    file: str | None = option(
        Text("path of a CSV file"), default=None, meaning="The table; relative paths start at the configuration file."
    )
    batches: tuple[float, ...] = option(ListOf(number(at_least=1)), default=(), meaning="Running requests, ascending.")
    contexts_tokens: tuple[float, ...] = option(
        ListOf(_TOKENS), default=(), meaning="Mean context tokens per request, ascending."
    )
    decode_s: tuple[tuple[float, ...], ...] = option(
        ListOf(ListOf(duration(above=0))),
        default=(),
        meaning="Time of a pure decode iteration: one row per batch, one column per context.",
    )
    prompts_tokens: tuple[float, ...] = option(ListOf(_TOKENS), default=(), meaning="Prompt lengths, ascending.")
    prefill_s: tuple[float, ...] = option(
        ListOf(duration(above=0)), default=(), meaning="Time of the prefill of one prompt alone, one per length."
    )

    @rule("file", "batches", "contexts_tokens", "decode", "prompts_tokens", "prefill")
    def check_shape(self) -> Iterator[Problem]:
        """Yield a problem for every part that is missing, too much, or of the wrong shape."""
        parts = {
            "batches": self.batches,
            "contexts_tokens": self.contexts_tokens,
            "decode": self.decode_s,
            "prompts_tokens": self.prompts_tokens,
            "prefill": self.prefill_s,
        }
        if self.file is not None:
            yield from (Problem(key, "has no effect beside file") for key, part in parts.items() if part)
            return
        missing = [key for key, part in parts.items() if not part]
        if missing:
            yield Problem("", f"needs file, or all of {', '.join(parts)}; missing: {', '.join(missing)}")
            return
        yield from self._check_axes()
        yield from self._check_lengths()

    def _check_axes(self) -> Iterator[Problem]:
        axes = {
            "batches": self.batches,
            "contexts_tokens": self.contexts_tokens,
            "prompts_tokens": self.prompts_tokens,
        }
        for key, axis in axes.items():
            for i in range(1, len(axis)):
                if axis[i] <= axis[i - 1]:
                    yield Problem(f"{key}[{i}]", f"must be > {axis[i - 1]:g}, the one before it, got {axis[i]:g}")

    def _check_lengths(self) -> Iterator[Problem]:
        if len(self.decode_s) != len(self.batches):
            yield Problem("decode", f"must be {len(self.batches)} rows, one per batch, got {len(self.decode_s)}")
        for i, row in enumerate(self.decode_s):
            if len(row) != len(self.contexts_tokens):
                expected = len(self.contexts_tokens)
                yield Problem(f"decode[{i}]", f"must be {expected} times, one per context, got {len(row)}")
        if len(self.prefill_s) != len(self.prompts_tokens):
            expected = len(self.prompts_tokens)
            yield Problem("prefill", f"must be {expected} times, one per prompt length, got {len(self.prefill_s)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceConfig:
    """What is known beforehand of the speed of one replica; `law` or `table`."""

    law: LawConfig | None = option(Section(LawConfig), default=None, meaning="Coefficients of the iteration law.")
    table: TableConfig | None = option(Section(TableConfig), default=None, meaning="Measured iteration times.")
    kv_capacity_tokens: float | None = option(
        _TOKENS,
        default=None,
        meaning="Tokens that fit into the KV cache of one replica; none waits for the engine's own figure.",
    )
    overhead_s: float = option(
        duration(),
        default=0.02,
        meaning="Time the server adds to TTFT over the engine's own.",
        why="About 20 ms, measured on vLLM.",
    )
    derate_ratio: float = option(
        ratio(above=0.0, at_most=1.0),
        default=0.85,
        meaning="Share of the modelled capacity that is planned with; 1 suits figures measured on the server itself.",
        why="Tables of kernel times are 3 to 18 % optimistic about a server.",
    )

    @rule("law", "table")
    def check_choice(self) -> Iterator[Problem]:
        """Yield a problem unless exactly one of law and table is given."""
        if (self.law is None) == (self.table is None):
            yield Problem("", f"needs either law or table, got {'neither' if self.law is None else 'both'}")
