"""The future of a simulated cluster: what happens when, in one order that every run shares. It knows no kinds."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, TypeAlias

Action: TypeAlias = Callable[[int, Any], None]
"""What is done at a moment [ns], with what was handed over when it was planned."""


class EventQueue:
    """Actions in order of their time, of equal ones in the order in which they were planned."""

    __slots__ = ("_heap", "_planned")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Action, Any]] = []
        self._planned = 0

    def plan(self, time_ns: int, action: Action, subject: Any = None) -> None:
        """Do `action` with `subject` at `time_ns` [ns]."""
        heapq.heappush(self._heap, (time_ns, self._planned, action, subject))
        self._planned += 1

    def get_next_ns(self) -> int | None:
        """Return the time of the next action [ns], None when there is none."""
        return self._heap[0][0] if self._heap else None

    def do_next(self) -> None:
        """Do the next action."""
        time_ns, _, action, subject = heapq.heappop(self._heap)
        action(time_ns, subject)

    def run_until(self, time_ns: int) -> None:
        """Do all actions up to and with `time_ns` [ns], those that they plan included."""
        heap = self._heap
        while heap and heap[0][0] <= time_ns:
            due_ns, _, action, subject = heapq.heappop(heap)
            action(due_ns, subject)

    def run_out(self) -> None:
        """Do all actions until none is left."""
        while self._heap:
            self.do_next()
