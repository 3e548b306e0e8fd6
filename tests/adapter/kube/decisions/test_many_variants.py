"""Five thousand variants: unchanged ones cost next to nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from adapter.kube.client import KubeClient
from adapter.kube.decisions.encode import encode_head, encode_status
from adapter.kube.decisions.installation import INSTALLATION_LABEL
from adapter.kube.decisions.record import DecisionRecord
from adapter.kube.resource import CONFIG_MAPS, VARIANT_DECISIONS
from adapter.kube.state_store import CONTENT_LABEL, KubeStateStore, get_state_name
from optimizer import State, encode_state
from optimizer.domain import ModelDecision, Observation, Reason, ReasonCode, VariantDecision
from optimizer.state import FleetState, ModelState
from tests.builders.decision_objects import OURS, make_facts, open_replica
from tests.builders.decisions import make_model_decision, make_variant_decision
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.quiet_clock import QuietClock

MODELS, VARIANTS, PASSES, PERIOD_S = 1000, 5, 6, 15.0


def decide(now_s: float, turn: int) -> tuple[ModelDecision, ...]:
    """Return the same numbers as ever, with other figures at every turn."""
    reason = Reason(ReasonCode.STEADY, f"15 replicas: demand {6 + turn}/s")
    return tuple(
        replace(
            make_model_decision(*(make_line(model, variant, turn) for variant in range(VARIANTS)), decided_at_s=now_s),
            reason=reason,
        )
        for model in range(MODELS)
    )


def make_line(model: int, variant: int, turn: int) -> VariantDecision:
    line = make_variant_decision(f"m{model}-v{variant}", 3, model_id=f"model-{model}")
    reason = Reason(ReasonCode.STEADY, f"need {7.5 + turn}/s")
    return replace(line, capacity_per_s=Observation(2.5 + 0.01 * turn), reason=reason)


def put_all(api: FakeKubeApi, decisions: tuple[ModelDecision, ...], now_s: float) -> None:
    """Let all of it stand there, as an earlier leader left it."""
    for model in decisions:
        for line in model.variants:
            record = DecisionRecord(OURS, line, now_s, model.reason, model.routing, model.conditions)
            status = encode_status(record, (), {}, now_s)
            api.put(VARIANT_DECISIONS, {**encode_head(record, make_facts(line.workload).uid), "status": status})
        text = json.dumps(encode_state(State({model.key: ModelState(decision=model)})))
        labels = {INSTALLATION_LABEL: OURS.label, CONTENT_LABEL: "state"}
        about = {"name": get_state_name(OURS, model.key), "namespace": OURS.namespace, "labels": labels}
        api.put(CONFIG_MAPS, {"metadata": about, "data": {"state.json": text}})


@pytest.mark.slow
async def test_five_thousand_unchanged_variants_cause_at_most_one_write_a_second(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    put_all(kube_api, decide(quiet_clock.now_s(), 0), quiet_clock.now_s())
    async with open_replica(kube_api, kube_client, quiet_clock) as replica:
        states = KubeStateStore(kube_client, quiet_clock, OURS)
        recalled, lost = await states.load()
        assert (len(recalled.models), lost) == (MODELS, ())
        kube_api.calls.clear()
        for turn in range(1, PASSES + 1):
            decisions = decide(quiet_clock.now_s(), turn)
            models = {model.key: ModelState(decision=model) for model in decisions}
            await states.save(State(models, FleetState(quiet_clock.now_s())))
            report = await replica.write(*decisions)
            assert (report.unchanged, report.failures) == (MODELS * VARIANTS, ())
            await replica.settle(PERIOD_S)
        assert replica.count_writes() == 0
        assert sum(kube_api.count_writes().values()) <= PASSES * PERIOD_S
        assert len(replica.shown) == MODELS * VARIANTS
        assert {time_s for _, time_s in replica.shown.values()} == {decisions[0].decided_at_s}
