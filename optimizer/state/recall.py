"""Bringing a state up to what was published since it was kept. It decides nothing and forgets nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from optimizer.domain import ModelDecision, VariantKey
from optimizer.state.memory import ModelState, State


def recall_decisions(state: State, published: Iterable[ModelDecision]) -> State:
    """Return `state` with the numbers of `published` wherever it remembers none, or older ones.

    A state is kept now and then, numbers are published at once: whoever goes on from it must begin with the numbers
    that everybody saw last. Where the numbers are the same, all that is remembered beside them stays.
    """
    models = dict(state.models)
    for decision in published:
        remembered = models.get(decision.key, ModelState())
        models[decision.key] = replace(remembered, decision=_choose(remembered.decision, decision))
    return replace(state, models=models)


def _choose(remembered: ModelDecision | None, published: ModelDecision) -> ModelDecision:
    if remembered is None:
        return published
    if published.decided_at_s <= remembered.decided_at_s:
        return remembered
    numbers = _list_numbers(published)
    untold = tuple(line for line in remembered.variants if line.key not in numbers)
    if all(numbers.get(line.key, line.planned_replicas) == line.planned_replicas for line in remembered.variants):
        new = tuple(line for line in published.variants if line.key not in _list_numbers(remembered))
        return replace(remembered, decided_at_s=published.decided_at_s, variants=(*remembered.variants, *new))
    return replace(published, variants=(*published.variants, *untold))


def _list_numbers(decision: ModelDecision) -> dict[VariantKey, int]:
    return {line.key: line.planned_replicas for line in decision.variants}
