"""One trace on one fleet under one policy: the scenario, the run, the bounds for what it attained. It prints nothing.

Requests, the replicas to begin with and all chance depend on trace, fleet and seed alone, not on what a policy does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapter.config.policies import Policies
from adapter.simulation.asking import find_workloads, to_requests
from adapter.simulation.fleet import Fleet
from adapter.simulation.opening import ask_once, open_fleet
from adapter.simulation.policies import Briefing, make_decider
from adapter.simulation.run_options import RunOptions
from adapter.simulation.traces import Trace
from adapter.simulation.truth import find_least_works, make_truth
from optimizer import BUILT_IN_POLICIES
from optimizer.domain import ModelKey, SignalSpec, Variant, VariantKey
from optimizer.simulation.bounds import ReplicaWork, RunLadder, compute_run_ladder, measure_works
from optimizer.simulation.cluster import Plant, Scenario, SimulationResult, StartupTime, simulate
from optimizer.simulation.deciders import Decider, ScraperView, make_static_peak

OPENING_S = 300.0
_OURS = "slo"

Progress = Callable[[float], None]
"""Called now and then with the share of a run that is done [0-1]."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Everything that all policies of a comparison share.

    Attributes
    ----------
    scenario
        With the initial replicas of those that change them.
    briefing
        What scalers are told.
    options
        Of all runs.
    jumps_s
        When demand jumps up, as far as the trace knows [s].
    works, measured
        For bounds: the least work of replicas that are noisy; and that of all, measured, None where not asked for.
    counted_from_s
        The time in the file of the trace that became 0 [s].
    """

    scenario: Scenario
    briefing: Briefing
    options: RunOptions
    jumps_s: tuple[float, ...] = ()
    works: Mapping[VariantKey, ReplicaWork] = field(default_factory=dict)
    measured: Mapping[VariantKey, ReplicaWork] | None = None
    counted_from_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One run.

    Attributes
    ----------
    policy
        Who scaled.
    result
        What came of it.
    ladder
        The bounds for what it attained; None where they were not asked for.
    """

    policy: str
    result: SimulationResult
    ladder: RunLadder | None = None

    @property
    def is_possible(self) -> bool:
        """Whether no cost is below its bound; where one is, the simulator or the bound is wrong."""
        return self.ladder is None or not self.ladder.violations


def prepare_stage(trace: Trace, fleet: Fleet, options: RunOptions, policies: Policies = BUILT_IN_POLICIES) -> Stage:
    """Return the scenario of `trace` on `fleet`, and what scalers are told of it.

    Raises
    ------
    InvalidInput
        When trace, fleet and options do not fit together.
    """
    requests = to_requests(trace, fleet, options)
    settings = fleet.settings
    briefing = Briefing(
        settings=settings,
        ours=fleet.with_policy(_OURS).settings,
        peaks=find_workloads(requests, settings.models, trace.duration_s, is_peak=True),
        policies=policies,
        sizes=options.sizes,
        quota=fleet.quota,
        hpa=options.hpa,
    )
    opening = find_workloads(requests, settings.models, min(OPENING_S, trace.duration_s), is_peak=False)
    initial = ask_once(make_static_peak(settings, opening))
    plants = {
        variant.key(variant.main_role): _plant(fleet, variant, initial, options)
        for model in settings.models
        for variant in model.variants
    }
    scenario = Scenario(
        settings.models,
        settings.accelerators,
        plants,
        requests,
        trace.duration_s,
        quota=fleet.quota,
        limits=settings.limits,
        name=f"{trace.name} on {fleet.name}",
    )
    works = find_least_works(scenario) if options.has_bounds else {}
    measured = (
        measure_works(scenario, seed=options.seed) if options.has_bounds and options.has_measured_bounds else None
    )
    return Stage(scenario, briefing, options, trace.jumps_s, works, measured, trace.counted_from_s)


def run_policy(policy: str, stage: Stage, on_progress: Progress | None = None) -> Outcome:
    """Return what becomes of the scenario of `stage` under `policy`.

    Raises
    ------
    InvalidInput
        When the policy cannot scale this fleet.
    """
    decider = make_decider(policy, stage.briefing)
    scenario = open_fleet(policy, decider, stage.scenario)
    cluster_options = stage.options.to_cluster_options()
    watched = decider if on_progress is None else Watched(decider, scenario.horizon_s, on_progress)
    result = simulate(scenario, watched, cluster_options, stage.options.seed)
    if not stage.options.has_bounds:
        return Outcome(policy, result)
    ladder = compute_run_ladder(scenario, result, decider, cluster_options, works=stage.works, measured=stage.measured)
    return Outcome(policy, result, ladder)


def _plant(fleet: Fleet, variant: Variant, initial: Mapping[VariantKey, int], options: RunOptions) -> Plant:
    key = variant.key(variant.main_role)
    engine = fleet.engines[key]
    p95_s = options.startup_p95_s
    return Plant(
        make_truth(engine.performance, options.truth),
        engine.limits,
        initial.get(key, variant.min_replicas),
        None if p95_s is None else StartupTime(variant.startup_s, p95_s),
    )


class Watched:
    """A scaler that tells how far the run is whenever it is asked, and is in everything else the one within.

    Parameters
    ----------
    decider
        The one within.
    horizon_s
        End of the run [s].
    on_progress
        Whom to tell.
    """

    def __init__(self, decider: Decider, horizon_s: float, on_progress: Progress) -> None:
        self._decider, self._horizon_s, self._on_progress = decider, horizon_s, on_progress

    def __getattr__(self, name: str) -> Any:
        """Return what the scaler within has, its way to act and its rhythm for instance."""
        return getattr(self._decider, name)

    @property
    def period_s(self) -> float:
        """How often it is asked [s]."""
        return self._decider.period_s

    @property
    def signals(self) -> Mapping[ModelKey, tuple[SignalSpec, ...]]:
        """Series it wants."""
        return self._decider.signals

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return the replicas it asks for."""
        self._on_progress(min(view.now_s / self._horizon_s, 1.0))
        return self._decider.step(view)
