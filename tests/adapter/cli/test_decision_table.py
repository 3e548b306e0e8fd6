from __future__ import annotations

from adapter.cli.decision_table import render_decisions, render_table
from optimizer.domain import Observation, ReasonCode
from tests.builders.decisions import make_model_decision, make_variant_decision


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    rows = [("a", "bb", "last"), ("aaa", "b", "longer than all")]
    assert render_table(rows) == ["a    bb  last", "aaa  b   longer than all"]


def test_figures_stand_beside_their_reasons_and_the_unknown_is_a_dash() -> None:
    unknown = Observation.absent(ReasonCode.NO_PROFILE, "nobody said")
    decision = make_model_decision(
        make_variant_decision("llama-l40s", 3),
        make_variant_decision("llama-a100-large", 0, capacity_per_s=unknown, requested_replicas=None),
    )
    lines = render_decisions([decision]).splitlines()
    assert lines[0] == f"{decision.key.namespace}/{decision.key.model_id}: {decision.reason}"
    assert lines[1].startswith("  demand 6.00/s, forecast -/s, need 7.50/s, coverage ")
    table = lines[-3:]
    assert [line.split()[:7] for line in table] == [
        ["variant", "accelerator", "requested", "ready", "planned", "capacity/s", "cost/h"],
        ["llama-l40s", "L40S", "1", "1", "3", "2.50", "4.65"],
        ["llama-a100-large", "L40S", "-", "1", "0", "-", "0.00"],
    ]
    assert table[1].endswith("ScaleUp: need 7.5/s")


def test_conditions_that_do_not_hold_are_told() -> None:
    decision = make_model_decision(make_variant_decision("llama-l40s", 3))
    text = render_decisions([decision])
    for condition in decision.conditions:
        assert (condition.reason.message in text) is (condition.status is not True)


def test_no_decisions_are_no_text() -> None:
    assert render_decisions([]) == ""
