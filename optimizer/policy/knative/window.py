"""Mean of a measured total over a window of whole seconds, as Knative keeps it. It decides nothing.

Values of one second are added. A mean begins at the first second written, counts silent seconds in between as 0, and
leaves out the silence since the last one written; after a silence as long as the window it is 0.

Source
------
Knative Serving, buckets of the autoscaler's metric collector; means are rounded to six decimals as there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_DECIMALS = 6
_WEIGHT_OUTSIDE = 1e-4
_LEAST_COEFFICIENT = 0.2


@dataclass(frozen=True, slots=True)
class BucketWindow:
    """Sums by second; empty at first.

    Attributes
    ----------
    length
        Seconds that the window covers, at least 1.
    first
        The second that was written first since the last long silence, None before any.
    last
        The newest second written.
    sums
        Sums of the seconds up to `last`, oldest first, at most `length` of them.
    """

    length: int
    first: int | None = None
    last: int = 0
    sums: tuple[float, ...] = ()

    def record(self, time_s: float, value: float) -> BucketWindow:
        """Return the window with `value` added to the second of `time_s` [s]; one older than the window is dropped."""
        second = math.floor(time_s)
        if self.first is None or second - self.last >= self.length:
            return BucketWindow(self.length, second, second, (value,))
        if second > self.last:
            sums = (*self.sums, *(0.0 for _ in range(second - self.last - 1)), value)[-self.length :]
            return BucketWindow(self.length, self.first, second, sums)
        age = self.last - second
        if age >= self.length:
            return self
        sums = (*(0.0 for _ in range(age + 1 - len(self.sums))), *self.sums)
        place = len(sums) - 1 - age
        sums = (*sums[:place], sums[place] + value, *sums[place + 1 :])
        return BucketWindow(self.length, min(self.first, second), self.last, sums)

    def compute_mean(self, now_s: float) -> float | None:
        """Return the mean at `now_s` [s]; None when nothing was ever written."""
        if self.first is None:
            return None
        silent = self._count_silent(now_s)
        if silent >= self.length:
            return 0.0
        counted = min(self.last - self.first + 1, self.length - silent)
        return round(math.fsum(self._list_newest(counted)) / counted, _DECIMALS)

    def compute_weighted_mean(self, now_s: float) -> float | None:
        """Return the mean at `now_s` [s] with weights that fall exponentially; None when nothing was ever written.

        The weights sum to slightly less than 1; seconds of silence at the end lower it.
        """
        if self.first is None:
            return None
        silent = self._count_silent(now_s)
        if silent >= self.length:
            return 0.0
        counted = min(self.last - self.first + 1, self.length - silent)
        coefficient = compute_smoothing_coefficient(self.length)
        rest = 1.0 - coefficient
        newest_first = reversed(self._list_newest(counted))
        return math.fsum(value * coefficient * math.pow(rest, silent + age) for age, value in enumerate(newest_first))

    def _count_silent(self, now_s: float) -> int:
        return max(math.floor(now_s) - self.last, 0)

    def _list_newest(self, counted: int) -> tuple[float, ...]:
        return self.sums[-counted:]


def compute_smoothing_coefficient(buckets: int) -> float:
    """Return the weight of the newest of `buckets` seconds: all but 0.01 % of the weight lies within the window."""
    return max(1.0 - math.pow(_WEIGHT_OUTSIDE, 1.0 / buckets), _LEAST_COEFFICIENT)
