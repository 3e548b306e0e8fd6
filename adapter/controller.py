"""The loop: inventory -> snapshot -> decide -> remember -> publish. It knows protocols, no sockets and no files.

A pass that fails loses nothing: the numbers published before stay published.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from adapter.clock import Clock, read_wall_s
from adapter.errors import AdapterError
from adapter.inventory import Inventory
from adapter.telemetry import log_event
from optimizer import Outcome, State, TrafficHistory, track_traffic
from optimizer.domain import FleetSnapshot, ModelDecision, ModelTraffic, Reason, Settings

Decide = Callable[[State, FleetSnapshot, float, Settings], Outcome]


class InventorySource(Protocol):
    """Whoever can say which workloads and pods exist."""

    async def fetch_inventory(self) -> Inventory:
        """Return what exists now."""
        ...


class Collector(Protocol):
    """Whoever can tell what the fleet does."""

    async def collect(self, inventory: Inventory, settings: Settings) -> FleetSnapshot:
        """Return the fleet as it is now."""
        ...


class StateStore(Protocol):
    """Where the memory of deciding outlives the process."""

    async def load(self) -> tuple[State, tuple[Reason, ...]]:
        """Return the state kept last, fresh where there is none, and why anything of it was lost.

        Raises
        ------
        AdapterError
            When nobody can tell now; ask again.
        """
        ...

    async def save(self, state: State) -> None:
        """Keep `state`.

        Raises
        ------
        AdapterError
            When it cannot be kept.
        """
        ...


class Publisher(Protocol):
    """Whoever makes decisions known."""

    async def publish(self, decisions: tuple[ModelDecision, ...], traffic: tuple[ModelTraffic, ...]) -> None:
        """Make `decisions` known, beside what was seen in the pass that made them.

        Raises
        ------
        AdapterError
            When they cannot all be made known now; those of the next pass will be.
        """
        ...

    def count_failed_pass(self) -> None:
        """Learn that a pass ended without decisions; what is known stays known."""
        ...


class PassTelemetry(Protocol):
    """Whoever counts passes."""

    def count_cycle(self, outcome: str, duration_s: float) -> None:
        """Count one pass: ``ok`` or ``failed``, and how long it took [s]."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pass works with; swapped whole between two passes when the configuration changes."""

    settings: Settings
    inventory: InventorySource
    collector: Collector


class PartsSource(Protocol):
    """Whoever keeps the parts in step with the configuration."""

    async def get_parts(self) -> Parts:
        """Return the parts for the next pass."""
        ...


class Controller:
    """Runs passes; `state` is what the last one left behind, None before the first.

    Parameters
    ----------
    source
        Gives the parts of each pass.
    decide
        The decision function.
    publisher
        Makes decisions known.
    states
        Where the state is kept.
    clock
        By which passes are timed.
    telemetry
        Counts them.
    """

    def __init__(
        self,
        source: PartsSource,
        decide: Decide,
        publisher: Publisher,
        *,
        states: StateStore,
        clock: Clock,
        telemetry: PassTelemetry,
    ) -> None:
        self._source, self._decide, self._publisher = source, decide, publisher
        self._states, self._clock, self._telemetry = states, clock, telemetry
        self._period_s = 15.0
        self._traffic = TrafficHistory()
        self.state: State | None = None

    async def run(self) -> None:
        """Run passes until cancelled, one per period; a late one is followed at once, lost ones are not made up for."""
        due_s = self._clock.now_s()
        while True:
            started_s = read_wall_s()
            try:
                await self.run_pass()
                self._telemetry.count_cycle("ok", read_wall_s() - started_s)
            except AdapterError as failure:  # the world failed, and said how
                self._take_failure(started_s, failure, exception=None)
            except Exception as failure:  # the outermost loop: whatever went wrong, the next pass may go well
                self._take_failure(started_s, failure, exception=failure)
            due_s = max(due_s + self._period_s, self._clock.now_s())
            await self._clock.sleep_until(due_s)

    def _take_failure(self, started_s: float, failure: Exception, exception: Exception | None) -> None:
        """Count and log a pass that failed, with where that was unless the failure tells it."""
        self._publisher.count_failed_pass()
        self._telemetry.count_cycle("failed", read_wall_s() - started_s)
        log_event("pass_failed", level="error", exception=exception, error=f"{type(failure).__name__}: {failure}")

    async def run_pass(self) -> tuple[ModelDecision, ...]:
        """Run one pass, publish what it decides, and return it."""
        started_s = read_wall_s()
        state = await self._recall() if self.state is None else self.state
        parts = await self._source.get_parts()
        self._period_s = parts.settings.decision.period_s
        inventory = await parts.inventory.fetch_inventory()
        snapshot = await parts.collector.collect(inventory, parts.settings)
        collected_s = read_wall_s()
        now_s = self._clock.now_s()
        # In a thread, so that pages and the API answer while a large program is solved; nothing else touches the state.
        outcome = await asyncio.to_thread(self._decide, state, snapshot, now_s, parts.settings)
        self.state = outcome.state
        self._traffic, traffic = track_traffic(self._traffic, snapshot, parts.settings)
        try:
            await self._save(
                outcome.state
            )  # first, so that whoever starts after a crash knows of every number that was ever seen
        finally:
            await self._publisher.publish(outcome.decisions, traffic)
        _log_cycle(outcome.decisions, now_s, collected_s - started_s, read_wall_s() - started_s)
        return outcome.decisions

    async def _recall(self) -> State:
        """Return the state kept last, and say what of it was lost."""
        state, reasons = await self._states.load()
        for reason in reasons:
            log_event("state_lost", level="warning", reason=str(reason))
        return state

    async def _save(self, state: State) -> None:
        try:
            await self._states.save(state)
        except AdapterError as failure:
            log_event("state_not_kept", level="warning", error=str(failure))


def _log_cycle(decisions: tuple[ModelDecision, ...], now_s: float, collect_s: float, duration_s: float) -> None:
    log_event(
        "cycle",
        now_s=now_s,
        duration_s=round(duration_s, 4),
        collect_s=round(collect_s, 4),
        cost_per_hour=sum(decision.cost_per_hour for decision in decisions),
        models=[_to_log(decision) for decision in decisions],
    )


def _to_log(decision: ModelDecision) -> dict[str, Any]:
    """Return what the line of a cycle says about one LLM; null is unknown."""
    return {
        "namespace": decision.key.namespace,
        "model": decision.key.model_id,
        "demand_per_s": decision.demand_per_s.value,
        "need_per_s": decision.need_per_s,
        "coverage_ratio": decision.coverage_ratio,
        "utilization_ratio": decision.utilization_ratio,
        "cost_per_hour": decision.cost_per_hour,
        "mix": {variant.key.variant: variant.planned_replicas for variant in decision.variants},
        "reason": str(decision.reason),
    }
