"""The table a demo shows while it runs: each variant with its numbers and its reason. Text only; it fetches nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]

_HEADINGS = ("variant", "planned", "requested", "ready", "cost/h", "SLO met", "reason")
_WIDTHS = (30, 7, 9, 13, 8, 13)
NOTHING = "–"


def render_table(status: Document, decisions: Document | None, width: int) -> list[str]:
    """Return the lines of the table, each at most `width` wide.

    Parameters
    ----------
    status
        What the fleet says of itself.
    decisions
        What the autoscaler says; None while it says nothing.
    width
        Columns of the terminal.
    """
    decided = {(model["namespace"], model["model"]): model for model in (decisions or {}).get("models", [])}
    lines = [_render_headline(status), _join(_HEADINGS)]
    for model in status["models"]:
        decision = decided.get((model["namespace"], model["model_id"]))
        lines.append(_render_model(model, decision))
        owned = [w for w in status["workloads"] if w["model_id"] == model["model_id"]]
        lines.extend(_render_workload(workload, decision) for workload in owned)
    return [line[:width] for line in lines]


def render_lateness(status: Document, speed: float) -> str | None:
    """Return a warning when the machine does not keep up with the clock, None when it does."""
    late = status["lateness"]
    if not late["is_behind"]:
        return None
    return (
        f"this machine cannot carry --speed {speed:g}: engines are served {late['engine_s']:.2f} s late, requests go "
        f"out up to {late['load_s']:.2f} s late (of the demo's clock); figures suffer, try a lower speed"
    )


def _render_headline(status: Document) -> str:
    elapsed_s = status["now_s"] - status["begin_s"]
    minutes, seconds = divmod(int(max(elapsed_s, 0.0)), 60)
    per_hour = sum(workload["cost_per_hour"] for workload in status["workloads"])
    return f"{minutes:3d}:{seconds:02d} of demo time   fleet {per_hour:.2f}/h now, {status['cost']:.3f} so far"


def _render_model(model: Document, decision: Document | None) -> str:
    if decision is None:
        return f"{model['nickname']}: no decision yet"
    demand, forecast = decision["demand_per_s"]["value"], decision["forecast_per_s"]["value"]
    parts = [
        f"{model['nickname']}: demand {_rate(demand)}",
        f"forecast {_rate(forecast)}",
        f"need {_rate(decision['need_per_s'])}",
        f"cost {decision['cost_per_hour']:.2f}/h",
        f"SLO met {render_share(model['recent'])} (all: {render_share(model['total'])})",
        f"held {model['held_requests']}" if model["held_requests"] else "",
        f"[{decision['reason']['code']}]",
    ]
    return "  ".join(part for part in parts if part)


def _render_workload(workload: Document, decision: Document | None) -> str:
    line = _find_line(workload, decision)
    ready = str(workload["ready"])
    extra = [f"+{workload['starting']} up" if workload["starting"] else ""]
    extra.append(f"{workload['terminating']} down" if workload["terminating"] else "")
    ready = " ".join(part for part in (ready, *extra) if part)
    reason = NOTHING
    if line is not None:
        told = line["hold"] or line["reason"]
        reason = f"{'hold ' if line['hold'] else ''}{told['code']}: {told['message']}"
    return _join(
        (
            f"  {workload['name']}",
            NOTHING if line is None else str(line["planned_replicas"]),
            str(workload["requested"]),
            ready,
            f"{workload['cost_per_hour']:.2f}",
            render_share(workload["recent"]),
            reason,
        )
    )


def _find_line(workload: Document, decision: Document | None) -> Document | None:
    lines: Sequence[Document] = [] if decision is None else decision["variants"]
    return next((line for line in lines if line["deployment"] == workload["name"]), None)


def render_share(pair: Sequence[int]) -> str:
    """Return the share of `pair` (requests judged, requests met) as text."""
    judged, met = pair
    return f"{100 * met / judged:.1f} %" if judged else NOTHING


def _rate(value_per_s: float | None) -> str:
    return NOTHING if value_per_s is None else f"{value_per_s:.2f}/s"


def _join(cells: Sequence[str]) -> str:
    fitted = [cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=False)]
    return " ".join([*fitted, *cells[len(_WIDTHS) :]]).rstrip()
