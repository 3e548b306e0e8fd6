"""Every policy on fleets of several LLMs, service classes and mixed roles: no LLM costs less than its bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adapter.simulation.fleet import EngineTruth, Fleet
from adapter.simulation.names import POLICIES
from adapter.simulation.run_options import RunOptions, TruthOptions
from adapter.simulation.running import Outcome, prepare_stage, run_policy
from adapter.simulation.traces import Trace
from optimizer.domain import Accelerator, IterationLaw, LatencyQuantity, Role, ServedModel, ServiceClass, Settings, Slo
from optimizer.simulation import EngineLimits
from optimizer.simulation.cluster import Requests
from tests.builders.simulated_clusters import make_variant

DURATION_S = 90.0
SLOW = IterationLaw(0.012, 1e-3, 2e-7, 2e-4)
"""So slow that a request or two a second are work for a replica."""
LIMITS = EngineLimits(60_000, max_running_requests=64)
CLASSES = tuple(
    ServiceClass(name, (Slo(LatencyQuantity.TTFT, ttft_s), Slo(LatencyQuantity.ITL, itl_s)))
    for name, ttft_s, itl_s in (("chat", 2.0, 0.06), ("batch", 20.0, 0.2))
)
PLAIN = (("a", "H100", Role.BOTH), ("b", "L40S", Role.BOTH))
MIXED = (("whole", "H100", Role.BOTH), ("first", "H100", Role.PREFILL), ("rest", "L40S", Role.DECODE))


HASTY = tuple(
    ServiceClass(name, (Slo(LatencyQuantity.TTFT, ttft_s), Slo(LatencyQuantity.ITL, 1.0002 * SLOW.fixed_s)))
    for name, ttft_s in (("chat", 2.0), ("batch", 20.0))
)
"""They promise a pace that only lucky draws of noise keep."""


def make_fleet(*lines: tuple[tuple[str, str, Role], ...], classes: tuple[ServiceClass, ...] = CLASSES) -> Fleet:
    """Return an LLM for each of `lines`, names with accelerators and roles, each of two service classes."""
    models = []
    for number, line in enumerate(lines):
        variants = tuple(
            replace(make_variant(name, accelerator=accelerator, startup_s=10.0, role=role), model_id=f"llm{number}")
            for name, accelerator, role in line
        )
        models.append(ServedModel("prod", f"llm{number}", classes, variants, has_gateway=True))
    keys = [variant.key(variant.main_role) for model in models for variant in model.variants]
    settings = Settings(tuple(models), (Accelerator("H100", 3.0), Accelerator("L40S", 1.0)))
    shares = tuple(1.0 / len(models) for _ in models)
    return Fleet("matrix", settings, {key: EngineTruth(SLOW, LIMITS) for key in keys}, shares)


FLEETS = {
    "two LLMs": make_fleet(PLAIN, PLAIN[:1]),
    "roles apart": make_fleet(MIXED[1:]),
    "mixed roles": make_fleet(MIXED),
    "two LLMs, one of mixed roles, quota": replace(make_fleet(PLAIN[:1], MIXED), quota={"H100": 6}),
}
NOISY_FLEETS = {"two variants": make_fleet(PLAIN, classes=HASTY), "mixed roles": make_fleet(MIXED, classes=HASTY)}


def play(policy: str, fleet: Fleet, noise_ratio: float = 0.0, longest_output: int = 150) -> Outcome:
    """Return the run of a short wave of requests of all lengths, every third of the second class."""
    chance = np.random.default_rng(5)
    times_s = np.sort(DURATION_S * chance.beta(2.0, 2.0, 180))
    lengths = chance.integers(1, 1500, 180), chance.integers(1, longest_output, 180)
    options = RunOptions(seed=1, truth=TruthOptions(noise_ratio=noise_ratio))
    stage = prepare_stage(Trace("wave", times_s, *lengths, DURATION_S), fleet, options)
    asked = stage.scenario.requests
    of_class = Requests(
        asked.arrival_ns,
        asked.input_tokens,
        asked.output_tokens,
        asked.cached_tokens,
        np.arange(len(asked)) % 3 // 2,
        asked.model,
    )
    return run_policy(policy, replace(stage, scenario=replace(stage.scenario, requests=of_class)))


@pytest.mark.parametrize("policy", POLICIES)
def test_no_llm_of_any_fleet_costs_less_than_its_bound(policy: str) -> None:
    bounds = []
    for fleet in FLEETS.values():
        outcome = play(policy, fleet)
        assert outcome.ladder is not None
        assert outcome.ladder.violations == ()
        assert len(outcome.ladder.models) == len(fleet.settings.models)
        assert len(outcome.result.classes) == 2 * len(fleet.settings.models)
        bounds.append(outcome.ladder.total.bound)
    assert min(bounds) > 0.0


@pytest.mark.parametrize("policy", POLICIES)
def test_no_fleet_of_noisy_engines_costs_less_than_its_bound(policy: str) -> None:
    for fleet in NOISY_FLEETS.values():
        outcome = play(policy, fleet, noise_ratio=0.3, longest_output=8)
        assert outcome.ladder is not None
        assert outcome.ladder.violations == ()
