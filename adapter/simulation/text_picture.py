"""A run as a few lines of blocks for a terminal: demand, replicas, attainment. It computes nothing but heights."""

from __future__ import annotations

from collections.abc import Sequence

from adapter.simulation.course import Course

WIDTH = 72
_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = "_.:-=+*#"


def render_text_picture(policy: str, course: Course, *, is_ascii: bool = False) -> str:
    """Return the picture, every line scaled by itself: blocks from nothing to the highest; a blank had no request."""
    blocks = _ASCII if is_ascii else _BLOCKS
    lines = [f"{policy}: {len(course.demand_per_s)} bins of {course.bin_s:g} s"]
    for name, values, unit in (
        ("demand", course.demand_per_s, "/s"),
        ("replicas", course.replicas, ""),
        ("ready", course.ready, ""),
        ("attained", course.attained, ""),
    ):
        squeezed = squeeze(values, WIDTH)
        known = [value for value in squeezed if value is not None]
        most = 1.0 if name == "attained" else max(known, default=0.0)
        lines.append(f"  {name:<8} {draw(squeezed, most, blocks)} {_tell_range(name, known, unit)}")
    return "\n".join(lines) + "\n"


def squeeze(values: Sequence[float | None], width: int) -> list[float | None]:
    """Return means of `values` in at most `width` cells, None where a cell has none."""
    cells = min(width, len(values))
    found: list[float | None] = []
    for cell in range(cells):
        part = values[cell * len(values) // cells : (cell + 1) * len(values) // cells]
        known = [value for value in part if value is not None]
        found.append(sum(known) / len(known) if known else None)
    return found


def draw(values: Sequence[float | None], most: float, blocks: str = _BLOCKS) -> str:
    """Return one block per value, the lowest for 0 and the highest for `most`; a blank for None."""
    top = len(blocks) - 1
    return "".join(
        " " if value is None else blocks[min(round(top * value / most), top) if most > 0.0 else 0] for value in values
    )


def _tell_range(name: str, known: Sequence[float], unit: str) -> str:
    if not known:
        return ""
    if name == "attained":
        return f"lowest {100.0 * min(known):.1f} %"
    return f"{min(known):.3g}..{max(known):.3g}{unit}"
