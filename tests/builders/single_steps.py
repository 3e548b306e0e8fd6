"""A step time that plans one iteration at a time, so that an engine with it iterates where others leap."""

from __future__ import annotations

from optimizer.simulation import Steps, StepTime


class SingleSteps:
    """`step_time`, one iteration at a time."""

    def __init__(self, step_time: StepTime) -> None:
        self._step_time = step_time

    def plan_steps(self, decoding_requests: int, context_tokens: int, prompt_tokens: int, iteration: int) -> Steps:
        planned = self._step_time.plan_steps(decoding_requests, context_tokens, prompt_tokens, iteration)
        return planned._replace(limit=1)
