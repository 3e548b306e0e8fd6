"""A profile for AIBrix's optimizer out of a performance model instead of a benchmark, on a grid of lengths in tokens.

A cell is worth what one replica carries within every promise when all requests have the lengths of its ticks. Cells are
computed when they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.domain import LengthDistribution, ServiceClass, Variant, Workload
from optimizer.policy.aibrix.profile import find_tick
from optimizer.queueing import estimate_capacity

PEER_TICKS_TOKENS = tuple(float(2**power) for power in range(2, 13))
"""The ticks of the peer's benchmark: 4 to 4096 [tokens]."""
WIDE_TICKS_TOKENS = tuple(float(2**power) for power in range(2, 18))
"""The same up to 131072, so that long requests are not priced as short ones [tokens]."""


@dataclass(frozen=True, slots=True)
class ModelledProfile:
    """Capacity of one replica of `variant` by cell.

    Attributes
    ----------
    variant, service_classes, kv_capacity_tokens
        What capacity depends on; the last is None when only the profile of the variant tells.
    cost
        Price of a replica [currency/h].
    output_ticks_tokens, input_ticks_tokens
        Ticks of the grid, ascending [tokens].
    """

    variant: Variant
    service_classes: tuple[ServiceClass, ...]
    kv_capacity_tokens: float | None
    cost: float
    output_ticks_tokens: tuple[float, ...] = WIDE_TICKS_TOKENS
    input_ticks_tokens: tuple[float, ...] = WIDE_TICKS_TOKENS

    def find_cell(self, output_tokens: float, input_tokens: float) -> tuple[int, int]:
        """Return row and column of the lengths [tokens]."""
        return find_tick(self.output_ticks_tokens, output_tokens), find_tick(self.input_ticks_tokens, input_tokens)

    def get_capacity_per_s(self, row: int, column: int) -> float:
        """Return what one replica carries of a cell [1/s]; 0 when it cannot be served, or nothing is known."""
        inputs, outputs = self.input_ticks_tokens[column], self.output_ticks_tokens[row]
        workload = Workload(1.0, LengthDistribution(inputs, inputs**2), LengthDistribution(outputs, outputs**2))
        estimate = estimate_capacity(self.variant, workload, self.service_classes, self.kv_capacity_tokens)
        return estimate.capacity_per_s.value or 0.0


def is_modelled(variant: Variant) -> bool:
    """Return whether something is known of the speed of `variant`."""
    known = variant.performance
    return known is not None and not (known.law is None and known.table is None)
