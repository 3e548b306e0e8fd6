"""One cycle of the peer for what is scaled together: recommend, panic, correct, remember. Faithful, with its quirks.

Source
------
Kthena's autoscaler at 3cc057284c34 (2026-08-21). Kept on purpose:

* panic compares replica counts, not metrics: a raised minimum starts it, and at 0 replicas it is always on;
* a heterogeneous group records what was **corrected** as if it had been recommended, so the window of its highest
  recommendation refills itself and replicas stay at the peak (mended by the peer on 2026-08-26).
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.policy.kthena.behavior import Behavior
from optimizer.policy.kthena.correct import Memory, Span, correct
from optimizer.policy.kthena.recommend import MetricReports, MetricRule, recommend


@dataclass(frozen=True, slots=True)
class Cycle:
    """What one cycle comes to.

    Attributes
    ----------
    recommended_replicas
        What the metrics ask for; None when they say nothing: the cycle is skipped.
    corrected_replicas
        The next count; the present one when skipped.
    is_panic
        Whether it was corrected in panic.
    """

    recommended_replicas: int | None
    corrected_replicas: int
    is_panic: bool = False


def step_peer(
    memory: Memory,
    seen: MetricReports,
    now_s: float,
    rule: MetricRule,
    behavior: Behavior,
    *,
    is_heterogeneous: bool = False,
) -> tuple[Cycle, Memory]:
    """Return the outcome of one cycle at `now_s` [s] and the next memory; `is_heterogeneous` brings the pinned peak."""
    current = seen.current_replicas
    recommended = recommend(seen, rule)
    if recommended is None:
        return Cycle(None, current), memory
    if 100 * recommended >= current * behavior.panic.threshold_percent:
        memory = memory.refresh_panic(behavior, now_s)
    corrected = correct(recommended, Span(rule.min_replicas, rule.max_replicas, current), behavior, memory, now_s)
    cycle = Cycle(recommended, corrected, memory.is_panic(now_s))
    return cycle, memory.record(corrected if is_heterogeneous else recommended, corrected, now_s)
