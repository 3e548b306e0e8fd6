"""Decisions as text for people: a paragraph per LLM, a table of its variants. Pure; prints nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optimizer.domain import ModelDecision, Observation, VariantDecision

_HEADINGS = ("variant", "accelerator", "requested", "ready", "planned", "capacity/s", "cost/h", "reason")


def render_decisions(decisions: Sequence[ModelDecision]) -> str:
    """Return the text, one line break at its end; what is not known is shown as ``-``."""
    return "\n".join("\n".join(_render_model(decision)) + "\n" for decision in decisions)


def render_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with columns as wide as their widest cell; the last column is left ragged."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]


def _render_model(decision: ModelDecision) -> Iterator[str]:
    yield f"{decision.key.namespace}/{decision.key.model_id}: {decision.reason}"
    yield (
        f"  demand {_render(decision.demand_per_s)}/s, forecast {_render(decision.forecast_per_s)}/s, "
        f"need {_render(decision.need_per_s)}/s, coverage {_render(decision.coverage_ratio)}, "
        f"utilization {_render(decision.utilization_ratio)}, cost {decision.cost_per_hour:.2f}/h, "
        f"routing {decision.routing}"
    )
    for condition in decision.conditions:
        if condition.status is not True:
            status = "unknown" if condition.status is None else "false"
            yield f"  {condition.type} is {status}: {condition.reason.message}"
    yield from (f"  {line}" for line in render_table([_HEADINGS, *map(_to_row, decision.variants)]))


def _to_row(variant: VariantDecision) -> tuple[str, ...]:
    return (
        variant.key.variant,
        variant.accelerator,
        "-" if variant.requested_replicas is None else str(variant.requested_replicas),
        str(variant.ready_replicas),
        str(variant.planned_replicas),
        _render(variant.capacity_per_s),
        f"{variant.planned_replicas * variant.replica_cost_per_hour:.2f}",
        str(variant.reason),
    )


def _render(number: Observation | float | None) -> str:
    value = number.value if isinstance(number, Observation) else number
    return "-" if value is None else f"{value:.2f}"
