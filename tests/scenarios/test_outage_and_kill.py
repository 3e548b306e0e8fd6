"""The command as a process of its own, in real time on a fast clock: half of its pages go wrong, and it is killed.

What is asserted holds however slow the machine is: no number falls while anything is missing, and in the end they do.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapter.clock import ScaledClock
from optimizer.domain import ReasonCode
from tests.builders.faulty_page import Fault
from tests.builders.outage_fleet import CHEAP, DEAR, NAMESPACE, OutageFleet, open_fleet
from tests.builders.published import Published, read_published

PROJECT = Path(__file__).resolve().parents[2]
SPEED = 20.0
PATIENCE_S, LOOK_EVERY_S = 240.0, 0.25
HIGH_PER_S, DOUBLE_PER_S, LOW_PER_S = 2.0, 4.0, 0.4
WRONG = {Fault.KILLED: ReasonCode.SCRAPE_FAILED, Fault.FROZEN: ReasonCode.FROZEN, Fault.GARBAGE: ReasonCode.BAD_PAGE}


@dataclass
class Traffic:
    """Requests at a rate that may change, on the fleet's clock."""

    fleet: OutageFleet
    clock: ScaledClock
    rate_per_s: float

    async def run(self) -> None:
        due_s = self.clock.now_s()
        while True:
            due_s += 1.0 / self.rate_per_s
            await self.clock.sleep_until(due_s)
            self.fleet.send()


@dataclass
class Adapter:
    """A running command, and what it published so far; with `is_held` no number may fall."""

    process: asyncio.subprocess.Process
    log: Path
    session: aiohttp.ClientSession
    addresses: dict[str, str] = field(default_factory=dict)
    seen: list[Published] = field(default_factory=list)
    is_held: bool = False

    @property
    def last(self) -> Published:
        return self.seen[-1]

    def read_log(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines(keepends=False)]
        return [line for line in lines if line["event"] == event]

    async def wait_for(self, condition: Callable[[], Any]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline_s, self.last.model if self.seen else "nothing was published"
            await asyncio.sleep(LOOK_EVERY_S)
            if self.addresses:
                await self.look()

    async def look(self) -> None:
        published = await read_published(self.session, self.addresses, NAMESPACE, CHEAP, DEAR)
        if self.is_held:
            assert all(published.numbers[name] >= count for name, count in self.last.numbers.items()), published.model
        self.seen.append(published)

    async def wait_for_passes(self, passes: int) -> None:
        until = self.last.passes + passes
        await self.wait_for(lambda: self.last.passes >= until)


@asynccontextmanager
async def start_adapter(config: Path, clock: ScaledClock) -> AsyncIterator[Adapter]:
    """Yield the command once it has published something."""
    numbers = f"{clock.start_s!r},{clock.speed!r},{clock.wall_start_s!r}"
    log = config.with_name("log.jsonl")
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "adapter", "run", "--config", str(config), "--clock", numbers),
            cwd=PROJECT,
            stderr=file,
        )
    async with aiohttp.ClientSession() as session:
        adapter = Adapter(process, log, session)
        try:
            await adapter.wait_for(lambda: adapter.log.read_bytes().endswith(b"\n") and adapter.read_log("cycle"))
            adapter.addresses = adapter.read_log("started")[0]["addresses"]
            await adapter.look()
            yield adapter
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@pytest.mark.slow
async def test_no_number_falls_through_an_outage_and_a_kill_and_all_of_it_recovers(tmp_path: Path) -> None:
    clock = ScaledClock.starting_now(SPEED)
    async with open_fleet(clock) as fleet:
        config = tmp_path / "config.yaml"
        text = fleet.render_config(timeout="10s", calm_window="30s", has_gateway=False, has_state=True)
        config.write_text(text, encoding="utf-8")
        traffic = Traffic(fleet, clock, HIGH_PER_S)
        sending = asyncio.create_task(traffic.run())
        try:
            async with start_adapter(config, clock) as adapter:
                await adapter.wait_for(lambda: adapter.last.passes >= 4 and adapter.last.fresh["status"] is True)
                half = sorted(fleet.pods)[::2]
                for name, fault in zip(half, WRONG, strict=True):
                    await fleet.go_wrong(fault, [name])
                reasons = dict(zip(half, WRONG.values(), strict=True))
                await adapter.wait_for(lambda: reasons.items() <= adapter.last.page_reasons.items())
                adapter.is_held = True
                traffic.rate_per_s = DOUBLE_PER_S
                await adapter.wait_for(lambda: adapter.last.capacity_per_s > DOUBLE_PER_S)
                traffic.rate_per_s = LOW_PER_S
                await adapter.wait_for_passes(5)
                before = adapter.last
                adapter.process.send_signal(signal.SIGKILL)
            async with start_adapter(config, clock) as adapter:
                assert all(adapter.last.numbers[name] >= count for name, count in before.numbers.items())
                adapter.is_held = True
                await adapter.wait_for_passes(3)
                assert adapter.last.fresh["status"] is False
                await fleet.go_wrong(Fault.NONE, half)
                held, adapter.is_held = sum(adapter.last.numbers.values()), False
                await adapter.wait_for(lambda: sum(adapter.last.numbers.values()) < held)
                assert set(adapter.last.page_reasons.values()) == {None}
                adapter.process.send_signal(signal.SIGINT)
                assert await asyncio.wait_for(adapter.process.wait(), PATIENCE_S) == 0
            told = [sum(line["unusable"].values()) for line in adapter.read_log("pages_unusable")]
            assert max(told) == len(half)
            assert adapter.read_log("pages_usable")
            assert not adapter.read_log("pass_failed")
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
