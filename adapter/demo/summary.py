"""The summary a demo ends with: what our mix cost and attained, beside baselines over the same demand. Text only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from adapter.demo.live_table import NOTHING

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SummaryLine:
    """One way to have served the demand.

    Attributes
    ----------
    name
        What it is called.
    cost
        Over the whole demo [currency]; None when it cannot serve the demand.
    attainment_ratio
        Share of the requests that met every target [0-1]; None when it was not measured.
    note
        What the figures mean.
    saving_ratio
        Share of this cost that our mix, treated alike, saves; negative where ours costs more, None for ours.
    """

    name: str
    cost: float | None
    attainment_ratio: float | None
    note: str
    saving_ratio: float | None = None


def summarize_attainment(report: Document) -> tuple[int, int]:
    """Return requests judged and requests that met every target, over all LLMs.

    What was under way at the end counts as missed when its first token was overdue, else not at all.
    """
    judged = sum(model["total"][0] for model in report["models"]) + sum(report["open_missed"])
    return judged, sum(model["total"][1] for model in report["models"])


def render_summary(report: Document, lines: Sequence[SummaryLine], speed: float) -> list[str]:
    """Return the lines of the summary.

    Parameters
    ----------
    report
        What the fleet said at its end.
    lines
        Our mix first, then the baselines.
    speed
        Of the demo's clock.
    """
    duration_s = report["now_s"] - report["begin_s"]
    judged, _ = summarize_attainment(report)
    text = [
        "",
        f"Summary: {duration_s / 60:.1f} minutes of demo time, {len(report['requests'])} requests, {judged} judged",
        f"  {'':<42} {'cost':>9} {'SLO met':>9}",
    ]
    text.extend(_render_line(line) for line in lines)
    for model, latencies, missed in zip(report["models"], report["latencies"], report["open_missed"], strict=True):
        text.extend(_render_model(model, latencies, missed))
    late = report["lateness"]
    if late["looks_behind"]:
        share = 100 * late["looks_behind"] / max(late["looks"], 1)
        text.append(
            f"  The machine was behind --speed {speed:g} at {share:.0f} % of the looks: figures suffer from it."
        )
    return text


def to_json(report: Document, lines: Sequence[SummaryLine], decisions: Sequence[Document]) -> dict[str, Any]:
    """Return the summary as plain data, with what was decided when, and without the single requests."""
    judged, met = summarize_attainment(report)
    told = ("begin_s", "now_s", "cost", "models", "workloads", "latencies", "open_missed", "lateness", "attainment")
    return {
        **{name: report[name] for name in told},
        "requests_sent": len(report["requests"]),
        "requests_judged": judged,
        "requests_met": met,
        "lines": [asdict(line) for line in lines],
        "decisions": list(decisions),
    }


def _render_line(line: SummaryLine) -> str:
    cost = NOTHING if line.cost is None else f"{line.cost:.3f}"
    met = NOTHING if line.attainment_ratio is None else f"{100 * line.attainment_ratio:.2f} %"
    compared = ""
    if line.saving_ratio is not None:
        compared = f"ours {'saves' if line.saving_ratio >= 0 else 'costs'} {100 * abs(line.saving_ratio):.1f} %"
        compared += "; " if line.saving_ratio >= 0 else " more; "
    return f"  {line.name:<42} {cost:>9} {met:>9}  {compared}{line.note}"


def _render_model(model: Document, latencies: Document, missed: int) -> list[str]:
    fates = ", ".join(f"{count} {fate}" for fate, count in model["fates"].items() if count)
    overdue = f", {missed} overdue at the end" if missed else ""
    return [
        f"  {model['nickname']}: {fates or 'no request ended'}{overdue}",
        f"    engine time:  TTFT {_render(latencies['engine_ttft'])}   ITL {_render(latencies['engine_itl'])}",
        f"    client saw:   TTFT {_render(latencies['client_ttft'])}   ITL {_render(latencies['client_itl'])}",
    ]


def _render(latency: Document) -> str:
    if not latency["count"]:
        return NOTHING
    return f"mean {_time(latency['mean_s'])}, p99 {_time(latency['p99_s'])}"


def _time(value_s: float) -> str:
    return f"{value_s * 1e3:.1f} ms" if value_s < 1.0 else f"{value_s:.2f} s"
