"""The ladder of one simulated run: every LLM at what it attained, and all of them together. It runs nothing."""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.domain import ModelKey, Role, VariantKey
from optimizer.simulation.bounds.from_scenario import get_rhythm, make_bound_cases
from optimizer.simulation.bounds.ladder import Ladder, LadderOptions, add_up_ladders, compute_ladder
from optimizer.simulation.bounds.work import ReplicaWork
from optimizer.simulation.cluster import ClusterOptions, Scenario, SimulationResult
from optimizer.simulation.decider import Decider


def compute_run_ladder(
    scenario: Scenario,
    result: SimulationResult,
    decider: Decider,
    cluster_options: ClusterOptions,
    *,
    options: LadderOptions | None = None,
    works: Mapping[VariantKey, ReplicaWork] | None = None,
) -> Ladder:
    """Return what the demand of `result` costs at least for whoever attains, LLM by LLM, what `result` attained.

    Quota binds within each LLM; that several share it is left out, which keeps the sum a bound.

    Parameters
    ----------
    scenario, result
        What was simulated, and what came of it.
    decider, cluster_options
        Who decided, and how its answers became replicas: they tell when replicas may change.
    options
        How much work it may be.
    works
        See `make_bound_cases`.

    Raises
    ------
    InvalidInput
        If a variant's truth is neither law nor table and `works` does not have it.
    """
    period_s, phase_s = get_rhythm(decider, cluster_options)
    cases = make_bound_cases(scenario, period_s=period_s, phase_s=phase_s, works=works)
    attained = _count_attained(result)
    owners = [
        model.key for model in scenario.models for role in Role if any(v.main_role is role for v in model.variants)
    ]
    ladders = [compute_ladder(case, attained[key], options) for case, key in zip(cases, owners, strict=True)]
    return add_up_ladders("all" if len(ladders) > 1 else ladders[0].name, result.attainment_ratio, ladders)


def _count_attained(result: SimulationResult) -> dict[ModelKey, float]:
    """Return the share of its requests that kept every promise, by LLM; 1 without any."""
    requests: dict[ModelKey, int] = {}
    met: dict[ModelKey, int] = {}
    for figures in result.classes:
        requests[figures.model] = requests.get(figures.model, 0) + figures.requests
        met[figures.model] = met.get(figures.model, 0) + figures.met_all
    return {key: met[key] / count if count else 1.0 for key, count in requests.items()}
