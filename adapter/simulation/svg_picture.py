"""Runs as one SVG: demand, replicas by state, attainment, and cost with its bound, all over time. Text in, text out.

One run shows its replicas by state as areas; of several, lines of all replicas are laid over each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from adapter.simulation.course import Course

_WIDTH, _LEFT, _RIGHT, _TOP = 960.0, 64.0, 190.0, 52.0
_PANEL, _GAP, _BOTTOM = 120.0, 34.0, 40.0
_COLORS = ("#1f6fb4", "#d9622b", "#2c8f4e", "#8c54a8", "#b3333f", "#7a5a45", "#c75ba1", "#6b6b6b", "#9a9a1c", "#1f9aa8")
_STEPS = (1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0)
_STATES = (("ready", "#2c8f4e"), ("draining", "#9ecfae"), ("starting", "#eebb55"), ("pending", "#c9c9c9"))

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class PictureRun:
    """One run to draw: its policy, its course, and the bound for what it attained [currency], None without."""

    policy: str
    course: Course
    bound: float | None = None


def render_svg(title: str, horizon_s: float, runs: Sequence[PictureRun]) -> str:
    """Return the picture of `runs` (one at least) over `horizon_s` [s] as a document of its own."""
    panels = [
        _Panel("demand [1/s]", 0, horizon_s, max(runs[0].course.demand_per_s, default=0.0)),
        _Panel("replicas", 1, horizon_s, max(max(run.course.replicas, default=0.0) for run in runs)),
        _Panel("attained [%]", 2, horizon_s, 100.0, _choose_floor(runs)),
        _Panel("cost", 3, horizon_s, max(max(run.course.cost[-1], _get_bound(run)) for run in runs)),
    ]
    parts = [_draw_frame(panel) for panel in panels]
    parts.append(_draw_line(panels[0], runs[0].course, runs[0].course.demand_per_s, "#444444"))
    if len(runs) == 1:
        parts += _draw_states(panels[1], runs[0].course)
    for number, run in enumerate(runs):
        color = _COLORS[number % len(_COLORS)]
        if len(runs) > 1:
            parts.append(_draw_line(panels[1], run.course, run.course.replicas, color))
            parts.append(_draw_name(number, run.policy, color))
        shares = [None if share is None else 100.0 * share for share in run.course.attained]
        parts.append(_draw_line(panels[2], run.course, shares, color))
        parts.append(_draw_line(panels[3], run.course, run.course.cost, color))
        if _get_bound(run) > 0.0:
            parts.append(_draw_bound(panels[3], _get_bound(run), color, with_name=len(runs) == 1))
    height = _TOP + len(panels) * (_PANEL + _GAP) + _BOTTOM
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH:g}" height="{height:g}" '
        f'viewBox="0 0 {_WIDTH:g} {height:g}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n'
        f'<text x="{_LEFT:g}" y="24" font-size="15">{escape(title)}</text>\n'
    )
    return head + "\n".join(parts) + "\n" + _draw_times(horizon_s, panels[-1]) + "</svg>\n"


@dataclass(frozen=True, slots=True)
class _Panel:
    """One frame: its name, its place from above, the length of time in it [s], the highest and the least value."""

    name: str
    place: int
    horizon_s: float
    most: float
    least: float = 0.0

    @property
    def top(self) -> float:
        return _TOP + self.place * (_PANEL + _GAP)

    def to_x(self, time_s: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(time_s / self.horizon_s, 1.0)

    def to_y(self, value: float) -> float:
        height = (value - self.least) / (self.most - self.least) if self.most > self.least else 0.0
        return self.top + _PANEL * (1.0 - height)


def _get_bound(run: PictureRun) -> float:
    """Return the bound of `run` where there is one to be drawn, else 0."""
    return run.bound if run.bound is not None and math.isfinite(run.bound) else 0.0


def _choose_floor(runs: Sequence[PictureRun]) -> float:
    """Return 90 where no bin attained less, so that the last tenth can be seen, else 0 [%]."""
    lowest = min((share for run in runs for share in run.course.attained if share is not None), default=1.0)
    return 90.0 if lowest >= 0.9 else 0.0


def _draw_frame(panel: _Panel) -> str:
    right = _WIDTH - _RIGHT
    return (
        f'<rect x="{_LEFT:g}" y="{panel.top:g}" width="{right - _LEFT:g}" height="{_PANEL:g}" fill="none" '
        f'stroke="#bbbbbb"/>\n<text x="{_LEFT:g}" y="{panel.top - 6:g}">{escape(panel.name)}</text>\n'
        f'<text x="{_LEFT - 6:g}" y="{panel.top + 10:g}" text-anchor="end">{panel.most:.3g}</text>\n'
        f'<text x="{_LEFT - 6:g}" y="{panel.top + _PANEL:g}" text-anchor="end">{panel.least:.3g}</text>'
    )


def _draw_line(panel: _Panel, course: Course, values: Values, color: str) -> str:
    """Return a line through the middles of the bins, broken where a value is missing."""
    pieces: list[list[str]] = [[]]
    for number, value in enumerate(values):
        if value is None:
            pieces.append([])
            continue
        x = panel.to_x((number + 0.5) * course.bin_s)
        pieces[-1].append(f"{x:.2f},{panel.to_y(value):.2f}")
    return "\n".join(
        f'<polyline fill="none" stroke="{color}" stroke-width="1.5" points="{" ".join(piece)}"/>'
        for piece in pieces
        if piece
    )


def _draw_states(panel: _Panel, course: Course) -> list[str]:
    """Return one area per state, stacked."""
    floor = [0.0] * len(course.ready)
    parts = []
    for number, (state, color) in enumerate(_STATES):
        values: Sequence[float] = getattr(course, state)
        ceiling = [below + value for below, value in zip(floor, values, strict=True)]
        upper = _list_corners(panel, course, ceiling)
        lower = _list_corners(panel, course, floor)[::-1]
        parts.append(f'<polygon fill="{color}" points="{" ".join(upper + lower)}"/>')
        y = panel.top + 14.0 + 18.0 * number
        parts.append(
            f'<rect x="{_WIDTH - _RIGHT + 12:g}" y="{y - 9:g}" width="10" height="10" fill="{color}"/>'
            f'<text x="{_WIDTH - _RIGHT + 28:g}" y="{y:g}">{state}</text>'
        )
        floor = ceiling
    return parts


def _list_corners(panel: _Panel, course: Course, values: Sequence[float]) -> list[str]:
    """Return the corners of a line of steps."""
    corners = []
    for number, value in enumerate(values):
        y = panel.to_y(value)
        for edge in (number, number + 1):
            corners.append(f"{panel.to_x(edge * course.bin_s):.2f},{y:.2f}")
    return corners


def _draw_bound(panel: _Panel, bound: float, color: str, *, with_name: bool) -> str:
    y, right = panel.to_y(bound), _WIDTH - _RIGHT
    line = f'<line x1="{_LEFT:g}" y1="{y:.2f}" x2="{right:g}" y2="{y:.2f}" stroke="{color}" stroke-dasharray="5 4"/>'
    return line + (f'<text x="{right + 12:g}" y="{y + 4:.2f}">bound {bound:.4g}</text>' if with_name else "")


def _draw_name(number: int, policy: str, color: str) -> str:
    y = _TOP + _PANEL + _GAP + 14.0 + 18.0 * number
    return (
        f'<rect x="{_WIDTH - _RIGHT + 12:g}" y="{y - 9:g}" width="10" height="10" fill="{color}"/>'
        f'<text x="{_WIDTH - _RIGHT + 28:g}" y="{y:g}">{escape(policy)}</text>'
    )


def _draw_times(horizon_s: float, lowest: _Panel) -> str:
    unit, length_s = ("h", 3600.0) if horizon_s > 10_800.0 else ("min", 60.0) if horizon_s > 180.0 else ("s", 1.0)
    step = next((one for one in _STEPS if horizon_s / length_s / one <= 8.0), horizon_s / length_s)
    y = lowest.top + _PANEL + 16.0
    ticks = []
    for number in range(math.floor(horizon_s / length_s / step + 1e-9) + 1):
        x = lowest.to_x(number * step * length_s)
        ticks.append(f'<text x="{x:.2f}" y="{y:g}" text-anchor="middle">{number * step:g} {unit}</text>')
    return "\n".join(ticks) + "\n"
