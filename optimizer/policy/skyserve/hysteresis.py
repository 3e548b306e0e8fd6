"""A wish must last before the target follows: counted in ticks as the peer does. It computes no wish.

    ticks needed = floor(delay / 20 s)

Source
------
SkyServe (``sky/serve``) at 01836b312d03. Kept on purpose: one tick with the wish at the target starts the wait anew in
both directions, and when it is over the wish of **this** tick is taken, whatever the others were. At a target of 0 any
wish is taken at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

DECISION_INTERVAL_S = 20.0
"""Between two ticks, and the unit of the delays at any tick [s]."""
INTERVAL_AT_ZERO_S = 5.0
"""Between two ticks while nothing runs [s]."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the peer remembers.

    Attributes
    ----------
    target_replicas
        The number in force.
    up_ticks, down_ticks
        For how many ticks in a row more, or less, was wished for.
    """

    target_replicas: int
    up_ticks: int = 0
    down_ticks: int = 0


def step_waiting(waiting: Waiting, wish: int, upscale_delay_s: float, downscale_delay_s: float) -> Waiting:
    """Return what is in force and remembered after a tick that wished for `wish` replicas."""
    target = waiting.target_replicas
    if target == 0:
        return Waiting(wish)
    if wish == target:
        return Waiting(target)
    if wish > target:
        waiting = replace(waiting, up_ticks=waiting.up_ticks + 1, down_ticks=0)
        is_due = waiting.up_ticks >= int(upscale_delay_s / DECISION_INTERVAL_S)
    else:
        waiting = replace(waiting, up_ticks=0, down_ticks=waiting.down_ticks + 1)
        is_due = waiting.down_ticks >= int(downscale_delay_s / DECISION_INTERVAL_S)
    return Waiting(wish) if is_due else waiting


def get_decision_interval_s(final_target_replicas: int) -> float:
    """Return the time to the next tick [s]."""
    return INTERVAL_AT_ZERO_S if final_target_replicas == 0 else DECISION_INTERVAL_S
