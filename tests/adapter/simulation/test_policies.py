"""What scalers are told before a run: what they ship, or as much of the fleet as ours knows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapter.simulation.policies import make_decider
from adapter.simulation.run_options import RunOptions
from adapter.simulation.running import prepare_stage
from optimizer.domain import LatencyQuantity, ServiceClass, Slo
from optimizer.policy.dynamo import Aim
from optimizer.simulation.deciders.dynamo import DynamoDecider
from tests.builders.simulated_fleets import make_fleet, make_trace

STAGE = prepare_stage(make_trace([10.0 * number for number in range(60)], 600.0), make_fleet(), RunOptions())


@pytest.mark.parametrize("name", ["dynamo", "dynamo_rate"])
def test_dynamo_is_told_the_promises_of_its_llms_where_peers_are_sized(name: str) -> None:
    promised = ServiceClass("chat", (Slo(LatencyQuantity.TTFT, 1.25), Slo(LatencyQuantity.ITL, 0.033)))
    settings = STAGE.briefing.settings
    models = tuple(replace(model, service_classes=(promised,)) for model in settings.models)
    briefing = replace(STAGE.briefing, settings=replace(settings, models=models))
    targets = []
    for sizes in (False, True):
        decider = make_decider(name, replace(briefing, sizes=sizes))
        assert isinstance(decider, DynamoDecider)
        told = decider.brief.by_model[models[0].key]
        targets.append((told.target_ttft_s, told.target_itl_s))
    assert targets == [(0.5, 0.05), (1.25, 0.033)]
    assert told.aim is Aim.SLA
