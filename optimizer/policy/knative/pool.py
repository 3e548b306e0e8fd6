"""One pool under Knative's autoscaler: load in, means, scaling, and the wait before zero. It bounds nothing upwards.

The load is given once a step and taken to have stood since the step before, second by second, as the peer's collector
reads it every second. Where steps are further apart than the quick window, both means see only what is newest.

Source
------
Knative Serving: collector, KPA, and the scaler's wait before zero (grace period, pod retention).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain, groupby, repeat

from optimizer.policy.knative.scaling import Load, ScaleState, start_scaling, step_scaling
from optimizer.policy.knative.settings import KnativeSettings
from optimizer.policy.knative.window import BucketWindow

_KEPT_DECIMALS = 4
_LONGEST = 3600  # seconds of a window
_EXACT_S, _MOST_STRETCHES = 60, 60


@dataclass(frozen=True, slots=True)
class PoolState:
    """What is remembered of a pool: panic and delay, both windows, and since when zero is wanted [s]."""

    scale: ScaleState
    stable: BucketWindow
    panic: BucketWindow
    zero_since_s: float | None = None


def start_pool(ready_replicas: int, now_s: float, settings: KnativeSettings) -> PoolState:
    """Return the state of a pool that was not watched before `now_s` [s]."""
    stable, panic = _make_windows(settings)
    return PoolState(start_scaling(ready_replicas, now_s), stable, panic)


def step_pool(
    state: PoolState, requests: float | None, ready_replicas: int | None, now_s: float, settings: KnativeSettings
) -> tuple[int | None, PoolState]:
    """Return the replicas wanted at `now_s` [s], None to keep what there is, and the next state.

    Parameters
    ----------
    state
        From the step before.
    requests
        Load of the whole pool [requests, or 1/s], None when it could not be read: the means then stand on what was
        read before, until the stable window is empty.
    ready_replicas
        Replicas that serve, None when not known.
    now_s
        Time of this step [s].
    settings
        As configured; bounds are not looked at but for `min_replicas` 0, without which nothing goes to zero.
    """
    if requests is not None:
        state = replace(state, stable=_fill(state.stable, requests, now_s), panic=_fill(state.panic, requests, now_s))
    is_empty = state.stable.first is None or math.floor(now_s) - state.stable.last >= state.stable.length
    load = Load(
        ready_replicas,
        None if is_empty else _mean(state.stable, now_s, settings),
        None if is_empty else _mean(state.panic, now_s, settings),
    )
    answer, scale = step_scaling(state.scale, load, now_s, settings)
    state = replace(state, scale=scale)
    if answer.desired_replicas != 0:
        return answer.desired_replicas, replace(state, zero_since_s=None)
    return _wait_for_zero(state, now_s, settings)


def encode_pool(state: PoolState) -> dict[str, object]:
    """Return plain JSON values of `state`."""
    scale = state.scale
    return {
        "panic_since_s": scale.panic_since_s,
        "max_panic_replicas": scale.max_panic_replicas,
        "delayed": [list(entry) for entry in scale.delayed],
        "stable": _encode_window(state.stable),
        "panic": _encode_window(state.panic),
        "zero_since_s": state.zero_since_s,
    }


def decode_pool(document: object, settings: KnativeSettings) -> PoolState | None:
    """Return the state in `document`, its windows cut to those of `settings`; None when it makes no sense."""
    if not isinstance(document, Mapping):
        return None
    stable, panic = _make_windows(settings)
    try:
        return PoolState(
            ScaleState(
                _decode_time_s(document["panic_since_s"]),
                int(document["max_panic_replicas"]),
                tuple((int(slot), int(replicas)) for slot, replicas in document["delayed"]),
            ),
            _decode_window(document["stable"], stable),
            _decode_window(document["panic"], panic),
            _decode_time_s(document["zero_since_s"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _make_windows(settings: KnativeSettings) -> tuple[BucketWindow, BucketWindow]:
    return BucketWindow(round(settings.stable_window_s)), BucketWindow(max(round(settings.panic_window_s), 1))


def _fill(window: BucketWindow, requests: float, now_s: float) -> BucketWindow:
    newest = math.floor(now_s)
    oldest = newest if window.first is None else max(window.last + 1, newest - window.length + 1)
    for second in range(oldest, newest + 1):
        window = window.record(float(second), requests)
    return window


def _mean(window: BucketWindow, now_s: float, settings: KnativeSettings) -> float | None:
    return window.compute_weighted_mean(now_s) if settings.is_weighted else window.compute_mean(now_s)


def _wait_for_zero(state: PoolState, now_s: float, settings: KnativeSettings) -> tuple[int, PoolState]:
    since_s = now_s if state.zero_since_s is None else state.zero_since_s
    waits_s = max(settings.scale_to_zero_grace_s, settings.pod_retention_s)
    is_over = settings.min_replicas == 0 and now_s - since_s >= waits_s
    return 0 if is_over else 1, replace(state, zero_since_s=since_s)


def _encode_window(window: BucketWindow) -> dict[str, object]:
    rounded = (round(value, _KEPT_DECIMALS) for value in _thin(window))
    return {
        "first": window.first,
        "last": window.last,
        "runs": [[value, len(list(run))] for value, run in groupby(rounded)],
    }


def _thin(window: BucketWindow) -> tuple[float, ...]:
    """Return the sums by second, those of long ago spread evenly over stretches: their total is what it was.

    The newest minute stays as it is: no weight worth speaking of lies beyond it. So does a window that is no
    longer.
    """
    stretch_s = math.ceil(window.length / _MOST_STRETCHES)
    if stretch_s <= 1:
        return window.sums
    oldest = window.last - len(window.sums) + 1
    kept: list[float] = []
    for _, run in groupby(enumerate(window.sums, oldest), key=lambda entry: entry[0] // stretch_s):
        seconds = [value for _, value in run]
        is_whole = oldest + len(kept) + len(seconds) <= window.last - _EXACT_S
        kept += [math.fsum(seconds) / len(seconds)] * len(seconds) if is_whole else seconds
    return tuple(kept)


def _decode_window(document: Mapping[str, object], empty: BucketWindow) -> BucketWindow:
    first, last, runs = document["first"], document["last"], document["runs"]
    if first is None or not isinstance(first, int) or not isinstance(last, int) or not isinstance(runs, list):
        return empty
    seconds = (repeat(float(value), min(int(count), _LONGEST)) for value, count in runs[-_LONGEST:])
    values = tuple(chain.from_iterable(seconds))[-empty.length :]
    if not values or not all(math.isfinite(value) for value in values):
        return empty
    is_whole = len(values) == empty.length
    return BucketWindow(empty.length, first if is_whole else max(first, last - len(values) + 1), last, values)


def _decode_time_s(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)
