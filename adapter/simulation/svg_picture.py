"""Runs as one SVG: demand, replicas by state, attainment, and cost with its bound, all over time. Text in, text out.

Of one run the four panels stand below each other; of several there is a row for each, at the same scales.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from adapter.simulation.course import Course
from adapter.simulation.svg_panel import (
    Panel,
    draw_bound,
    draw_frame,
    draw_line,
    draw_state_names,
    draw_states,
    draw_times,
)

_NAMES = ("demand [1/s]", "replicas", "attained [%]", "cost")
_DEMAND, _ATTAINED, _COST = "#444444", "#1f6fb4", "#d9622b"


@dataclass(frozen=True, slots=True)
class PictureRun:
    """One run to draw: its policy, its course, and the bound for what it attained [currency], None without."""

    policy: str
    course: Course
    bound: float | None = None

    @property
    def drawn_bound(self) -> float:
        """The bound where there is one to be drawn, else 0."""
        return self.bound if self.bound is not None and math.isfinite(self.bound) else 0.0


def render_svg(title: str, horizon_s: float, runs: Sequence[PictureRun]) -> str:
    """Return the picture of `runs` (one at least) over `horizon_s` [s] as a document of its own."""
    scales = _choose_scales(runs)
    if len(runs) == 1:
        return _render_one(title, horizon_s, runs[0], scales)
    return _render_rows(title, horizon_s, runs, scales)


def _render_one(title: str, horizon_s: float, run: PictureRun, scales: Sequence[tuple[float, float]]) -> str:
    left, top, width, height, gap, right = 64.0, 52.0, 706.0, 120.0, 34.0, 190.0
    panels = [
        Panel(left, top + number * (height + gap), width, height, horizon_s, most, least)
        for number, (least, most) in enumerate(scales)
    ]
    parts = [draw_frame(panel, name) for panel, name in zip(panels, _NAMES, strict=True)]
    parts += _draw_run(panels, run, label_left=panels[0].right + 12.0, anchor="start")
    parts.append(draw_state_names(panels[1].right + 12.0, panels[1].top + 14.0))
    parts.append(draw_times(panels[-1]))
    return _wrap(title, left + width + right, panels[-1].bottom + 74.0, parts)


def _render_rows(
    title: str, horizon_s: float, runs: Sequence[PictureRun], scales: Sequence[tuple[float, float]]
) -> str:
    left, top, width, height, gap, margin = 176.0, 84.0, 250.0, 96.0, 22.0, 56.0
    parts, rows = [draw_state_names(left, 46.0, is_row=True)], []
    for number, run in enumerate(runs):
        row = [
            Panel(left + place * (width + margin), top + number * (height + gap), width, height, horizon_s, most, least)
            for place, (least, most) in enumerate(scales)
        ]
        names = _NAMES if number == 0 else ("",) * len(_NAMES)
        parts += [draw_frame(panel, name) for panel, name in zip(row, names, strict=True)]
        parts += _draw_run(row, run, label_left=row[-1].right - 4.0, anchor="end")
        name = escape(run.policy)
        parts.append(f'<text x="12" y="{row[0].top + height / 2.0:g}" font-weight="bold">{name}</text>')
        rows.append(row)
    parts += [draw_times(panel, 4) for panel in rows[-1]]
    return _wrap(title, rows[0][-1].right + 24.0, rows[-1][0].bottom + 34.0, parts)


def _draw_run(panels: Sequence[Panel], run: PictureRun, *, label_left: float, anchor: str) -> list[str]:
    """Return the content of the four panels of one run."""
    demand, replicas, attained, cost = panels
    shares = [None if share is None else 100.0 * share for share in run.course.attained]
    parts = [
        draw_line(demand, run.course, run.course.demand_per_s, _DEMAND),
        draw_states(replicas, run.course),
        draw_line(attained, run.course, shares, _ATTAINED),
        draw_line(cost, run.course, run.course.cost, _COST),
    ]
    if run.drawn_bound > 0.0:
        parts.append(draw_bound(cost, run.drawn_bound, _COST, label_left=label_left, anchor=anchor))
    return parts


def _choose_scales(runs: Sequence[PictureRun]) -> list[tuple[float, float]]:
    """Return the least and the highest value of every panel, the same for all runs.

    Attainment begins at 90 % where no bin attained less, so that the last tenth can be seen.
    """
    shares = [share for run in runs for share in run.course.attained if share is not None]
    return [
        (0.0, max(max(run.course.demand_per_s, default=0.0) for run in runs)),
        (0.0, max(max(run.course.replicas, default=0.0) for run in runs)),
        (90.0 if min(shares, default=1.0) >= 0.9 else 0.0, 100.0),
        (0.0, max(max(run.course.cost[-1], run.drawn_bound) for run in runs)),
    ]


def _wrap(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>\n'
        f'<text x="12" y="24" font-size="15">{escape(title)}</text>\n' + "\n".join(parts) + "\n</svg>\n"
    )
