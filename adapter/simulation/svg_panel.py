"""One panel of a picture: a frame with its scale, and lines, areas and times within it. Text out; no layout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from adapter.simulation.course import Course

STATES = (("ready", "#2c8f4e"), ("draining", "#9ecfae"), ("starting", "#eebb55"), ("pending", "#c9c9c9"))
"""States of replicas, from the ground up, with their colors."""

_STEPS = (1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0)

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Panel:
    """A frame.

    Attributes
    ----------
    left, top, width, height
        Where it is.
    horizon_s
        Length of time in it [s].
    most, least
        Highest and lowest value.
    """

    left: float
    top: float
    width: float
    height: float
    horizon_s: float
    most: float
    least: float = 0.0

    @property
    def right(self) -> float:
        """Its other side."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Its floor."""
        return self.top + self.height

    def to_x(self, time_s: float) -> float:
        """Return where a moment is [s]."""
        return self.left + self.width * min(time_s / self.horizon_s, 1.0)

    def to_y(self, value: float) -> float:
        """Return where a value is."""
        height = (value - self.least) / (self.most - self.least) if self.most > self.least else 0.0
        return self.top + self.height * (1.0 - height)


def draw_frame(panel: Panel, name: str = "") -> str:
    """Return the frame with its scale, and `name` above it."""
    title = f'<text x="{panel.left:g}" y="{panel.top - 6:g}">{escape(name)}</text>\n' if name else ""
    return (
        f'<rect x="{panel.left:g}" y="{panel.top:g}" width="{panel.width:g}" height="{panel.height:g}" fill="none" '
        f'stroke="#bbbbbb"/>\n{title}'
        f'<text x="{panel.left - 6:g}" y="{panel.top + 10:g}" text-anchor="end">{panel.most:.3g}</text>\n'
        f'<text x="{panel.left - 6:g}" y="{panel.bottom:g}" text-anchor="end">{panel.least:.3g}</text>'
    )


def draw_line(panel: Panel, course: Course, values: Values, color: str) -> str:
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


def draw_states(panel: Panel, course: Course) -> str:
    """Return one area per state, stacked."""
    floor, parts = [0.0] * len(course.ready), []
    for state, color in STATES:
        values: Sequence[float] = getattr(course, state)
        ceiling = [below + value for below, value in zip(floor, values, strict=True)]
        corners = _list_corners(panel, course, ceiling) + _list_corners(panel, course, floor)[::-1]
        parts.append(f'<polygon fill="{color}" points="{" ".join(corners)}"/>')
        floor = ceiling
    return "\n".join(parts)


def draw_state_names(left: float, top: float, *, is_row: bool = False) -> str:
    """Return what the colors of states mean, below each other or in a row."""
    parts = []
    for number, (state, color) in enumerate(STATES):
        x, y = (left + 90.0 * number, top) if is_row else (left, top + 18.0 * number)
        parts.append(
            f'<rect x="{x:g}" y="{y - 9:g}" width="10" height="10" fill="{color}"/>'
            f'<text x="{x + 16:g}" y="{y:g}">{state}</text>'
        )
    return "\n".join(parts)


def draw_bound(panel: Panel, bound: float, color: str, *, label_left: float, anchor: str = "start") -> str:
    """Return a dashed line at `bound`, and its value beside it."""
    y = panel.to_y(bound)
    return (
        f'<line x1="{panel.left:g}" y1="{y:.2f}" x2="{panel.right:g}" y2="{y:.2f}" stroke="{color}" '
        f'stroke-dasharray="5 4"/>'
        f'<text x="{label_left:g}" y="{y + 4:.2f}" text-anchor="{anchor}">bound {bound:.4g}</text>'
    )


def draw_times(panel: Panel, most_ticks: int = 8) -> str:
    """Return the times below `panel`."""
    horizon_s = panel.horizon_s
    unit, length_s = ("h", 3600.0) if horizon_s > 10_800.0 else ("min", 60.0) if horizon_s > 180.0 else ("s", 1.0)
    span = horizon_s / length_s
    step = next((one for one in _STEPS if span / one <= most_ticks), span)
    ticks = []
    for number in range(math.floor(span / step + 1e-9) + 1):
        x = panel.to_x(number * step * length_s)
        text = f"{number * step:g} {unit}"
        ticks.append(f'<text x="{x:.2f}" y="{panel.bottom + 16:g}" text-anchor="middle">{text}</text>')
    return "\n".join(ticks)


def _list_corners(panel: Panel, course: Course, values: Sequence[float]) -> list[str]:
    """Return the corners of a line of steps."""
    return [
        f"{panel.to_x(edge * course.bin_s):.2f},{panel.to_y(value):.2f}"
        for number, value in enumerate(values)
        for edge in (number, number + 1)
    ]
