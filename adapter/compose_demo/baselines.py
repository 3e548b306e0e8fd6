"""Puts the bill and attainment of a demo beside what else could have served the demand that really arrived."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from adapter.demo.demand_record import to_demand_record
from adapter.demo.summary import SummaryLine
from optimizer import Bill, ModelEvidence, ReplayOptions, gather_evidence
from optimizer.domain import ModelKey, Settings

Document = dict[str, Any]

OURS = "slo"
"""Name of the policy that evidence is about."""


def compare(report: Document, settings: Settings, hpa_sync_s: float) -> list[SummaryLine]:
    """Return the mix as it was measured, then ours and the baselines over the same demand, whoever decided.

    Parameters
    ----------
    report
        What the fleet said at its end.
    settings
        What was decided with.
    hpa_sync_s
        Time between two looks of the stand-in HPA [s].
    """
    real = to_real_bills(report)
    requests = _count_requests(report)
    measured = _add_up(requests, real)
    others = sorted({model.policy for model in settings.models} - {OURS})
    name = f"policy {', '.join(others)}, measured" if others else "our mix, measured"
    lines = [SummaryLine(name, measured.cost, measured.attainment_ratio, "replicas as they really ran")]
    record = to_demand_record(report, settings.decision.period_s)
    ours = _let_us_decide(settings)  # a fluid fleet shows what we look at, not what somebody else may
    evidence = gather_evidence(record, ours, real, ReplayOptions(sync_s=hpa_sync_s)) if record else ()
    if evidence:
        same = "what our policy would have decided" if others else "the same decisions"
        lines.extend(_describe(evidence, requests, same))
    return lines


def _let_us_decide(settings: Settings) -> Settings:
    models = tuple(replace(model, policy=OURS, policy_options={}) for model in settings.models)
    return replace(settings, models=models)


def to_real_bills(report: Document) -> dict[ModelKey, Bill]:
    """Return measured cost and attainment of every LLM of `report`."""
    bills = {}
    for model, missed in zip(report["models"], report["open_missed"], strict=True):
        judged, met = model["total"]
        owned = [w for w in report["workloads"] if _get_key(w) == _get_key(model)]
        ratio = met / (judged + missed) if judged + missed else 1.0
        bills[_get_key(model)] = Bill(sum(workload["cost"] for workload in owned), ratio)
    return bills


def _describe(evidence: Sequence[ModelEvidence], requests: dict[ModelKey, int], same: str) -> list[SummaryLine]:
    ours = _add_up(requests, {entry.key: entry.ours for entry in evidence})
    lines = [SummaryLine("our mix, replayed", ours.cost, ours.attainment_ratio, f"{same} on a fluid fleet")]
    for name, note, chosen in (
        (
            "like for like: best single variant each",
            f"{same} restricted to",
            {entry.key: entry.best_like_for_like for entry in evidence},
        ),
        (
            "homogeneous in hindsight (a bound)",
            "free switching, 100 % attainment assumed:",
            {entry.key: entry.homogeneous for entry in evidence},
        ),
        ("static peak", "sized for the peak, never changed:", {entry.key: entry.static_peak for entry in evidence}),
    ):
        bill = _add_up(requests, {key: Bill(line.cost, line.attainment_ratio) for key, line in chosen.items()})
        variants = ", ".join(line.variant or "none can" for line in chosen.values())
        cost = bill.cost if math.isfinite(bill.cost) else None
        saving = 1.0 - ours.cost / cost if cost else None
        lines.append(SummaryLine(name, cost, bill.attainment_ratio, f"{note} {variants}", saving))
    return lines


def _add_up(requests: dict[ModelKey, int], bills: dict[ModelKey, Bill]) -> Bill:
    """Return the bill of all LLMs together; attainment weighs each by its requests."""
    total = sum(requests[key] for key in bills)
    met = sum(requests[key] * bill.attainment_ratio for key, bill in bills.items())
    return Bill(sum(bill.cost for bill in bills.values()), met / total if total else 1.0)


def _count_requests(report: Document) -> dict[ModelKey, int]:
    counts = zip(report["models"], report["open_missed"], strict=True)
    return {_get_key(model): model["total"][0] + missed for model, missed in counts}


def _get_key(document: Document) -> ModelKey:
    return ModelKey(document["namespace"], document["model_id"])
