"""Dynamo planner: what the next interval brings, out of one value per interval. No capacity, no replicas.

    constant   the last value
    kalman     local linear trend: F = [[1, 1], [0, 1]], P0 = 1000 I, Q = diag(q_level, q_trend), observation noise r
    arima      here: first differences by a least-squares AR(1), from five values on; a constant series stays

Zeros before the first other value are skipped. Quirks kept: a missing value becomes 0; a trend may lead below 0. The
peer searches the order of its ARIMA model; a fixed order stands in for that.

Source: NVIDIA Dynamo, load predictors at 260b6ae9412c.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

_KEPT_VALUES = 50
_LEAST_VALUES = 5


class PredictorKind(StrEnum):
    """Which way to look ahead."""

    CONSTANT = "constant"
    KALMAN = "kalman"
    ARIMA = "arima"


@dataclass(frozen=True, slots=True)
class KalmanNoise:
    """Variances of level and trend per interval, and of an observation."""

    q_level: float = 1.0
    q_trend: float = 0.1
    r: float = 10.0


def predict(kind: PredictorKind, observed: Sequence[float | None], noise: KalmanNoise | None = None) -> float:
    """Return the value of the next interval after `observed`, oldest first; 0 before anything but zeros was seen."""
    values = [0.0 if value is None or not math.isfinite(value) else float(value) for value in observed]
    first = next((index for index, value in enumerate(values) if value != 0.0), len(values))
    values = values[first:]
    if not values:
        return 0.0
    if kind is PredictorKind.KALMAN:
        return _predict_kalman(values, noise or KalmanNoise())
    return _predict_differences(values[-_KEPT_VALUES:]) if kind is PredictorKind.ARIMA else values[-1]


def _predict_kalman(values: Sequence[float], noise: KalmanNoise) -> float:
    level, trend = values[0], 0.0
    p_level, p_cross, p_trend = 1000.0, 0.0, 1000.0
    for value in values[1:]:
        level += trend
        p_level, p_cross, p_trend = (
            p_level + 2.0 * p_cross + p_trend + noise.q_level,
            p_cross + p_trend,
            p_trend + noise.q_trend,
        )
        spread = p_level + noise.r
        gain_level, gain_trend = p_level / spread, p_cross / spread
        surprise = value - level
        level, trend = level + gain_level * surprise, trend + gain_trend * surprise
        p_trend -= gain_trend * p_cross
        p_level, p_cross = (1.0 - gain_level) * p_level, (1.0 - gain_level) * p_cross
    return level + trend


def _predict_differences(values: Sequence[float]) -> float:
    if len(values) < _LEAST_VALUES:
        return values[-1]
    steps = [after - before for before, after in pairwise(values)]
    power = math.fsum(step * step for step in steps[:-1])
    if power == 0.0:
        return values[-1]
    share = math.fsum(before * after for before, after in pairwise(steps)) / power
    return values[-1] + min(max(share, -1.0), 1.0) * steps[-1]
