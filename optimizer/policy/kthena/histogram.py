"""The quantile of what a histogram gained, and values of several targets made one. Faithful, with the peer's quirks.

    rank = ceil(p n / 100) of the n observations gained, linear within its bucket

The peer in the simulator scales by it where a histogram is given. There is no query in a simulated cluster: how values
of several targets become one stands here for conformance alone.

Source
------
Kthena's autoscaler at 3cc057284c34 (2026-08-21). Kept on purpose: the bucket above all edges reaches to twice the last
edge; a quantile of nothing is 0; the first time, the whole past counts. Quantiles of several pods it adds up. Values
that a query gives for several targets are added too, unless the name of the metric ends like that of a share.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, fsum, inf

from optimizer.errors import InvalidInput

Buckets = Sequence[tuple[float, float]]
"""Upper edge, ascending and infinite at last, and the observations at or below it."""

_SHARES = ("_utilization", "_usage", "_ratio", "_percent", "_saturation")


def compute_gained_quantile(now: Buckets, past: Buckets, percentile_percent: float) -> float:
    """Return the quantile of what `now` has more than `past`, in the unit of the edges; 0 when it has nothing more.

    Without a `past` all of `now` counts.

    Raises
    ------
    InvalidInput
        When the two have other edges, or `now` has less of anything.
    """
    if past and [edge for edge, _ in now] != [edge for edge, _ in past]:
        raise InvalidInput("now", "a histogram of the same edges as past", now)
    older = [count for _, count in past] or [0.0] * len(now)
    gained = [count - before for (_, count), before in zip(now, older, strict=True)]
    if any(high < low for low, high in zip((0.0, *gained), gained, strict=False)):
        raise InvalidInput("now", "at least past, in every bucket", now)
    if not gained or gained[-1] == 0.0:
        return 0.0
    rank = max(ceil(percentile_percent * gained[-1] / 100), 1)
    place = next(index for index, count in enumerate(gained) if count >= rank)
    low = now[place - 1][0] if place else 0.0
    high = now[place][0] if now[place][0] < inf else 2.0 * low
    below = gained[place - 1] if place else 0.0
    return low + (high - low) * (rank - below) / (gained[place] - below)


def aggregate_external(metric_name: str, samples: Sequence[tuple[float, int]]) -> float:
    """Return one value for several targets: of each its value and its replicas.

    The sum; of a share the mean weighted by replicas, plain where there are none. ``vllm:gpu_cache_usage_perc`` is a
    share whose name does not say so: it is added up.
    """
    if not metric_name.lower().endswith(_SHARES):
        return fsum(value for value, _ in samples)
    replicas = sum(count for _, count in samples)
    if replicas == 0:
        return fsum(value for value, _ in samples) / len(samples)
    return fsum(value * count for value, count in samples) / replicas
