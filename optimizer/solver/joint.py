"""Several LLMs under limits they share: prices on what is scarce, then every plan that could still matter. Exact.

With prices pi >= 0 on the limits each LLM chooses for itself, and ``sum_m min_y (cost_m(y) + pi*use_m(y)) - pi*amount``
bounds every joint plan from below (Lagrange). The relaxation of the program that mixes the plans found so far names
better prices (Dantzig and Wolfe); they are tried halfway, for they swing. The same program in whole numbers gives a
joint plan, and with it the room to the bound: a plan of one LLM whose priced cost lies further above its least than
that room is in no better joint plan. All others are listed, without those that another one betters in every respect;
the choice among them is small, and exact.

It knows no shortage: needs are met whole, or there is no answer.

Source: Dantzig and Wolfe (1960); fixing by reduced costs; put together as derived above.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.domain import DecisionSettings, Limit, VariantKey
from optimizer.solver.formulation import formulate
from optimizer.solver.master import PlanChoice, Wish, price_limits
from optimizer.solver.member import PRICE_PARTS, Counts, FloatArray, Member, PlanLine
from optimizer.solver.problem import ModelProblem

_ROUNDS = 12
_MOST_NODES = 5_000  # of one search
_MOST_LISTED = 20_000  # plans of one LLM that are looked at
_CLOSE_RATIO = 1e-5  # room between relaxation and bound at which prices are good enough
_WIDE_RATIO = 2e-3  # room at which more plans are looked for before all are listed
_SPREADS = (0.85, 0.95, 1.05, 1.2)
_TOLERANCE = 1e-6
_FLOAT_ERROR = 1e-10  # of a bound, far below one unit
_LARGEST_WEIGHT = 1e4  # of names told apart in one pass


@dataclass(frozen=True, slots=True)
class JointAnswer:
    """Replicas of every line, and the cost that may be left to save at most [units]; 0 where nothing is."""

    counts: dict[VariantKey, int]
    room: float


def solve_jointly(
    problems: Sequence[ModelProblem], limits: Iterable[Limit], decision: DecisionSettings
) -> JointAnswer | None:
    """Return the best plans of all `problems` together, or None: not every need fits, or the way is too long."""
    known = _list_joining(problems, limits)
    prices = _find_first_prices(problems, known)
    if prices is None:
        return None
    highest = max((line.capacity_per_s for problem in problems for line in problem.lines), default=0.0) or 1.0
    search = _Pricing([Member(problem, known, highest) for problem in problems], known)
    return _conclude(search, decision) if search.converge(prices) else None


def _conclude(search: _Pricing, decision: DecisionSettings) -> JointAnswer | None:
    """Return the best joint plan, once prices are known."""
    best = _choose(search, search.plans, decision)
    if best is None or best.room > _WIDE_RATIO * best.cost:
        search.enrich()
        best = _choose(search, search.plans, decision) or best
    if best is None:
        return None
    if best.room > decision.solver_gap_ratio * best.cost or best.room < 1.0:
        listed = search.list_plans(best.cost - search.bound)
        exact = None if listed is None else _choose(search, listed, decision, is_complete=True)
        best = exact or best
    counts = {
        line.key: count
        for member, chosen in zip(search.members, best.lines, strict=True)
        for line, count in zip(member.problem.lines, chosen.counts, strict=True)
    }
    return JointAnswer(counts, best.room if best.room >= 1.0 else 0.0)


class _Pricing:
    """The search for prices: plans found so far, and the best bound with the prices that gave it."""

    def __init__(self, members: Sequence[Member], limits: Sequence[Limit]) -> None:
        self.members, self.limits = members, limits
        self.plans: list[list[PlanLine]] = [[] for _ in members]
        self.bound = -math.inf
        self.prices: FloatArray = np.zeros(len(limits))
        self._seen: list[set[Counts]] = [set() for _ in members]
        self._least = [0] * len(members)

    def converge(self, prices: FloatArray) -> bool:
        """Find good prices from `prices` on; return whether every search came to its end."""
        if not self._try(prices):
            return False
        for _ in range(_ROUNDS):
            penalty = 2.0 * max(line.cost for lines in self.plans for line in lines) + 1.0
            priced = price_limits(self.plans, self.limits, penalty)
            if priced.cost < math.inf and priced.cost - self.bound <= _CLOSE_RATIO * abs(priced.cost):
                return True
            if not self._try((self.prices + priced.prices) / 2.0):
                return False
        return True

    def enrich(self) -> None:
        """Look for more plans around the best prices: of all limits together, and of each."""
        for spread in _SPREADS:
            self._try(self.prices * spread)
        for place in np.flatnonzero(self.prices):
            changed = self.prices.copy()
            changed[place] *= 1.5
            self._try(changed)

    def list_plans(self, room: float) -> list[list[PlanLine]] | None:
        """Return all plans that a joint plan at most `room` [units] above the bound may have, None for too many."""
        listed = []
        allowed = math.ceil((room + _TOLERANCE) * PRICE_PARTS) + 1
        for member, least in zip(self.members, self._least, strict=True):
            plans = member.list_plans(self.prices, least + allowed, _MOST_LISTED)
            if plans is None:
                return None
            listed.append(plans)
        return listed

    def _try(self, prices: FloatArray) -> bool:
        """Take the plans and the bound at `prices`; return whether every search came to its end."""
        weights = []
        for number, member in enumerate(self.members):
            found = member.find_plan(prices, _MOST_NODES, self.plans[number])
            if found is None:
                return False
            counts, weight = found
            weights.append(weight)
            if counts not in self._seen[number]:
                self._seen[number].add(counts)
                self.plans[number].append(member.to_line(counts))
        amounts = [(limit.amount or 0.0) + _TOLERANCE for limit in self.limits]
        bound = sum(weights) / PRICE_PARTS - math.fsum(p * a for p, a in zip(prices.tolist(), amounts, strict=True))
        if bound > self.bound:
            self.bound, self.prices, self._least = bound, prices, weights
        return True


@dataclass(frozen=True, slots=True, eq=False)
class _Joint:
    """A joint plan, its cost, and the cost that may be left to save [units]."""

    lines: tuple[PlanLine, ...]
    cost: int
    room: float


def _choose(
    search: _Pricing, plans: Sequence[Sequence[PlanLine]], decision: DecisionSettings, *, is_complete: bool = False
) -> _Joint | None:
    """Return the best joint plan of `plans`; where these are all that matter, equals are told apart by all wishes."""
    choice = PlanChoice(plans, search.limits, decision)
    answer = choice.minimize(lambda line: float(line.cost))
    if answer is None:
        return None
    bound = search.bound
    if is_complete:
        bound = max(bound, answer.bound)
        for wish in (lambda line: float(line.moves), lambda line: -float(line.spare)):
            choice.minimize(wish)
        if not choice.is_only_one():
            _order_by_name(search, plans, choice)
    lines = choice.lines
    cost = sum(line.cost for line in lines)
    return _Joint(lines, cost, max(cost - math.ceil(bound - _FLOAT_ERROR * max(abs(bound), 1e6)), 0.0))


def _order_by_name(search: _Pricing, plans: Sequence[Sequence[PlanLine]], choice: PlanChoice) -> None:
    """Prefer more of the variant whose name comes first, several names a pass."""
    varying: list[tuple[VariantKey, dict[int, int], int]] = []
    for member, lines in zip(search.members, plans, strict=True):
        for place, line in enumerate(member.problem.lines):
            counts = {id(one): one.counts[place] for one in lines}
            if len(set(counts.values())) > 1:
                varying.append((line.key, counts, max(counts.values())))
    varying.sort(key=lambda entry: entry[0])
    while varying:
        weight, group = 1.0, list[tuple[dict[int, int], float]]()
        while varying and (not group or weight * (varying[0][2] + 1.0) <= _LARGEST_WEIGHT):
            _, counts, most = varying.pop(0)
            group = [(known, factor * (most + 1.0)) for known, factor in group] + [(counts, 1.0)]
            weight *= most + 1.0
        choice.minimize(_make_name_wish(group))


def _make_name_wish(group: Sequence[tuple[Mapping[int, int], float]]) -> Wish:
    return lambda line: -math.fsum(factor * known.get(id(line), 0) for known, factor in group)


def _find_first_prices(problems: Sequence[ModelProblem], limits: Sequence[Limit]) -> FloatArray | None:
    """Return the prices of the program's relaxation, None where even that cannot meet every need."""
    formulation = formulate(problems, limits, may_fall_short=False)
    rows = tuple(formulation.limit_rows[limit.name] for limit in limits)
    relaxation = formulation.program.relax(formulation.cost, rows)
    return None if relaxation is None else np.array(relaxation.prices)


def _list_joining(problems: Sequence[ModelProblem], limits: Iterable[Limit]) -> list[Limit]:
    """Return the known limits that count a variant of any of `problems`."""
    keys = {line.key for problem in problems for line in problem.lines}
    return [
        limit
        for limit in limits
        if limit.amount is not None
        and any(
            key in keys and (limit.namespaces is None or key.namespace in limit.namespaces)
            for key in limit.coefficients
        )
    ]
