"""One step of Ray Serve's autoscaling: requests in flight in, replicas out, behind delays. It averages nothing.

Formula (c current and t target replicas, f the factor of the direction)::

    c = 0:  max(ceil(f_up), t) when anything is asked for, else t, both at once
    d = total / target_ongoing;  s = ceil(c + f (d - c)), one less where ceil(d) < c would give c;  at c = 0 ceil(d)
    s replaces t once s > t, or s < t, has held for the delay of that direction; t goes down to 1 first, then to 0

Quirks kept: equality and reversal begin the wait anew, and what is applied after it is the wish of that moment.

Source
------
Ray Serve, default autoscaling policy, in two versions: delays by the clock, and by counting loops of 0.1 s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

LOOP_S = 0.1
_TOLERANCE_S = 1e-6
_AGGREGATIONS = ("mean", "max", "min")


@dataclass(frozen=True, slots=True)
class RaySettings:
    """Everything that is set, with the peer's defaults.

    Attributes
    ----------
    min_replicas, max_replicas
        Bounds, applied outside of the rules.
    initial_replicas
        Where it starts, None for the lower bound.
    target_ongoing_requests
        Requests in flight that one replica is to have.
    look_back_period_s
        Window of the mean [s].
    upscale_delay_s, downscale_delay_s
        How long a wish must hold [s].
    downscale_to_zero_delay_s
        The same for the last replica [s]; None means `downscale_delay_s`.
    upscaling_factor, downscaling_factor
        Gain of a step in each direction.
    aggregation_function
        What is made of the look-back: ``mean``, ``max`` or ``min``.
    """

    min_replicas: int = 1
    max_replicas: int = 1
    initial_replicas: int | None = None
    target_ongoing_requests: float = 2.0
    look_back_period_s: float = 30.0
    upscale_delay_s: float = 30.0
    downscale_delay_s: float = 600.0
    downscale_to_zero_delay_s: float | None = None
    upscaling_factor: float = 1.0
    downscaling_factor: float = 1.0
    aggregation_function: str = "mean"

    @property
    def to_zero_delay_s(self) -> float:
        """Delay of the last replica [s]."""
        return self.downscale_delay_s if self.downscale_to_zero_delay_s is None else self.downscale_to_zero_delay_s


@dataclass(frozen=True, slots=True)
class DelayState:
    """A wish that waits: its direction (1, -1, or 0 for none), since when [s], and for how many loops."""

    direction: int = 0
    since_s: float = 0.0
    loops: int = 0


def step_ray_serve(
    state: DelayState, total_requests: float, *, current: int, target: int, now_s: float, settings: RaySettings
) -> tuple[int, DelayState]:
    """Return the target replicas at `now_s` [s], before bounds, and the next state.

    Parameters
    ----------
    state
        From the step before.
    total_requests
        Ongoing and queued, of all replicas.
    current, target
        Replicas that serve, and that were asked for last.
    now_s
        Time of this step [s].
    settings
        As configured.
    """
    if current == 0:
        return (max(math.ceil(settings.upscaling_factor), target) if total_requests > 0.0 else target), state
    desired = apply_factor(total_requests / settings.target_ongoing_requests, current, settings)
    return step_delay(state, desired, target, now_s, settings)


def apply_factor(desired: float, current: int, settings: RaySettings) -> int:
    """Return the wish for `desired` replicas from `current`, the gain of its direction applied; never below 0."""
    if current == 0:
        return math.ceil(desired)
    factor = settings.upscaling_factor if desired > current else settings.downscaling_factor
    scaled = math.ceil(current + factor * (desired - current))
    if math.ceil(desired) < current == scaled:
        scaled -= 1
    return max(scaled, 0)


def step_delay(
    state: DelayState, desired: int, target: int, now_s: float, settings: RaySettings, *, counts_loops: bool = False
) -> tuple[int, DelayState]:
    """Return the target after `desired` was wished at `now_s` [s], and the next state.

    With `counts_loops` a wish waits for more than ``int(delay / 0.1 s)`` steps, however long they take.
    """
    direction = (desired > target) - (desired < target)
    if direction == 0:
        return target, DelayState()
    since_s, loops = (state.since_s, state.loops + 1) if state.direction == direction else (now_s, 1)
    if direction > 0:
        wish, delay_s = desired, settings.upscale_delay_s
    elif target > 1:
        wish, delay_s = max(desired, 1), settings.downscale_delay_s
    else:
        wish, delay_s = desired, settings.to_zero_delay_s
    is_due = loops > int(delay_s / LOOP_S) if counts_loops else now_s - since_s + _TOLERANCE_S >= delay_s
    return (wish, DelayState()) if is_due else (target, DelayState(direction, since_s, loops))


def iterate_faults(settings: RaySettings) -> Iterator[tuple[str, str, object]]:
    """Yield field, bound and value of everything that the peer refuses."""
    initial, to_zero_s = settings.initial_replicas, settings.downscale_to_zero_delay_s
    within = (
        ("max_replicas", ">= 1, >= min_replicas", settings.max_replicas >= max(settings.min_replicas, 1)),
        ("min_replicas", ">= 0", settings.min_replicas >= 0),
        (
            "initial_replicas",
            "within the bounds",
            initial is None or settings.min_replicas <= initial <= settings.max_replicas,
        ),
        ("target_ongoing_requests", "> 0", settings.target_ongoing_requests > 0.0),
        ("look_back_period_s", "> 0 [s]", settings.look_back_period_s > 0.0),
        ("upscale_delay_s", ">= 0 [s]", settings.upscale_delay_s >= 0.0),
        ("downscale_delay_s", ">= 0 [s]", settings.downscale_delay_s >= 0.0),
        ("downscale_to_zero_delay_s", ">= 0 [s]", to_zero_s is None or to_zero_s >= 0.0),
        ("upscaling_factor", "> 0", settings.upscaling_factor > 0.0),
        ("downscaling_factor", "> 0", settings.downscaling_factor > 0.0),
        (
            "aggregation_function",
            f"one of {', '.join(_AGGREGATIONS)}",
            settings.aggregation_function in _AGGREGATIONS,
        ),
    )
    for name, bound, is_kept in within:
        if not is_kept:
            yield name, bound, getattr(settings, name)
