"""Rungs and ladders: figures that say what they are; how they are judged, added up and printed. Computed elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

_BELOW_RATIO = 1e-9  # floating point in bills


class RungKind(StrEnum):
    """What a figure is."""

    EXACT = "exact optimum"  # of the relaxed problem described, hence a bound as well
    BOUND = "valid bound"
    MEASURED = "measured bound"  # rests on a ceiling that was measured, not proven: it convicts nobody
    REFERENCE = "reference"  # no bound: a policy may be cheaper
    INCUMBENT = "incumbent"  # what some path costs


@dataclass(frozen=True, slots=True)
class Rung:
    """One line of the ladder.

    Attributes
    ----------
    name
        Short name, such as ``LB1(99%)``.
    cost
        The figure [currency]; infinite where no fleet serves the demand.
    kind
        What it is.
    attainment_ratio
        It bounds those who attain this share [0-1] or more; None for what bounds nobody.
    text
        What it is, in words.
    assumptions
        What it rests on.
    states, steps
        Size of the dynamic program, 0 states where there is none.
    method
        How it was computed.
    """

    name: str
    cost: float
    kind: RungKind
    attainment_ratio: float | None
    text: str
    assumptions: tuple[str, ...]
    states: int
    steps: int
    method: str

    @property
    def is_bound(self) -> bool:
        """Whether it is proven to bound a policy that attains its share."""
        return self.attainment_ratio is not None and self.kind is not RungKind.MEASURED

    def applies_to(self, attainment_ratio: float) -> bool:
        """Return whether it is about those who attain `attainment_ratio` [0-1], be it proven or measured."""
        return self.attainment_ratio is not None and self.attainment_ratio <= attainment_ratio


@dataclass(frozen=True, slots=True)
class Ladder:
    """All rungs for one attained share.

    Attributes
    ----------
    name
        The LLM, or what is added up.
    attainment_ratio
        Share of the requests that kept their SLO [0-1].
    rungs
        Ascending by cost.
    """

    name: str
    attainment_ratio: float
    rungs: tuple[Rung, ...]

    @property
    def bound(self) -> float:
        """The highest bound that is proven for whoever attains no less than `attainment_ratio` [currency]."""
        return max((rung.cost for rung in self._list_holding()), default=0.0)

    @property
    def bound_name(self) -> str:
        """Name of the rung that gives `bound`, "" without any."""
        holding = self._list_holding()
        return max(holding, key=lambda rung: rung.cost).name if holding else ""

    @property
    def measured(self) -> Rung | None:
        """The highest rung at the attained share that rests on a measurement, None where nothing was measured."""
        found = [
            rung for rung in self.rungs if rung.kind is RungKind.MEASURED and rung.applies_to(self.attainment_ratio)
        ]
        return max(found, key=lambda rung: rung.cost, default=None)

    def add(self, rung: Rung) -> Ladder:
        """Return this ladder with one rung more."""
        return replace(self, rungs=_sort((*self.rungs, rung)))

    def get(self, name: str) -> Rung | None:
        """Return the rung called `name`, None when there is none."""
        return next((rung for rung in self.rungs if rung.name == name), None)

    def is_above_bound(self, cost: float) -> bool:
        """Return whether a bill of `cost` [currency] is possible; where it is not, simulator or bound is wrong."""
        return cost >= self.bound * (1.0 - _BELOW_RATIO)

    def render(self) -> tuple[str, ...]:
        """Return one line of text per rung, ascending."""
        width = max((len(rung.name) for rung in self.rungs), default=0)
        return tuple(f"{rung.name:<{width}}  {rung.cost:>12.4f}  {rung.kind}: {rung.text}" for rung in self.rungs)

    def _list_holding(self) -> list[Rung]:
        return [rung for rung in self.rungs if rung.is_bound and rung.applies_to(self.attainment_ratio)]


def add_up_ladders(name: str, attainment_ratio: float, ladders: Sequence[Ladder]) -> Ladder:
    """Return the ladder of several LLMs together: rung by rung, for those rungs that all of them have.

    A sum of bounds is a bound of the sum; limits that they share are left out. `attainment_ratio` is for display: what
    holds is judged in each of `ladders`, so that the sum of a rung of one LLM's own share stays one.
    """
    if len(ladders) < 2:
        return Ladder(name, attainment_ratio, ladders[0].rungs if ladders else ())
    parts = [{_get_kin(rung): rung for rung in ladder.rungs} for ladder in ladders]
    shared = [kin for kin in parts[0] if all(kin in part for part in parts)]
    best = [
        next(rung for rung in ladder.rungs if rung.name == ladder.bound_name) for ladder in ladders if ladder.bound_name
    ]
    rungs = [_add_up([part[kin] for part in parts], kin[0], attainment_ratio) for kin in shared]
    if len(best) == len(ladders):
        rungs.append(_add_up(best, "best", attainment_ratio))
    return Ladder(name, attainment_ratio, _sort(rungs))


def _sort(rungs: Sequence[Rung]) -> tuple[Rung, ...]:
    return tuple(sorted(rungs, key=lambda rung: (rung.cost, rung.name)))


def _get_kin(rung: Rung) -> tuple[str, bool]:
    """Return what rungs of several LLMs have in common: the name without the share."""
    name, opened, _ = rung.name.partition("(")
    return (f"{name}(a)" if opened else name), rung.is_bound


def _add_up(rungs: Sequence[Rung], name: str, attainment_ratio: float) -> Rung:
    first = rungs[0]
    kinds = {rung.kind for rung in rungs}
    shares = [rung.attainment_ratio for rung in rungs if rung.attainment_ratio is not None]
    is_for_share = "(" in name or name == "best"
    return Rung(
        name=name,
        cost=math.fsum(rung.cost for rung in rungs),
        kind=first.kind if len(kinds) == 1 else RungKind.MEASURED if RungKind.MEASURED in kinds else RungKind.BOUND,
        attainment_ratio=None if not shares else attainment_ratio if is_for_share else max(shares),
        text=f"the sum over {len(rungs)}: {first.text}",
        assumptions=first.assumptions,
        states=sum(rung.states for rung in rungs),
        steps=max(rung.steps for rung in rungs),
        method=first.method,
    )
