"""Lognormal noise in whole numbers: the same draws on every machine. It does not know what it disturbs.

A draw picks one of 128 equally likely slices of the normal distribution by an integer of the stream, and takes the mean
of the slice, stretched so that their variance is 1 (largest: 2.75 standard deviations):

    factor = exp(sigma * z) / mean of exp(sigma * z)

The exponential is taken once for each slice, in decimal arithmetic that is rounded correctly, not by the machine's.
"""

from __future__ import annotations

from decimal import Context, Decimal

import numpy as np

from optimizer.errors import InvalidInput
from optimizer.simulation.ticks import FACTOR_ONE

_UPPER_HALF = (
    *(0.00980, 0.02940, 0.04902, 0.06865, 0.08831, 0.10801, 0.12775, 0.14753, 0.16738, 0.18729, 0.20727, 0.22734),
    *(0.24750, 0.26776, 0.28813, 0.30862, 0.32924, 0.35000, 0.37092, 0.39199, 0.41325, 0.43469, 0.45633, 0.47819),
    *(0.50027, 0.52261, 0.54520, 0.56808, 0.59126, 0.61477, 0.63861, 0.66282, 0.68743, 0.71246, 0.73795, 0.76392),
    *(0.79042, 0.81748, 0.84516, 0.87349, 0.90255, 0.93239, 0.96308, 0.99470, 1.02735, 1.06113, 1.09617, 1.13260),
    *(1.17060, 1.21037, 1.25215, 1.29623, 1.34298, 1.39287, 1.44648, 1.50460, 1.56831, 1.63909, 1.71921, 1.81219),
    *(1.92422, 2.06763, 2.27450, 2.75011),
)
_NORMAL = (*(-z for z in reversed(_UPPER_HALF)), *_UPPER_HALF)
_DRAWN_AT_ONCE = 256


class NoiseFactors:
    """A stream of noise factors of mean 1.

    Parameters
    ----------
    sigma_ratio
        Standard deviation of their logarithm, >= 0.
    generator
        Where chance comes from.

    Raises
    ------
    InvalidInput
        When `sigma_ratio` is negative.
    """

    def __init__(self, sigma_ratio: float, generator: np.random.Generator) -> None:
        if not sigma_ratio >= 0.0:
            raise InvalidInput("sigma_ratio", ">= 0", sigma_ratio)
        exact = Context(prec=20)
        raw = [(Decimal(sigma_ratio) * Decimal(z)).exp(exact) for z in _NORMAL]
        mean = sum(raw, Decimal()) / len(raw)
        self._factors = [max(round(factor / mean * FACTOR_ONE), 1) for factor in raw]
        self._generator = generator
        self._picks: list[int] = []

    def draw(self) -> int:
        """Return the next factor, in units of 1 / `FACTOR_ONE`."""
        if not self._picks:
            self._picks = self._generator.integers(0, len(_NORMAL), _DRAWN_AT_ONCE).tolist()
        return self._factors[self._picks.pop()]
