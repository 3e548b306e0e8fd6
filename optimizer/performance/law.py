"""The linear iteration law ``a + b*n + c*K + e*P``. It knows no queue and no target.

Source: derived from kernel tables and measured servers; without the last term, which lets prompts delay the tokens of
others, the served ITL comes out 12-16 % wrong, with it 2 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from optimizer.domain import IterationLaw
from optimizer.errors import InvalidInput
from optimizer.performance.context_line import ContextLine


@dataclass(frozen=True, slots=True)
class LinearIterationTime:
    """Time of one iteration by the coefficients of `law`.

    Examples
    --------
    >>> time = LinearIterationTime(IterationLaw(0.010, 0.0001, 1e-7, 2e-5))
    >>> round(time.compute_iteration_s(decoding_requests=10, context_tokens=10_000, prompt_tokens=500), 6)
    0.022

    Raises
    ------
    InvalidInput
        When a coefficient is negative or not finite, or an iteration takes no time at all.
    """

    law: IterationLaw

    def __post_init__(self) -> None:
        for field in fields(self.law):
            value = getattr(self.law, field.name)
            if not 0.0 <= value < float("inf"):
                raise InvalidInput(f"law.{field.name}", ">= 0 and finite [s]", value)
        if self.law.fixed_s <= 0.0:
            raise InvalidInput("law.fixed_s", "> 0 [s]", self.law.fixed_s)

    def compute_iteration_s(self, decoding_requests: float, context_tokens: float, prompt_tokens: float = 0.0) -> float:
        """Return ``a + b*n + c*K + e*P`` [s]."""
        law = self.law
        return (
            law.fixed_s
            + law.per_request_s * decoding_requests
            + law.per_context_token_s * context_tokens
            + law.per_prompt_token_s * prompt_tokens
        )

    def compute_prefill_work_s(self, prompt_tokens: float) -> float:
        """Return ``e*P`` [s]."""
        return self.law.per_prompt_token_s * prompt_tokens

    def list_context_lines(self, decoding_requests: float) -> tuple[ContextLine, ...]:
        """Return the times of decode iterations of `decoding_requests` by their context: one line."""
        fixed_s = self.law.fixed_s + self.law.per_request_s * decoding_requests
        return (ContextLine(math.inf, fixed_s, self.law.per_context_token_s),)
