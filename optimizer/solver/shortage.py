"""Who goes short when the needs do not fit: the fairest way, class by class. It knows no prices.

From the highest class down: the largest missing share of any need is made as small as it can be (max-min); the needs
that cannot get below it are frozen there, the others go on; then the total of the class. What a class reached binds
the classes below it.

Source: lexicographic max-min fairness. With whole replicas it may be that each of several needs could gain but not all
at once: then the first by name waits, and the others go on.
"""

from __future__ import annotations

from optimizer.domain import DecisionSettings
from optimizer.solver.formulation import Formulation, Slack
from optimizer.solver.program import Row

_TOLERANCE = 1e-6
_MOST_COMPARED = 24  # needs up to which every one is asked whether it can do better


def share_shortage(formulation: Formulation, decision: DecisionSettings) -> bool:
    """Bind the program to the fairest shortage; False when bounds and limits alone leave no answer."""
    for priority in sorted({slack.priority for slack in formulation.slacks}, reverse=True):
        slacks = [slack for slack in formulation.slacks if slack.priority == priority]
        if not _level(formulation, slacks, decision):
            return False
        total: Row = {slack.variable: 1.0 for slack in slacks}
        answer = formulation.program.minimize(total, decision)
        if answer is None:
            return False
        allowed = answer.objective + _TOLERANCE * sum(slack.amount for slack in slacks)
        formulation.program.add_row(total, high=allowed)
    return True


def _level(formulation: Formulation, slacks: list[Slack], decision: DecisionSettings) -> bool:
    """Bind every one of `slacks` to its fair share; False when there is no answer at all."""
    program = formulation.program
    left = sorted(slacks, key=lambda slack: (slack.key, slack.variable))
    while left:
        missing = program.add_variable(0.0, 1.0)
        for slack in left:
            program.add_row({slack.variable: 1.0 / slack.amount, missing: -1.0}, high=0.0)
        answer = program.minimize({missing: 1.0}, decision)
        if answer is None:
            return False
        share = max(answer.objective, 0.0)
        for slack in left:
            program.restrict(slack.variable, 0.0, (share + _TOLERANCE) * slack.amount)
        if share <= _TOLERANCE or len(left) > _MOST_COMPARED:
            return True
        stuck = [slack for slack in left if not _can_gain(formulation, slack, share, decision)]
        frozen = stuck or left[:1]
        left = [slack for slack in left if slack not in frozen]
    return True


def _can_gain(formulation: Formulation, slack: Slack, share: float, decision: DecisionSettings) -> bool:
    answer = formulation.program.minimize({slack.variable: 1.0 / slack.amount}, decision)
    return answer is not None and answer.objective < share - 10.0 * _TOLERANCE
