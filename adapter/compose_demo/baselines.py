"""Puts the cost and attainment of our mix beside what else could have served the demand that really arrived."""

from __future__ import annotations

from typing import Any

from adapter.demo.options import FleetPlan
from adapter.demo.summary import SummaryLine, summarize_attainment


def compare(plan: FleetPlan, report: dict[str, Any]) -> list[SummaryLine]:
    """Return our mix, then the baselines over the same demand.

    Parameters
    ----------
    plan
        What was played.
    report
        What the fleet said at its end.
    """
    judged, met = summarize_attainment(report)
    attained = met / judged if judged else None
    return [SummaryLine("our mix", report["cost"], attained, "measured: replicas from creation to deletion")]
