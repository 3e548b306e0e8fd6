"""Dynamo planner, generation 1: what was profiled, as look-ups between the measured points. It plans nothing.

Prefill: TTFT and throughput over the prompt length, cubic, clamped to the measured range. Decode: ITL and throughput
over the share of the KV cache and the context, cubic on a grid of 100 x 100 with holes filled by the nearest point; a
look-up takes the nearest cell.

Source: NVIDIA Dynamo, interpolation at 52787de13ad7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline, griddata

from optimizer.errors import InvalidInput
from optimizer.policy.dynamo.profile_planner import scan_decode_row

GRID = 100
FloatArray = npt.NDArray[np.float64]


class PrefillTable:
    """TTFT [s] and prompt tokens per second and accelerator, by prompt length.

    Parameters
    ----------
    input_tokens
        Ascending, four at least [tokens].
    ttft_s, tokens_per_s
        What was measured at each.

    Raises
    ------
    InvalidInput
        When there are too few points, or they do not ascend.
    """

    def __init__(self, input_tokens: Sequence[float], ttft_s: Sequence[float], tokens_per_s: Sequence[float]) -> None:
        if len(input_tokens) < 4 or sorted(set(input_tokens)) != list(input_tokens):
            raise InvalidInput("input_tokens", "four or more, ascending [tokens]", list(input_tokens))
        self._range = (input_tokens[0], input_tokens[-1])
        self._ttft_s = CubicSpline(input_tokens, ttft_s)
        self._tokens_per_s = CubicSpline(input_tokens, tokens_per_s)

    def find_ttft_s(self, input_tokens: float) -> float:
        """Return the TTFT of a prompt [s]."""
        return float(self._ttft_s(self._clamp(input_tokens)))

    def find_tokens_per_s(self, input_tokens: float) -> float:
        """Return the prompt tokens per second and accelerator [1/s]."""
        return float(self._tokens_per_s(self._clamp(input_tokens)))

    def _clamp(self, input_tokens: float) -> float:
        return min(max(input_tokens, self._range[0]), self._range[1])


@dataclass(frozen=True, slots=True)
class DecodePoint:
    """What was measured of decode at one share of the KV cache [0-1] and one mean context [tokens]."""

    kv_ratio: float
    context_tokens: float
    itl_s: float
    tokens_per_s: float


class DecodeTable:
    """ITL [s] and generated tokens per second and accelerator, by share of the KV cache and mean context.

    Raises
    ------
    InvalidInput
        When there are fewer than four points.
    """

    def __init__(self, points: Sequence[DecodePoint]) -> None:
        if len(points) < 4:
            raise InvalidInput("points", "four or more", len(points))
        self._most_tokens = max(point.context_tokens for point in points)
        places = np.array([[point.kv_ratio, point.context_tokens / self._most_tokens] for point in points])
        self._itl_s = _fill(places, np.array([point.itl_s for point in points]))
        self._tokens_per_s = _fill(places, np.array([point.tokens_per_s for point in points]))

    def find_itl_s(self, kv_ratio: float, context_tokens: float) -> float:
        """Return the ITL of the nearest cell [s]."""
        return float(self._itl_s[self._find_row(context_tokens), _find_index(kv_ratio)])

    def find_tokens_per_s(self, target_itl_s: float, context_tokens: float) -> float:
        """Return the tokens per second and accelerator [1/s] of the highest cell of the row within `target_itl_s`."""
        row = self._find_row(context_tokens)
        return float(self._tokens_per_s[row, scan_decode_row(self._itl_s[row].tolist(), target_itl_s)])

    def _find_row(self, context_tokens: float) -> int:
        return _find_index(context_tokens / self._most_tokens)


def _find_index(ratio: float) -> int:
    return min(max(round(ratio * (GRID - 1)), 0), GRID - 1)


def _fill(places: FloatArray, values: FloatArray) -> FloatArray:
    """Return the grid of `values` at `places` in the unit square: a row per context, a column per cache share."""
    axis = np.arange(GRID) / (GRID - 1)
    rows, columns = np.meshgrid(axis, axis, indexing="ij")
    wanted = np.column_stack([columns.ravel(), rows.ravel()])
    cubic = griddata(places, values, wanted, method="cubic")
    nearest = griddata(places, values, wanted, method="nearest")
    filled: FloatArray = np.where(np.isnan(cubic), nearest, cubic).reshape(GRID, GRID)
    return filled
