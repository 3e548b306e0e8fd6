"""A recommendation becomes the next count: rate limits, stabilization windows, panic. It reads no metric.

    down    c = max(rec, highest recommendation in the window),  at least p - step,  at most the present count
    up      c = min(rec, lowest recommendation in the window),   at most p + step,   at least the present count
    panic   c = min(rec, p + p percent / 100) if p > 0,          at least the present count

p is the extreme of the counts of the period: the highest for down, the lowest for up and for panic.

Source
------
Kthena's autoscaler at 3cc057284c34 (2026-08-21), its correction. Percent parts are cut off, so a growth of 50 % never
leaves 1; a lowest count of 0 limits no panic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from optimizer.policy.kthena.behavior import Behavior, RateLimit, Select
from optimizer.policy.kthena.windows import Best, LineWindow, RecordWindow


@dataclass(frozen=True, slots=True)
class Memory:
    """What the correction remembers of what is scaled together.

    Attributes
    ----------
    highest_recommended, lowest_recommended
        Of the windows of stabilization, down and up.
    highest_corrected, lowest_corrected, lowest_in_panic
        Of the periods of the rate limits, down, up and in panic.
    panic_until_s
        When panic ends, this moment included [s]; None for no panic.
    """

    highest_recommended: RecordWindow
    lowest_recommended: RecordWindow
    highest_corrected: LineWindow
    lowest_corrected: LineWindow
    lowest_in_panic: LineWindow
    panic_until_s: float | None = None

    def is_panic(self, now_s: float) -> bool:
        """Return whether there is panic at `now_s` [s]."""
        return self.panic_until_s is not None and now_s <= self.panic_until_s

    def refresh_panic(self, behavior: Behavior, now_s: float) -> Memory:
        """Return the memory with panic begun anew at `now_s` [s], if there is any such thing."""
        hold_s = behavior.panic.hold_s
        return self if hold_s <= 0.0 else replace(self, panic_until_s=now_s + hold_s)

    def record(self, recommended: int, corrected: int, now_s: float) -> Memory:
        """Return the memory after `recommended` became `corrected` at `now_s` [s]."""
        return replace(
            self,
            highest_recommended=self.highest_recommended.append(recommended, now_s),
            lowest_recommended=self.lowest_recommended.append(recommended, now_s),
            highest_corrected=self.highest_corrected.append(corrected, now_s),
            lowest_corrected=self.lowest_corrected.append(corrected, now_s),
            lowest_in_panic=self.lowest_in_panic.append(corrected, now_s),
        )


def make_memory(behavior: Behavior) -> Memory:
    """Return the memory of somebody who has seen nothing yet."""
    up, down = behavior.scale_up, behavior.scale_down
    return Memory(
        highest_recommended=RecordWindow(Best.HIGHEST, down.stabilization_s),
        lowest_recommended=RecordWindow(Best.LOWEST, up.stabilization_s),
        highest_corrected=LineWindow(RecordWindow(Best.HIGHEST, down.period_s)),
        lowest_corrected=LineWindow(RecordWindow(Best.LOWEST, up.period_s)),
        lowest_in_panic=LineWindow(RecordWindow(Best.LOWEST, behavior.panic.period_s)),
    )


@dataclass(frozen=True, slots=True)
class Span:
    """Bounds and present value of a count [replicas]."""

    min_replicas: int
    max_replicas: int
    current_replicas: int


def correct(recommended: int, span: Span, behavior: Behavior, memory: Memory, now_s: float) -> int:
    """Return the next count at `now_s` [s], within the bounds of `span`."""
    if memory.is_panic(now_s):
        count = _correct_in_panic(recommended, span.current_replicas, behavior, memory, now_s)
    elif recommended < span.current_replicas:
        count = _correct_down(recommended, span.current_replicas, behavior.scale_down, memory, now_s)
    elif recommended > span.current_replicas:
        count = _correct_up(recommended, span.current_replicas, behavior.scale_up, memory, now_s)
    else:
        count = recommended
    return min(max(count, span.min_replicas), span.max_replicas)


def _correct_in_panic(recommended: int, current: int, behavior: Behavior, memory: Memory, now_s: float) -> int:
    lowest = memory.lowest_in_panic.query(current, now_s)
    count = recommended
    if lowest is not None and lowest > 0:
        count = min(count, lowest + lowest * behavior.panic.percent // 100)
    return max(count, current)


def _correct_down(recommended: int, current: int, limit: RateLimit, memory: Memory, now_s: float) -> int:
    mildest = memory.highest_recommended.query(now_s)
    count = recommended if mildest is None else max(recommended, mildest)
    highest = memory.highest_corrected.query(current, now_s)
    if highest is not None and limit.select is not Select.NEITHER:
        floors = (highest - limit.instances_replicas, highest - highest * limit.percent // 100)
        count = max(count, min(floors) if limit.select is Select.OR else max(floors))
    return min(count, current)


def _correct_up(recommended: int, current: int, limit: RateLimit, memory: Memory, now_s: float) -> int:
    mildest = memory.lowest_recommended.query(now_s)
    count = recommended if mildest is None else min(recommended, mildest)
    lowest = memory.lowest_corrected.query(current, now_s)
    if lowest is not None and limit.select is not Select.NEITHER:
        ceilings = (lowest + limit.instances_replicas, lowest + lowest * limit.percent // 100)
        count = min(count, max(ceilings) if limit.select is Select.OR else min(ceilings))
    return max(count, current)
