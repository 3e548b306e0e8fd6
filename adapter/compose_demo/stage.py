"""The two processes of a demo, started in order and always ended: the fleet, and the adapter told where it is."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import aiohttp

from adapter.compose_demo.fleet_process import build_configuration
from adapter.config.load import load_configuration
from adapter.demo.children import Child
from adapter.demo.options import FleetPlan, encode_plan
from adapter.demo.ports import choose_port
from adapter.demo.watching import post_document, wait_until_up
from adapter.errors import BadDocument, Unreachable
from adapter.policies import load_policies
from optimizer.domain import Settings

T = TypeVar("T")

API_PORT = 8443
_UP_S = 60.0  # wall time until a process must be up
_COMMAND = (sys.executable, "-m", "adapter")


class StoppedEarly(Exception):
    """Somebody asked for the end before the demo had begun."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A demo that runs.

    Attributes
    ----------
    fleet, adapter
        Its processes.
    fleet_url, router_url, pages_url, api_url
        Where they answer.
    folder
        Holds configuration and logs while it runs.
    settings
        What is decided with, as the configuration tells it.
    """

    fleet: Child
    adapter: Child
    fleet_url: str
    router_url: str
    pages_url: str
    api_url: str
    folder: Path
    settings: Settings

    def check_alive(self) -> None:
        """Raise Unreachable when one of the processes is gone."""
        for child in (self.fleet, self.adapter):
            if child.has_ended:
                raise Unreachable(child.describe_end())


@asynccontextmanager
async def open_stage(plan: FleetPlan, session: aiohttp.ClientSession, stopped: asyncio.Event) -> AsyncIterator[Stage]:
    """Yield a running demo; both processes are gone afterwards, whatever happened.

    Raises
    ------
    Unreachable
        When a process does not come up.
    StoppedEarly
        When `stopped` is set before both are up.
    """
    children: list[Child] = []
    with tempfile.TemporaryDirectory(prefix="variant-autoscaler-demo-") as name:
        folder = Path(name)
        try:
            stage = await _start(plan, session, stopped, folder, children)
            await post_document(
                session, stage.fleet_url + "/begin", {"api_url": stage.api_url, "adapter_pid": stage.adapter.pid}
            )
            yield stage
        finally:
            await asyncio.gather(*(child.stop() for child in children))


async def _start(
    plan: FleetPlan, session: aiohttp.ClientSession, stopped: asyncio.Event, folder: Path, children: list[Child]
) -> Stage:
    plan_file = folder / "plan.json"
    plan_file.write_text(encode_plan(plan), encoding="utf-8")
    fleet = await Child.start("fleet", [*_COMMAND, "demo-fleet", "--plan", str(plan_file)], folder / "fleet.log")
    children.append(fleet)
    addresses = _decode_addresses(await _await_up(fleet.read_line(_UP_S), fleet, stopped))
    page_port, api_port = choose_port(plan.options.page_port), choose_port(API_PORT)
    config_file = folder / "config.yaml"
    text = build_configuration(plan.options, page_port, api_port, addresses["fleet_url"], addresses["router_url"])
    config_file.write_text(text, encoding="utf-8")
    clock = f"{plan.clock.start_s!r},{plan.clock.speed!r},{plan.clock.wall_start_s!r}"
    command = [*_COMMAND, "run", "--config", str(config_file), "--clock", clock]
    adapter = await Child.start("adapter", command, folder / "adapter.log")
    children.append(adapter)
    pages_url = f"http://127.0.0.1:{page_port}"
    await _await_up(wait_until_up(session, pages_url + "/livez"), adapter, stopped)
    return Stage(
        fleet=fleet,
        adapter=adapter,
        fleet_url=addresses["fleet_url"],
        router_url=addresses["router_url"],
        pages_url=pages_url,
        api_url=f"http://127.0.0.1:{api_port}",
        folder=folder,
        settings=load_configuration(config_file, policies=load_policies()).settings,
    )


async def _await_up(operation: Awaitable[T], child: Child, stopped: asyncio.Event) -> T:
    """Return the result of `operation`, unless `child` ends, the time is up, or somebody asks for the end before."""
    wanted = asyncio.ensure_future(operation)
    ended, stop = asyncio.create_task(child.wait()), asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({wanted, ended, stop}, timeout=_UP_S, return_when=asyncio.FIRST_COMPLETED)
        if wanted.done():
            return wanted.result()
        if stop.done():
            raise StoppedEarly
        if ended.done():
            raise Unreachable(child.describe_end())
        raise Unreachable(f"{child.name} was not up within {_UP_S:g} s")
    finally:
        for task in (wanted, ended, stop):
            task.cancel()


def _decode_addresses(line: str) -> dict[str, str]:
    try:
        document = json.loads(line)
        return {name: str(document[name]) for name in ("fleet_url", "router_url")}
    except (ValueError, KeyError, TypeError) as cause:
        raise BadDocument(f"the fleet announced itself with {line!r}") from cause
