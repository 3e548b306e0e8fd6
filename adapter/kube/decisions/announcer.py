"""Tells people of changes, as events on the workload they are about. It never stops the caller."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping

from adapter.clock import Clock
from adapter.cluster import Trouble, VariantFacts
from adapter.kube.decisions.news import News, tell_trouble
from adapter.kube.events import EventWriter, ObjectReference
from adapter.kube.patience import wait_within
from adapter.telemetry import log_event
from optimizer.domain import WorkloadRef

LONGEST_S = 10.0
"""So long the events of one pass may take [s]; what is not told by then is left out, since the next pass is due."""

_AT_ONCE = 8
_FIGURE = re.compile(r"\d+")


class Announcer:
    """Writes events of changes, and of every trouble once while it lasts.

    Parameters
    ----------
    events
        Writes them; None for no events at all.
    clock
        Tells when it takes too long.
    """

    def __init__(self, events: EventWriter | None, clock: Clock) -> None:
        self._events, self._clock = events, clock
        self._known: frozenset[tuple[WorkloadRef, str, str]] = frozenset()

    async def announce(
        self,
        news: Iterable[tuple[WorkloadRef, News]],
        troubles: Iterable[Trouble],
        facts: Mapping[WorkloadRef, VariantFacts],
    ) -> None:
        """Tell `news`, and those of `troubles` (all that there are) that were not there before."""
        present = {_identify(trouble): trouble for trouble in troubles}
        fresh = [trouble for identity, trouble in present.items() if identity not in self._known]
        self._known = frozenset(present)
        told = [*news, *((trouble.workload, tell_trouble(trouble)) for trouble in fresh)]
        if self._events is None or not told:
            return
        gate = asyncio.Semaphore(_AT_ONCE)
        writes = (self._write(gate, self._events, workload, entry, facts) for workload, entry in told)
        try:
            await wait_within(self._clock, LONGEST_S, asyncio.gather(*writes))
        except TimeoutError:
            log_event("events_left_out", level="warning", within_s=LONGEST_S, wanted=len(told))

    async def _write(
        self,
        gate: asyncio.Semaphore,
        events: EventWriter,
        workload: WorkloadRef,
        news: News,
        facts: Mapping[WorkloadRef, VariantFacts],
    ) -> None:
        uid = facts[workload].uid if workload in facts else ""
        about = ObjectReference(workload.api_version, workload.kind, workload.namespace, workload.name, uid)
        async with gate:
            await events.write(about, news.reason, news.message, is_warning=news.is_warning, action=news.action)


def _identify(trouble: Trouble) -> tuple[WorkloadRef, str, str]:
    """Return what makes a trouble the same as before: its figures may move."""
    return trouble.workload, trouble.reason.code, _FIGURE.sub("#", trouble.reason.message)
