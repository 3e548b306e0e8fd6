"""Problems become one mixed-integer program: replicas, capacity by lead time, bounds, limits. It solves nothing.

For each LLM, with y_v replicas of v, needs n_j by lead time H_j and slack s (0 unless there is a shortage):

    weighted   sum_v mu_v * a_vj + s_j >= n_j          a_vj = min(y_v, what of v can be ready by H_j)
    uniform    y_v = sum_c y_vc,  one level c chosen (z_c), only variants with mu_v >= c at that level,
               c * sum_v a_vcj + s_j >= n_j            every replica gets the rate of the slowest one in use
    fixed      y_v + s_v >= wanted_v

Source: the covering programs of heterogeneous serving; ``auto`` counts as ``uniform``, the safe side. ``bucketed`` is
planned as ``weighted``, which a router that follows guidance can always do as well as.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from optimizer.domain import Limit, ModelKey, Routing, VariantKey
from optimizer.solver.problem import ModelProblem, VariantLine
from optimizer.solver.program import Program, Row

COST_UNIT_PER_HOUR = 1e-4
"""Every price is a whole number of these, rounded once, so that a gap under one unit is a proof."""
ROUNDING_RATIO = 1e-9
_MOMENT_S = 1e-9


@dataclass(frozen=True, slots=True)
class Slack:
    """What of `key` may stay unserved in a shortage: `variable` between 0 and `amount`, of a class with `priority`."""

    key: ModelKey
    variable: int
    amount: float
    priority: int


@dataclass(slots=True)
class Formulation:
    """A program with the meaning of its variables.

    Attributes
    ----------
    program
        The rows.
    replicas, most
        Variable of each variant, and its upper bound.
    cost, moves, spare
        Objectives: price in `COST_UNIT_PER_HOUR`, starts and stops, (negative) capacity.
    slacks
        What may stay unserved.
    limit_rows
        Row of each limit that is known.
    """

    program: Program = field(default_factory=Program)
    replicas: dict[VariantKey, int] = field(default_factory=dict)
    most: dict[VariantKey, float] = field(default_factory=dict)
    cost: Row = field(default_factory=dict)
    moves: Row = field(default_factory=dict)
    spare: Row = field(default_factory=dict)
    slacks: list[Slack] = field(default_factory=list)
    limit_rows: dict[str, int] = field(default_factory=dict)


def formulate(problems: Iterable[ModelProblem], limits: Iterable[Limit], *, may_fall_short: bool) -> Formulation:
    """Return the program of all `problems` under `limits`; without `may_fall_short` every need must be met."""
    formulation = Formulation()
    for problem in problems:
        _add_replicas(formulation, problem)
        if problem.fixed is not None:
            _add_wanted(formulation, problem, may_fall_short=may_fall_short)
        elif problem.routing in (Routing.WEIGHTED, Routing.BUCKETED):
            _add_weighted(formulation, problem, may_fall_short=may_fall_short)
        else:
            _add_uniform(formulation, problem, may_fall_short=may_fall_short)
    for limit in limits:
        _add_limit(formulation, limit)
    return formulation


def is_in_scope(limit: Limit, key: VariantKey) -> bool:
    """Whether replicas of `key` count for `limit`."""
    return key in limit.coefficients and (limit.namespaces is None or key.namespace in limit.namespaces)


def get_wanted(problem: ModelProblem, line: VariantLine) -> int:
    """Return the replicas of `line` that a policy of counts wants, within its own bound; 0 where needs decide."""
    wanted = 0 if problem.fixed is None else problem.fixed.get(line.key, 0)
    return wanted if line.max_replicas is None else min(wanted, line.max_replicas)


def get_early_replicas(line: VariantLine, lead_time_s: float) -> int | None:
    """Return the most replicas that serve by `lead_time_s` [s], present ones alone; None where new ones do as well."""
    if line.startup_s <= lead_time_s + _MOMENT_S:
        return None
    late = sum(wait_s > lead_time_s + _MOMENT_S for wait_s in line.starting_s)
    return max(line.present_replicas - late, 0)


def to_units(cost_per_hour: float) -> int:
    """Return a price [currency/h] in whole units."""
    return round(cost_per_hour / COST_UNIT_PER_HOUR)


def _add_replicas(formulation: Formulation, problem: ModelProblem) -> None:
    """Add the replicas of each variant with their bounds, prices and moves."""
    program = formulation.program
    for line in problem.lines:
        high = find_most_replicas(problem, line)
        replicas = program.add_variable(line.min_replicas, high, is_integer=True)
        starts = program.add_variable(0.0, math.inf)
        stops = program.add_variable(0.0, math.inf)
        program.add_row({replicas: 1.0, starts: -1.0, stops: 1.0}, line.present_replicas, line.present_replicas)
        formulation.replicas[line.key], formulation.most[line.key] = replicas, high
        formulation.cost[replicas] = to_units(line.cost_per_hour)
        formulation.cost[starts] = to_units(line.start_cost_per_hour)
        formulation.cost[stops] = to_units(line.stop_cost_per_hour)
        formulation.moves |= {starts: 1.0, stops: 1.0}
        formulation.spare[replicas] = -line.capacity_per_s
    row = {formulation.replicas[line.key]: 1.0 for line in problem.lines}
    most = problem.max_replicas
    if most is not None:
        most = max(most, sum(line.min_replicas for line in problem.lines))
    program.add_row(row, problem.min_replicas, math.inf if most is None else most)


def find_most_replicas(problem: ModelProblem, line: VariantLine) -> float:
    """Return a bound that no least-cost plan exceeds.

    A variant without capacity serves nothing: more of it than wanted is used only where others cannot fill the least
    replicas of the LLM.
    """
    wanted = 0 if problem.fixed is None else problem.fixed.get(line.key, 0)
    if line.capacity_per_s > 0.0:
        natural = max(problem.min_replicas, line.present_replicas, wanted, _count_carrying(problem, line))
    else:
        natural = max(wanted, problem.min_replicas if _lacks_fillers(problem) else 0)
    highest = math.inf if line.max_replicas is None else line.max_replicas
    return max(min(natural, highest), line.min_replicas)


def _count_carrying(problem: ModelProblem, line: VariantLine) -> int:
    """Return how many replicas of `line` carry the whole need, as slow as the slowest beside them may make them."""
    is_weighted = problem.routing in (Routing.WEIGHTED, Routing.BUCKETED)
    slowest = min(other.capacity_per_s for other in problem.lines if other.capacity_per_s > 0.0)
    highest_per_s = max((problem.need.sum_rate_per_s(time_s) for time_s in problem.need.lead_times_s), default=0.0)
    return math.ceil(highest_per_s / (line.capacity_per_s if is_weighted else slowest)) + 1


def _lacks_fillers(problem: ModelProblem) -> bool:
    """Whether the variants that carry something cannot fill the least replicas of the LLM."""
    highest = (line.max_replicas for line in problem.lines if line.capacity_per_s > 0.0)
    return sum(math.inf if most is None else most for most in highest) < problem.min_replicas


def _add_wanted(formulation: Formulation, problem: ModelProblem, *, may_fall_short: bool) -> None:
    for line in problem.lines:
        wanted = get_wanted(problem, line)
        if wanted <= line.min_replicas:
            continue
        row = {formulation.replicas[line.key]: 1.0}
        if may_fall_short:
            row[_add_slack(formulation, problem.key, float(wanted), problem.priority)] = 1.0
        formulation.program.add_row(row, wanted)


def _add_weighted(formulation: Formulation, problem: ModelProblem, *, may_fall_short: bool) -> None:
    columns = {line.key: formulation.replicas[line.key] for line in problem.lines if line.capacity_per_s > 0.0}
    capacities = {line.key: line.capacity_per_s for line in problem.lines}
    slacks = _add_need_slacks(formulation, problem) if may_fall_short else {}
    for lead_time_s in problem.need.lead_times_s:
        row = _gather(formulation.program, problem, columns, capacities, lead_time_s)
        _add_need_row(formulation.program, problem, row, lead_time_s, slacks.get(lead_time_s, []))


def _add_uniform(formulation: Formulation, problem: ModelProblem, *, may_fall_short: bool) -> None:
    """Add one copy of the variants per level; every replica at a level counts as its slowest variant does."""
    program = formulation.program
    levels = sorted({line.capacity_per_s for line in problem.lines if line.capacity_per_s > 0.0})
    chosen = {level: program.add_variable(0.0, 1.0, is_integer=True) for level in levels}
    copies: dict[float, dict[VariantKey, int]] = {level: {} for level in levels}
    for line in problem.lines:
        if line.capacity_per_s > 0.0:
            _copy_line(formulation, problem, line, chosen, copies)
    if levels:
        program.add_row(dict.fromkeys(chosen.values(), 1.0), 1.0, 1.0)
    slacks = _add_need_slacks(formulation, problem) if may_fall_short else {}
    for lead_time_s in problem.need.lead_times_s:
        row: Row = {}
        for level, columns in copies.items():
            row |= _gather(program, problem, columns, dict.fromkeys(columns, level), lead_time_s)
        _add_need_row(program, problem, row, lead_time_s, slacks.get(lead_time_s, []))


def _copy_line(
    formulation: Formulation,
    problem: ModelProblem,
    line: VariantLine,
    chosen: dict[float, int],
    copies: dict[float, dict[VariantKey, int]],
) -> None:
    """Split the replicas of `line` over the levels it is fast enough for; none are used at a higher one."""
    program, high = formulation.program, find_most_replicas(problem, line)
    split: Row = {formulation.replicas[line.key]: -1.0}
    for level, choice in chosen.items():
        if line.capacity_per_s < level:
            continue
        copy = program.add_variable(0.0, high)
        program.add_row({copy: 1.0, choice: -high}, high=0.0)
        copies[level][line.key] = copy
        split[copy] = 1.0
    program.add_row(split, 0.0, 0.0)


def _gather(
    program: Program,
    problem: ModelProblem,
    columns: dict[VariantKey, int],
    capacities_per_s: dict[VariantKey, float],
    lead_time_s: float,
) -> Row:
    """Return the capacity that is there by `lead_time_s` [s]; where new replicas are too late, of present ones only."""
    row: Row = {}
    for line in problem.lines:
        if line.key not in columns:
            continue
        column, most = columns[line.key], get_early_replicas(line, lead_time_s)
        if most is not None:
            early = program.add_variable(0.0, most)
            program.add_row({early: 1.0, column: -1.0}, high=0.0)
            column = early
        row[column] = capacities_per_s[line.key]
    return row


def _add_need_slacks(formulation: Formulation, problem: ModelProblem) -> dict[float, list[int]]:
    slacks: dict[float, list[int]] = defaultdict(list)
    for entry in problem.need.entries:
        if entry.rate_per_s > 0.0:
            slacks[entry.lead_time_s].append(_add_slack(formulation, problem.key, entry.rate_per_s, entry.priority))
    return slacks


def _add_slack(formulation: Formulation, key: ModelKey, amount: float, priority: int) -> int:
    variable = formulation.program.add_variable(0.0, amount)
    formulation.slacks.append(Slack(key, variable, amount, priority))
    return variable


def _add_need_row(program: Program, problem: ModelProblem, row: Row, lead_time_s: float, slacks: list[int]) -> None:
    """Add the row of one lead time, scaled to 1 so that the solver's tolerance is a share of the need."""
    need_per_s = problem.need.sum_rate_per_s(lead_time_s)
    if need_per_s <= 0.0:
        return
    scaled = {column: value / need_per_s for column, value in row.items()}
    scaled |= dict.fromkeys(slacks, 1.0 / need_per_s)
    program.add_row(scaled, 1.0 - ROUNDING_RATIO)


def _add_limit(formulation: Formulation, limit: Limit) -> None:
    row = {column: limit.coefficients[key] for key, column in formulation.replicas.items() if is_in_scope(limit, key)}
    if limit.amount is not None and row:
        formulation.limit_rows[limit.name] = formulation.program.add_row(row, high=limit.amount)
