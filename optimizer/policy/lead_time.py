"""Lead time: how far ahead the present decision must look, because the next one cannot help sooner. No forecast."""

from __future__ import annotations

from optimizer.domain import DecisionSettings, Variant


def compute_lead_time_s(variant: Variant, decision: DecisionSettings) -> float:
    """Return the longest time from a change of demand until replicas of `variant` asked for because of it serve [s].

        start-up + period (pages are fetched) + period (decisions are made) + actuation

    What this decision leaves out, the next one can ask for a period later, when the change shows in the pages; somebody
    acts on that within the actuation delay, and it serves after the start-up.
    """
    return variant.startup_s + 2.0 * decision.period_s + decision.actuation_delay_s
