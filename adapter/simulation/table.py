"""Runs as text: figures side by side, and the bounds below them. It computes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from adapter.simulation.figures import Figures
from adapter.simulation.running import Outcome
from optimizer.domain import LatencyQuantity

Row: TypeAlias = tuple[str, Callable[[Figures], str]]
"""Name of a row, and what stands in the column of a run; "" where there is nothing to say."""

MOST_COLUMNS = 6
"""Policies side by side; further ones follow in another block."""


def render_table(figures: Sequence[Figures]) -> str:
    """Return the figures, one column for each run."""
    blocks = [figures[start : start + MOST_COLUMNS] for start in range(0, len(figures), MOST_COLUMNS)]
    return "\n".join(_render_block(block) for block in blocks)


def render_bounds(outcome: Outcome) -> str:
    """Return the ladder of one run, its own cost among the rungs; "" where it was not asked for."""
    ladder = outcome.ladder
    if ladder is None:
        return ""
    cost, share = outcome.result.cost, outcome.result.attainment_ratio
    lines = [f"bounds for {outcome.policy}, which cost {cost:.4f} and attained {100.0 * share:.4g} %:"]
    lines += [f"  {line}" for line in ladder.total.render()]
    if len(ladder.models) > 1:
        lines += [
            f"  {one.model.model_id}: cost {one.cost:.4f}, attained {100.0 * one.attainment_ratio:.4g} %, "
            f"bound {one.ladder.bound:.4f}"
            for one in ladder.models
        ]
    lines += [f"  VIOLATED: {line}" for line in ladder.violations]
    return "\n".join(lines) + "\n"


def _render_block(block: Sequence[Figures]) -> str:
    rows = [["", *(one.policy for one in block)]]
    told = [[name, *(read(one) for one in block)] for name, read in _list_rows(block)]
    rows += [row for row in told if any(cell != "" for cell in row[1:])]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        + "\n"
        for row in rows
    )


def _list_rows(block: Sequence[Figures]) -> list[Row]:
    """Return all rows, with one for every service class where there are several."""
    lines = block[0].classes
    several = len({line.model for line in lines}) > 1
    rows = list(_ROWS)
    if len(lines) > 1:
        place = next(number for number, (name, _) in enumerate(rows) if name == "goodput per cost")
        rows[place:place] = [
            (
                f"  {line.model.rpartition('/')[2]} {line.service_class}" if several else f"  {line.service_class}",
                _read_class(number),
            )
            for number, line in enumerate(lines)
        ]
    return rows


def _read_class(number: int) -> Callable[[Figures], str]:
    return lambda one: _percent(one.classes[number].attainment_ratio) if one.classes[number].requests else "none asked"


def _read_kept(quantity: LatencyQuantity) -> Callable[[Figures], str]:
    return lambda one: _percent(one.kept_ratio[quantity])


def _read_quantiles(quantity: LatencyQuantity) -> Callable[[Figures], str]:
    return lambda one: f"{_duration(one.p50_s[quantity])} / {_duration(one.p99_s[quantity])}"


def _percent(ratio: float | None) -> str:
    return "" if ratio is None else f"{100.0 * ratio:.2f} %"


def _duration(time_s: float) -> str:
    if math.isinf(time_s):
        return "never"
    return f"{1000.0 * time_s:.0f} ms" if time_s < 1.0 else f"{time_s:.3g} s"


_ROWS: tuple[Row, ...] = (
    ("cost", lambda one: f"{one.cost:.4f}"),
    ("bound at its attainment", lambda one: "" if one.bound is None else f"{one.bound:.4f}"),
    ("bound, measured", lambda one: "" if one.measured_bound is None else f"{one.measured_bound:.4f}"),
    ("cost over bound", lambda one: f"{one.cost / one.bound:.2f}" if one.bound else ""),
    ("attained, all promises", lambda one: _percent(one.attainment_ratio)),
    ("  TTFT", _read_kept(LatencyQuantity.TTFT)),
    ("  ITL", _read_kept(LatencyQuantity.ITL)),
    ("  TTLT", _read_kept(LatencyQuantity.TTLT)),
    ("goodput per cost", lambda one: f"{one.goodput_per_cost:.1f}"),
    ("TTFT P50 / P99", _read_quantiles(LatencyQuantity.TTFT)),
    ("ITL P50 / P99", _read_quantiles(LatencyQuantity.ITL)),
    ("TTLT P50 / P99", _read_quantiles(LatencyQuantity.TTLT)),
    ("replicas, mean / max", lambda one: f"{one.mean_replicas:.2f} / {one.max_replicas}"),
    ("changes per hour", lambda one: f"{one.changes_per_h:.1f}"),
    ("reversals in 10 min", lambda one: str(one.reversals)),
    ("under capacity, demand", lambda one: f"{one.under_demand_s:.0f} s"),
    ("under capacity, own action", lambda one: f"{one.under_own_action_s:.0f} s"),
    ("recovered from a jump", lambda one: "" if one.recovery_s is None else _duration(one.recovery_s)),
    ("requests", lambda one: str(one.requests)),
    ("dropped", lambda one: str(one.failed)),
)
