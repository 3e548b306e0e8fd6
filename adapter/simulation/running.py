"""One trace on one fleet under one policy: the scenario, the run, the bounds for what it attained. It prints nothing.

Requests, initial replicas and all chance are the same for every policy: they depend on trace, fleet and seed alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from adapter.config.policies import Policies
from adapter.simulation.fleet import Fleet
from adapter.simulation.policies import STATIC, Briefing, make_decider
from adapter.simulation.traces import Trace
from optimizer import BUILT_IN_POLICIES
from optimizer.domain import (
    FleetSnapshot,
    LengthDistribution,
    ModelKey,
    SignalSpec,
    VariantKey,
    Workload,
)
from optimizer.simulation.bounds import RunLadder, compute_run_ladder
from optimizer.simulation.cluster import (
    Actuation,
    ClusterOptions,
    Plant,
    Requests,
    Rhythm,
    RouterKind,
    Scenario,
    ScrapeOptions,
    SimulationResult,
    StartOptions,
    StartupTime,
    simulate,
)
from optimizer.simulation.deciders import Decider, ScraperView, make_static_peak

PEAK_S, OPENING_S = 60.0, 300.0
_SHARES = 3  # stream of chance
_OURS = "slo"

Progress = Callable[[float], None]
"""Called now and then with the share of a run that is done [0-1]."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What may differ from run to run.

    Attributes
    ----------
    seed
        Of all chance.
    startup_p95_s
        95 in 100 starts take no longer, their median being what scalers are told; None means all take just that [s].
    failure_ratio
        Share of the attempts to start that crash [0-1).
    scrape_interval_s, scrape_delay_s
        Between two rounds of pages, and from reading a page to its being known [s].
    scrape_loss_ratio
        Share of the pages that cannot be had [0-1].
    router
        How requests find their replica.
    sizes
        Whether peers are told what one replica carries, instead of what they ship.
    has_bounds
        Whether the bounds are computed.
    """

    seed: int = 0
    startup_p95_s: float | None = None
    failure_ratio: float = 0.0
    scrape_interval_s: float = 15.0
    scrape_delay_s: float = 0.0
    scrape_loss_ratio: float = 0.0
    router: RouterKind = RouterKind.LEAST_LOAD
    sizes: bool = False
    has_bounds: bool = True

    def to_cluster_options(self) -> ClusterOptions:
        """Return how the cluster behaves.

        Raises
        ------
        InvalidInput
            Naming what is out of bounds.
        """
        jitter_s = min(1.0, self.scrape_interval_s / 10.0)
        return ClusterOptions(
            scrape=ScrapeOptions(
                self.scrape_interval_s, jitter_s, loss_ratio=self.scrape_loss_ratio, delay_s=self.scrape_delay_s
            ),
            start=StartOptions(failure_ratio=self.failure_ratio),
            router=self.router,
        )


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
    """

    scenario: Scenario
    briefing: Briefing
    options: RunOptions


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
    requests = to_requests(trace, fleet.shares, options.seed)
    settings = fleet.settings
    briefing = Briefing(
        settings=settings,
        ours=fleet.with_policy(_OURS).settings,
        peaks=find_workloads(requests, fleet, trace.duration_s, is_peak=True),
        policies=policies,
        sizes=options.sizes,
        quota=fleet.quota,
    )
    opening = find_workloads(requests, fleet, min(OPENING_S, trace.duration_s), is_peak=False)
    initial = _ask(make_static_peak(settings, opening))
    plants = {
        variant.key(variant.main_role): Plant(
            fleet.engines[variant.key(variant.main_role)].performance,
            fleet.engines[variant.key(variant.main_role)].limits,
            initial.get(variant.key(variant.main_role), variant.min_replicas),
            _to_startup(variant.startup_s, options.startup_p95_s),
        )
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
    return Stage(scenario, briefing, options)


def run_policy(policy: str, stage: Stage, on_progress: Progress | None = None) -> Outcome:
    """Return what becomes of the scenario of `stage` under `policy`.

    Raises
    ------
    InvalidInput
        When the policy cannot scale this fleet.
    """
    decider = make_decider(policy, stage.briefing)
    scenario = stage.scenario
    if policy in STATIC:
        scenario = _start_with(scenario, _ask(decider))
    cluster_options = stage.options.to_cluster_options()
    watched = decider if on_progress is None else Watched(decider, scenario.horizon_s, on_progress)
    result = simulate(scenario, watched, cluster_options, stage.options.seed)
    ladder = compute_run_ladder(scenario, result, decider, cluster_options) if stage.options.has_bounds else None
    return Outcome(policy, result, ladder)


def to_requests(trace: Trace, shares: tuple[float, ...], seed: int) -> Requests:
    """Return the requests of `trace`, each asking for an LLM by chance, `shares` [0-1] of them for each."""
    model: np.ndarray[tuple[int], np.dtype[np.int64]] = np.zeros(len(trace), dtype=np.int64)
    if len(shares) > 1:
        draws = np.random.default_rng([seed, _SHARES]).random(len(trace))
        model = np.minimum(np.searchsorted(np.cumsum(shares), draws, side="right"), len(shares) - 1)
    return Requests.from_columns(trace.arrival_s.tolist(), trace.input_tokens, trace.output_tokens, model=model)


def find_workloads(
    requests: Requests, fleet: Fleet, duration_s: float, *, is_peak: bool
) -> Mapping[ModelKey, Workload]:
    """Return rate and lengths of every LLM that is asked: of the highest minute within `duration_s` [s], or the mean.

    Lengths are those of all its requests.
    """
    found = {}
    for index, model in enumerate(fleet.settings.models):
        mine = np.flatnonzero(requests.model == index)
        if not len(mine):
            continue
        times_s = requests.arrival_ns[mine] / 1e9
        times_s = times_s[times_s < duration_s]
        bin_s = min(PEAK_S, duration_s) if is_peak else duration_s
        counts = np.bincount((times_s // bin_s).astype(np.int64), minlength=1)
        lengths = _to_lengths(requests.input_tokens[mine]), _to_lengths(requests.output_tokens[mine])
        found[model.key] = Workload(float(counts.max()) / bin_s, *lengths)
    return found


class Watched:
    """A scaler that tells how far the run is whenever it is asked, and is otherwise the one within.

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
        self.actuation: Actuation = getattr(decider, "actuation", Actuation.DIRECT)
        self.rhythm: Rhythm = getattr(decider, "rhythm", Rhythm.ROUNDS)

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


def _ask(static: Decider) -> Mapping[VariantKey, int]:
    """Return what a scaler that looks at nothing asks for."""
    return static.step(ScraperView(0.0, FleetSnapshot(0.0, ()), {}))


def _start_with(scenario: Scenario, replicas: Mapping[VariantKey, int]) -> Scenario:
    plants = {
        key: replace(plant, initial_replicas=replicas.get(key, plant.initial_replicas))
        for key, plant in scenario.plants.items()
    }
    return replace(scenario, plants=plants)


def _to_startup(median_s: float, p95_s: float | None) -> StartupTime | None:
    return None if p95_s is None else StartupTime(median_s, p95_s)


def _to_lengths(tokens: np.ndarray[tuple[int], np.dtype[np.int64]]) -> LengthDistribution:
    total, count = int(tokens.sum()), len(tokens)
    squares = math.fsum((tokens.astype(np.float64) ** 2).tolist())
    return LengthDistribution(total / count, squares / count)
