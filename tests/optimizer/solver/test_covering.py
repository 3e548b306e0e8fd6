"""The search for the cheapest cover against trying everything, and its honesty when it is cut short."""

from __future__ import annotations

import itertools
import random

import pytest

from optimizer.solver.column import Column
from optimizer.solver.covering import cover

MANY = 10**6


def draw_columns(rng: random.Random, columns: int, rows: int, caps: int) -> list[Column]:
    drawn = []
    for _ in range(columns):
        least = rng.choice([0, 0, 1])
        below = rng.randint(-4, 9)
        gains = tuple((rng.randint(0, 7), rng.choice([1, 2, 100])) for _ in range(rows))
        uses = tuple(rng.randint(0, 6) for _ in range(caps))
        drawn.append(
            Column(least, rng.randint(least, 5), rng.randint(0, 6), below, below + rng.randint(0, 8), gains, uses)
        )
    return drawn


def weigh_all(columns: list[Column], counts: tuple[int, ...]) -> int:
    """From the definition: one after another."""
    return sum(
        column.weight_below if number < column.bend else column.weight_above
        for column, count in zip(columns, counts, strict=True)
        for number in range(count)
    )


def is_allowed(columns: list[Column], counts: tuple[int, ...], needs: list[int], amounts: list[int]) -> bool:
    pairs = list(zip(columns, counts, strict=True))
    return all(
        sum(column.gains[row][0] * min(count, column.gains[row][1]) for column, count in pairs) >= need
        for row, need in enumerate(needs)
    ) and all(sum(column.uses[cap] * count for column, count in pairs) <= amount for cap, amount in enumerate(amounts))


@pytest.mark.parametrize("seed", range(6))
def test_the_cover_is_the_best_of_all(seed: int) -> None:
    rng = random.Random(seed)
    found = none = 0
    for _ in range(150):
        rows, caps = rng.randint(0, 3), rng.randint(0, 2)
        columns = draw_columns(rng, rng.randint(1, 4), rows, caps)
        needs = [rng.randint(-2, 30) for _ in range(rows)]
        amounts = [rng.randint(0, 40) for _ in range(caps)]
        everything = itertools.product(*(range(column.least, column.most + 1) for column in columns))
        allowed = [counts for counts in everything if is_allowed(columns, counts, needs, amounts)]
        answer = cover(columns, needs, amounts, most_nodes=MANY)
        assert answer.is_proven
        if not allowed:
            none += 1
            assert answer.counts is None
            continue
        found += 1
        best = min(weigh_all(columns, counts) for counts in allowed)
        assert answer.counts in allowed
        assert answer.weight == weigh_all(columns, answer.counts) == best
        assert cover(columns, needs, amounts, most_nodes=MANY, below=best).counts is None
        assert cover(columns, needs, amounts, most_nodes=MANY, below=best + 1).weight == best
    assert found > 40
    assert none > 20


def test_a_search_that_is_cut_short_says_so_and_keeps_what_it_has() -> None:
    rng = random.Random(5)
    columns = [
        Column(0, 60, 0, weight, weight, ((gain, 60),))
        for gain, weight in ((rng.randint(90, 110) * size, rng.randint(900, 1100) * size) for size in range(2, 12))
    ]
    whole = cover(columns, [30_011], [], most_nodes=MANY)
    cut = cover(columns, [30_011], [], most_nodes=12)
    assert whole.is_proven
    assert whole.nodes > 12
    assert not cut.is_proven
    assert cut.counts is not None
    assert is_allowed(columns, cut.counts, [30_011], [])
    assert cut.weight >= whole.weight


def test_no_columns_cover_what_needs_nothing() -> None:
    assert cover([], [], [], most_nodes=MANY).counts == ()


def test_numbers_of_any_size_are_told_apart() -> None:
    """Two ways that differ by one in 10^40: no rounding may blur them."""
    huge = 10**40
    columns = [Column(0, 1, 0, huge + 1, huge + 1, ((7, 1),)), Column(0, 1, 0, huge, huge, ((7, 1),))]
    assert cover(columns, [7], [], most_nodes=MANY).counts == (0, 1)
