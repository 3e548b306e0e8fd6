"""The lines of a batch say by context what the performance model says of one iteration."""

from __future__ import annotations

from itertools import pairwise

import pytest

from optimizer.domain import IterationLaw, IterationTable
from optimizer.performance import LinearIterationTime, MeasuredIterationTime

LAW = LinearIterationTime(IterationLaw(0.010, 0.0001, 1e-7, 2e-5))
TABLE = MeasuredIterationTime(
    IterationTable(
        (1.0, 8.0, 64.0), (128.0, 1000.0, 4096.0), ((3.0, 2.0, 4.0), (3.0, 3.5, 9.0), (5, 8, 30)), (32,), (2,)
    )
)
POINT = MeasuredIterationTime(IterationTable((4.0,), (100.0,), ((3.0,),), (32.0,), (2.0,)))


@pytest.mark.parametrize("model", [LAW, TABLE, POINT], ids=["law", "table", "one point"])
@pytest.mark.parametrize("requests", [1, 3, 8, 50, 64, 200])
def test_lines_give_the_times_of_the_model_and_meet(
    model: LinearIterationTime | MeasuredIterationTime, requests: int
) -> None:
    lines = model.list_context_lines(requests)
    for context_tokens in (0, 1, 127, 128, 129, 900, 1000, 4000, 4096, 4097, 30_000):
        held_tokens = context_tokens * requests
        line = next(line for line in lines if held_tokens <= line.until_tokens)
        time_s = line.fixed_s + line.per_token_s * held_tokens
        assert time_s == pytest.approx(model.compute_iteration_s(requests, held_tokens), rel=1e-12)
        assert line.per_token_s >= 0.0
    for line, after in pairwise(lines):
        end_tokens = line.until_tokens
        assert line.fixed_s + line.per_token_s * end_tokens == pytest.approx(
            after.fixed_s + after.per_token_s * end_tokens, rel=1e-12
        )


@pytest.mark.parametrize("model", [LAW, TABLE, POINT], ids=["law", "table", "one point"])
def test_an_iteration_that_only_computes_prompts_has_one_line(
    model: LinearIterationTime | MeasuredIterationTime,
) -> None:
    [line] = model.list_context_lines(0)
    assert line.fixed_s + line.per_token_s * 0 == model.compute_iteration_s(0, 0)
