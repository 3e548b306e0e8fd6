"""One LLM as a problem for a planner with perfect foresight, such that its answer is a bound. It solves nothing.

Rows. With variants of unlike speed for unlike requests nobody knows who serves what: see `ways`.

Two ways through time.

*Changes at known moments* (`make_step_problem`): replicas are asked for and asked away at these moments only, so
between two of them the replicas that get requests are a constant whole number. What is due between the moments (see
`asked`) is served by them. One that is ready in the midst of a step is taken as there from its beginning; therefore a
start is billed with the shortest start-up there is less the longest step.

*Changes at any moment* (`make_stretch_problem`): over a longer stretch the mean of the replicas that serve is a real
number; rent is exactly its integral, and the ups of means add up to no more than the ups. So only the linear
relaxation of this problem is a bound, of every policy whatever its rhythm, and it loses less at the edges.

Both leave out: the time a router, a queue or an interference costs, the quota of pods that start, drains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from optimizer.domain import ModelKey, VariantKey
from optimizer.errors import InvalidInput
from optimizer.simulation.bounds.asked import (
    AskedRequests,
    FloatArray,
    compute_due,
    find_stretches,
)
from optimizer.simulation.bounds.ways import choose_weights, compute_least
from optimizer.simulation.bounds.work import ReplicaWork
from optimizer.simulation.ticks import NS_PER_S, to_ns
from optimizer.solver.clairvoyant import ClairvoyantProblem, ClairvoyantVariant, ReplicaCap
from optimizer.units import to_cost

_SHORTEST_S = 2e-3  # no step is shorter: what lies between moments that close is left out


@dataclass(frozen=True, slots=True)
class BoundVariant:
    """A variant as the bound sees it.

    Attributes
    ----------
    key
        Which one.
    cost_per_hour
        What one replica is billed with, from creation to deletion [currency/h].
    work
        The least it takes to serve; from the truth of the simulator, or optimistic against it.
    shortest_startup_s
        No start takes less, from being billed to serving [s].
    min_replicas, max_replicas
        Bounds that every policy compared keeps; leave them out where one might not.
    """

    key: VariantKey
    cost_per_hour: float
    work: ReplicaWork
    shortest_startup_s: float = 0.0
    min_replicas: int = 0
    max_replicas: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BoundCase:
    """One LLM on one trace.

    Attributes
    ----------
    name
        For tables.
    requests
        What is asked.
    variants
        What may serve it, V of them.
    horizon_s
        From 0 to here it is billed [s].
    period_s, phase_s
        Replicas change at 0 and at ``phase + n * period`` only, n = 0, 1, ...: with an HPA its syncs, else the
        decisions [s]. An infinite period: never.
    caps
        Limits of replicas that serve at the same time.
    keeps_rhythm
        Whether they change at these moments only; where somebody does not, what rests on them bounds nobody.
    """

    name: str
    requests: AskedRequests
    variants: tuple[BoundVariant, ...]
    horizon_s: float
    period_s: float
    phase_s: float = 0.0
    caps: tuple[ReplicaCap, ...] = ()
    keeps_rhythm: bool = True

    @property
    def model(self) -> ModelKey:
        """Whose requests they are."""
        return ModelKey(self.variants[0].key.namespace, self.variants[0].key.model_id)

    @property
    def is_measured(self) -> bool:
        """Whether the work of any variant rests on a ceiling that was measured."""
        return any(variant.work.ceiling_ratio < 1.0 for variant in self.variants)

    def __post_init__(self) -> None:
        """Raise InvalidInput where a bound is broken."""
        if not self.variants:
            raise InvalidInput("variants", "one at least", self.variants)
        for name in ("horizon_s", "period_s"):
            if not getattr(self, name) > 0.0:
                raise InvalidInput(name, "> 0 [s]", getattr(self, name))
        if not 0.0 <= self.phase_s < math.inf:
            raise InvalidInput("phase_s", ">= 0 and finite [s]", self.phase_s)


@dataclass(frozen=True, slots=True, eq=False)
class DemandRows:
    """Demand in rows, ready for a problem.

    Attributes
    ----------
    edges_s
        T + 1 moments [s].
    capacities
        What one replica gives of each row per second, 2 by V (one row for one variant).
    needs
        What is due of each row per second, by step.
    whole
        What each request is worth in each row altogether, by R.
    """

    edges_s: FloatArray
    capacities: FloatArray
    needs: FloatArray
    whole: FloatArray

    def compute_allowances(self, attainment_ratio: float) -> tuple[float, ...]:
        """Return what may be missed of each row where that share of the requests [0-1] keeps its SLO.

        Nobody knows which are missed: the largest of them, row by row.
        """
        if not 0.0 <= attainment_ratio <= 1.0:
            raise InvalidInput("attainment_ratio", "0..1", attainment_ratio)
        requests = self.whole.shape[1]
        missed = min(math.floor((1.0 - attainment_ratio) * requests + 1e-6), requests)
        return tuple(math.fsum(np.sort(row)[requests - missed :].tolist()) for row in self.whole)


def compute_rows(case: BoundCase, edges_s: FloatArray, *, counts_all: bool = False) -> DemandRows:
    """Return the demand of `case` between `edges_s` [s]: what is due, or with `counts_all` everything that arrives."""
    places = find_stretches(case.requests, edges_s)
    used = np.flatnonzero(places >= 0)
    ends_s = edges_s[np.where(places >= 0, places + 1, 0)]
    roles = [variant.key.role for variant in case.variants]
    asked = [case.requests.restrict(role) for role in roles]
    works = [variant.work for variant in case.variants]
    wholes = np.array([work.compute_whole_s(mine) for work, mine in zip(works, asked, strict=True)])
    dues = wholes
    if not counts_all:
        dues = np.array([_compute_due_s(mine, work, ends_s) for work, mine in zip(works, asked, strict=True)])
    durations_s = np.diff(edges_s)
    prices = np.array([variant.cost_per_hour for variant in case.variants])
    weights = choose_weights(roles, prices, wholes)
    ceilings = np.array([work.ceiling_ratio for work in works])
    needs = [
        np.bincount(places[used], compute_least(roles, weight, dues)[used], minlength=len(durations_s)) / durations_s
        for weight in weights
    ]
    whole = np.array([compute_least(roles, weight, wholes) for weight in weights])
    return DemandRows(edges_s, np.array([weight * ceilings for weight in weights]), np.array(needs), whole)


def make_step_problem(case: BoundCase) -> tuple[ClairvoyantProblem, DemandRows]:
    """Return the problem whose integer optimum is a bound, for changes at the moments of `case`.

    Raises
    ------
    InvalidInput
        Where they lie too close.
    """
    edges_s = list_moments(case)
    if not len(edges_s):
        raise InvalidInput("period_s and horizon_s", f"such that a step takes {_SHORTEST_S} s or more", case.period_s)
    longest_s = float(np.diff(edges_s).max())
    return _make_problem(case, compute_rows(case, edges_s), longest_s)


def make_stretch_problem(case: BoundCase, stretch_s: float) -> tuple[ClairvoyantProblem, DemandRows]:
    """Return the problem whose linear relaxation is a bound, for changes at any moment, in stretches of that length."""
    return _make_problem(case, compute_rows(case, _list_edges(case.horizon_s, stretch_s)), 0.0)


def make_mean_problem(case: BoundCase, stretch_s: float) -> tuple[ClairvoyantProblem, DemandRows]:
    """Return a problem of means: all that arrives in a stretch is served in it. A reference, and no bound."""
    return _make_problem(case, compute_rows(case, _list_edges(case.horizon_s, stretch_s), counts_all=True), 0.0)


def list_moments(case: BoundCase) -> FloatArray:
    """Return the moments at which replicas may change, with 0 and the horizon [s].

    A first or last step too short to be one is left out with its rent and its demand, which leaves a bound: neither is
    below 0. It is empty where nothing is left. Moments are whole nanoseconds, as in the simulated cluster.
    """
    if math.isinf(case.period_s):
        return np.array([0.0, case.horizon_s])
    phase_ns, period_ns, end_ns = to_ns(case.phase_s), max(to_ns(case.period_s), 1), to_ns(case.horizon_s)
    inside_ns = phase_ns + period_ns * np.arange(max(-((phase_ns - end_ns) // period_ns), 0), dtype=np.int64)
    moments_s = np.unique(np.concatenate([[0], inside_ns, [end_ns]])) / NS_PER_S
    first = int(len(moments_s) > 1 and moments_s[1] - moments_s[0] < _SHORTEST_S)
    last = len(moments_s) - int(len(moments_s) > 1 and moments_s[-1] - moments_s[-2] < _SHORTEST_S)
    kept: FloatArray = moments_s[first:last]
    return kept if len(kept) > 1 and float(np.diff(kept).min()) >= _SHORTEST_S else kept[:0]


def is_rhythm_kept(case: BoundCase) -> bool:
    """Return whether replicas change between steps only, and are billed in whole ones while they serve.

    `make_step_problem` takes both for granted.

    Where devices are short a replica gets them in the midst of a step; it must not serve before that step is over.
    """
    if not case.keeps_rhythm:
        return False
    longest_s = float(np.diff(list_moments(case)).max())
    return not case.caps or all(variant.shortest_startup_s >= longest_s for variant in case.variants)


def _make_problem(case: BoundCase, rows: DemandRows, spared_s: float) -> tuple[ClairvoyantProblem, DemandRows]:
    variants = tuple(
        ClairvoyantVariant(
            key=variant.key,
            cost_per_hour=variant.cost_per_hour,
            start_cost=to_cost(variant.cost_per_hour, max(variant.shortest_startup_s - spared_s, 0.0)),
            min_replicas=variant.min_replicas,
            max_replicas=variant.max_replicas,
        )
        for variant in case.variants
    )
    return ClairvoyantProblem(variants, np.diff(rows.edges_s), rows.capacities, rows.needs, case.caps), rows


def _list_edges(horizon_s: float, stretch_s: float) -> FloatArray:
    """Return edges of stretches of that length; the last one may be shorter, and none is shorter than a millisecond."""
    edges_s = np.arange(max(math.ceil((horizon_s - _SHORTEST_S) / stretch_s), 1)) * stretch_s
    return np.concatenate([edges_s, [horizon_s]])


def _compute_due_s(requests: AskedRequests, work: ReplicaWork, ends_s: FloatArray) -> FloatArray:
    due = compute_due(requests, ends_s, work.shortest_iteration_s)
    tokens_s = work.compute_s(requests, due.prompt_tokens, due.decode_tokens)
    return tokens_s + np.where(due.is_whole, work.compute_added_s(requests), 0.0)
