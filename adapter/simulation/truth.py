"""Engines unlike what scalers are told of them: slower or faster, and noisy; and the least they may take. No fleet."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from adapter.simulation.run_options import TruthOptions
from optimizer.domain import IterationLaw, IterationTable, VariantKey
from optimizer.simulation import NoisyStepTime, StepTime, make_step_time
from optimizer.simulation.bounds import ReplicaWork, make_replica_work, to_asked
from optimizer.simulation.cluster import Scenario, StepTimeFactory

_LARGEST_DRAW = 2.75011  # standard deviations of the noise of an iteration, at most
_ROUNDING_RATIO = 1e-3  # more than what factors of noise and times are rounded by


@dataclass(frozen=True, slots=True)
class NoisyTruth:
    """Replicas as fast as `performance` on average, each with lognormal noise of its own.

    Attributes
    ----------
    performance
        Without noise.
    noise_ratio
        Standard deviation of its logarithm, > 0.
    """

    performance: IterationLaw | IterationTable
    noise_ratio: float

    def __call__(self, ordinal: int, generator: np.random.Generator) -> StepTime:
        """Return the step time of one replica."""
        del ordinal
        return NoisyStepTime(make_step_time(self.performance), self.noise_ratio, generator)

    @property
    def fastest_ratio(self) -> float:
        """No iteration takes a smaller share of its time without noise than this [0-1].

        The mean of lognormal noise is divided out, and is at most ``exp(sigma^2 / 2)``.
        """
        return max(math.exp(-_LARGEST_DRAW * self.noise_ratio - self.noise_ratio**2 / 2.0) - _ROUNDING_RATIO, 0.0)


def make_truth(
    performance: IterationLaw | IterationTable, options: TruthOptions
) -> IterationLaw | IterationTable | StepTimeFactory:
    """Return how replicas really behave that scalers take for `performance`."""
    slowed = slow_down(performance, options.slowdown_ratio)
    return NoisyTruth(slowed, options.noise_ratio) if options.noise_ratio > 0.0 else slowed


def slow_down(performance: IterationLaw | IterationTable, ratio: float) -> IterationLaw | IterationTable:
    """Return `performance` with every time multiplied by `ratio`."""
    if ratio == 1.0:
        return performance
    if isinstance(performance, IterationLaw):
        return IterationLaw(
            performance.fixed_s * ratio,
            performance.per_request_s * ratio,
            performance.per_context_token_s * ratio,
            performance.per_prompt_token_s * ratio,
        )
    return replace(
        performance,
        decode_s=tuple(tuple(time_s * ratio for time_s in row) for row in performance.decode_s),
        prefill_s=tuple(time_s * ratio for time_s in performance.prefill_s),
    )


def find_least_works(scenario: Scenario) -> dict[VariantKey, ReplicaWork]:
    """Return what requests take at least on replicas that are noisy, as if every draw were the fastest.

    The speed is taken so, not the work: under a promised pace that does not grow in proportion.
    """
    works = {}
    for number, model in enumerate(scenario.models):
        for variant in model.variants:
            plant = scenario.plants[variant.key(variant.main_role)]
            if isinstance(plant.performance, NoisyTruth):
                truth, key = plant.performance, variant.key(variant.main_role)
                fastest = slow_down(truth.performance, truth.fastest_ratio)
                asked = to_asked(scenario, number).restrict(key.role)
                works[key] = make_replica_work(fastest, plant.limits, asked)
    return works
