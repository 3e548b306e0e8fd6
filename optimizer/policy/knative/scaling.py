"""One step of Knative's autoscaler: two means of the load in, replicas out, with panic and delay. It measures nothing.

Formula (r = max(1, ready), s and p the calm and the quick mean over the target, rounded up)::

    S, P   = s, p within [floor(r / down) if reachable, ceil(r up)];  lifted to the activation scale where s, p > 0
    panic  begins, or begins anew, when p / r >= threshold; ends when that was longer ago than the stable window
    want   = S;  in panic the largest max(S, P) since it began: never less
    delay  the largest want of the delay, in slots of 2 s, while reachable

Quirks kept: what is starting does not count, so a start of minutes lets the want grow with the queue; nothing but the
time since the last breach ends a panic; at the end of it the plan falls to S at once.

Source
------
Knative Serving, pod autoscaler (KPA).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from optimizer.policy.knative.settings import KnativeSettings

_SLOT_S = 2.0


@dataclass(frozen=True, slots=True)
class ScaleState:
    """What is remembered between steps.

    Attributes
    ----------
    panic_since_s
        When the threshold was last breached [s], None out of panic.
    max_panic_replicas
        Largest want of this panic.
    delayed
        Recent wants that no later one reached, by slot of 2 s, oldest and largest first.
    """

    panic_since_s: float | None = None
    max_panic_replicas: int = 0
    delayed: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Load:
    """What was seen at one step.

    Attributes
    ----------
    ready_replicas
        Replicas that serve; None when not known.
    stable_requests, panic_requests
        Calm and quick mean over the whole pool [requests, or 1/s]; None when not known.
    is_reachable
        Whether traffic is routed to the pool.
    """

    ready_replicas: int | None
    stable_requests: float | None
    panic_requests: float | None
    is_reachable: bool = True


@dataclass(frozen=True, slots=True)
class ScaleAnswer:
    """The answer of one step.

    Attributes
    ----------
    desired_replicas
        What is wanted, before bounds; None for no decision: keep.
    is_panicking
        Whether it is in panic.
    excess_burst_requests
        Room above the burst to keep; -1 where that is unlimited.
    """

    desired_replicas: int | None
    is_panicking: bool
    excess_burst_requests: int = 0


def start_scaling(ready_replicas: int, now_s: float) -> ScaleState:
    """Return the state after a restart at `now_s` [s]: in panic where more than one replica serves, so none is lost."""
    return ScaleState(now_s, ready_replicas) if ready_replicas > 1 else ScaleState()


def step_scaling(
    state: ScaleState,
    load: Load,
    now_s: float,
    settings: KnativeSettings,
    *,
    target_requests: float | None = None,
    total_requests: float | None = None,
) -> tuple[ScaleAnswer, ScaleState]:
    """Return the answer at `now_s` [s] and the next state.

    Parameters
    ----------
    state
        From the step before.
    load
        What was seen.
    now_s
        Time of this step [s].
    settings
        As configured.
    target_requests, total_requests
        In place of those of `settings`.
    """
    if load.ready_replicas is None or load.stable_requests is None or load.panic_requests is None:
        return ScaleAnswer(None, state.panic_since_s is not None), state
    target = settings.target_requests if target_requests is None else target_requests
    total = settings.total_requests if total_requests is None else total_requests
    ready = max(1, load.ready_replicas)
    raw_stable, raw_panic = math.ceil(load.stable_requests / target), math.ceil(load.panic_requests / target)
    stable = _limit(raw_stable, ready, load.is_reachable, settings)
    panic = _limit(raw_panic, ready, load.is_reachable, settings)
    state = _track_panic(state, raw_panic / ready >= settings.panic_threshold_ratio, now_s, settings)
    desired = stable
    if state.panic_since_s is not None:
        desired = max(stable, panic, state.max_panic_replicas)
        state = replace(state, max_panic_replicas=desired)
    desired, state = _delay(state, desired, load.is_reachable, now_s, settings)
    burst = _compute_excess_burst(load.ready_replicas * total, load.panic_requests, settings)
    return ScaleAnswer(desired, state.panic_since_s is not None, burst), state


def _limit(wanted: int, ready: int, is_reachable: bool, settings: KnativeSettings) -> int:
    most = math.ceil(settings.max_scale_up_rate * ready)
    least = math.floor(ready / settings.max_scale_down_rate) if is_reachable else 0
    limited = min(max(wanted, least), most)
    return max(limited, settings.activation_replicas) if settings.activation_replicas > 1 and wanted > 0 else limited


def _track_panic(state: ScaleState, is_over: bool, now_s: float, settings: KnativeSettings) -> ScaleState:
    if is_over:
        return replace(state, panic_since_s=now_s)
    if state.panic_since_s is not None and state.panic_since_s + settings.stable_window_s < now_s:
        return replace(state, panic_since_s=None, max_panic_replicas=0)
    return state


def _delay(
    state: ScaleState, desired: int, is_reachable: bool, now_s: float, settings: KnativeSettings
) -> tuple[int, ScaleState]:
    if settings.scale_down_delay_s <= 0.0 or not is_reachable:
        return desired, state
    slot, slots = math.floor(now_s / _SLOT_S), math.ceil(settings.scale_down_delay_s / _SLOT_S)
    kept = [entry for entry in state.delayed if entry[0] > slot - slots and entry[1] > desired]
    kept.append((slot, desired))
    return kept[0][1], replace(state, delayed=tuple(kept))


def _compute_excess_burst(room_requests: float, panic_requests: float, settings: KnativeSettings) -> int:
    if settings.target_burst_requests < 0.0:
        return -1
    if settings.target_burst_requests == 0.0:
        return 0
    return math.floor(room_requests - settings.target_burst_requests - panic_requests)
