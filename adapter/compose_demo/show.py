"""A demo from the first line to the summary, as one process shows it. What it shows is composed elsewhere."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from adapter.clock import ScaledClock, read_wall_s
from adapter.compose_demo.baselines import compare
from adapter.compose_demo.fleet_process import build_models, build_settings
from adapter.compose_demo.stage import API_PORT, Stage, StoppedEarly, open_stage
from adapter.demo.catalog import build_model
from adapter.demo.live_table import render_lateness, render_table
from adapter.demo.options import DemoOptions, FleetPlan
from adapter.demo.screen import Screen
from adapter.demo.summary import render_summary, to_json
from adapter.demo.timeline import Timeline
from adapter.demo.watching import fetch_document
from adapter.errors import BadDocument, Unreachable

_LIVE_S = 1.0  # wall time between two tables on a terminal
_PLAIN_CLOCK_S, _PLAIN_WALL_S = 15.0, 4.0  # and elsewhere: time of the demo's clock, but no less of wall time
_POLL_S = 0.5
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Document = dict[str, Any]


async def run_demo(options: DemoOptions, screen: Screen, json_file: Path | None = None) -> None:
    """Play a demo until its end, SIGINT or SIGTERM; show it, and its summary.

    Raises
    ------
    Unreachable
        When one of the processes does not come up, or ends by itself.
    BadDocument
        When the price sheet cannot be read.
    NotFound
        When the catalog lacks a model, or the price sheet a price.
    """
    build_settings(options, build_models(options))  # what is wrong with the options shows before anything starts
    plan, timeline = FleetPlan(options, ScaledClock.starting_now(options.speed)), Timeline()
    with _listen_for_stop() as stopped:
        screen.say("starting the fleet and the autoscaler ...")
        try:
            async with aiohttp.ClientSession() as session, open_stage(plan, session, stopped) as stage:
                screen.say("\n".join(_describe_places(stage, plan)))
                await _watch(stage, plan, session, _Shown(screen, timeline), stopped)
                report, settings = await fetch_document(session, stage.fleet_url + "/report"), stage.settings
        except StoppedEarly:
            screen.say("stopped before it began")
            return
    screen.keep()
    screen.say("comparing with what else could have served this demand (Ctrl-C ends it) ...")
    lines = compare(report, settings, options.hpa_sync_s)
    screen.say("\n".join(render_summary(report, lines, options.speed)))
    if json_file is not None:
        json_file.write_text(json.dumps(to_json(report, lines, timeline.to_json()), indent=2) + "\n", encoding="utf-8")


@dataclass(slots=True)
class _Shown:
    """What was shown so far, and where."""

    screen: Screen
    timeline: Timeline
    shown_s: float = 0.0
    has_decision: bool = False
    was_behind: bool = False

    def show(self, status: Document, decisions: Document | None, speed: float) -> None:
        """Show the table when it is time for it, or when the first decision has come."""
        late = render_lateness(status, speed)
        if late is not None and not self.was_behind:
            self.screen.say(f"note: {late}")
            self.was_behind = True
        if decisions is not None:
            self.timeline.note(decisions, status["begin_s"])
        has_decision = bool(decisions and decisions["models"])
        pause_s = _LIVE_S if self.screen.is_live else max(_PLAIN_CLOCK_S / speed, _PLAIN_WALL_S)
        if has_decision != self.has_decision or read_wall_s() - self.shown_s >= pause_s:
            self.screen.refresh(render_table(status, decisions, self.screen.width))
            self.shown_s, self.has_decision = read_wall_s(), has_decision


async def _watch(
    stage: Stage, plan: FleetPlan, session: aiohttp.ClientSession, shown: _Shown, stopped: asyncio.Event
) -> None:
    """Show the table until the duration is over or somebody asks for the end."""
    end_s = None if plan.options.duration_s is None else plan.clock.now_s() + plan.options.duration_s
    while not stopped.is_set() and (end_s is None or plan.clock.now_s() < end_s):
        stage.check_alive()
        status, decisions = await _fetch_both(stage, session)
        if status is not None:
            shown.show(status, decisions, plan.options.speed)
        await _sleep_or_stop(stopped, _POLL_S if end_s is None else _bound(end_s - plan.clock.now_s(), plan))


def _bound(left_s: float, plan: FleetPlan) -> float:
    return min(max(left_s, 0.0) / plan.clock.speed, _POLL_S)


async def _sleep_or_stop(stopped: asyncio.Event, wall_s: float) -> None:
    try:
        await asyncio.wait_for(stopped.wait(), wall_s)
    except TimeoutError:
        return


async def _fetch_both(stage: Stage, session: aiohttp.ClientSession) -> tuple[Document | None, Document | None]:
    """Return what fleet and adapter say, None for one that says nothing just now."""
    urls = (stage.fleet_url + "/status", stage.pages_url + "/v1/decisions")
    answers = await asyncio.gather(*(_fetch(session, url) for url in urls))
    return answers[0], answers[1]


async def _fetch(session: aiohttp.ClientSession, url: str) -> Document | None:
    try:
        return await fetch_document(session, url)
    except (Unreachable, BadDocument):
        return None


@contextmanager
def _listen_for_stop() -> Iterator[asyncio.Event]:
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in _STOP_SIGNALS:
        loop.add_signal_handler(name, stopped.set)
    try:
        yield stopped
    finally:
        for name in _STOP_SIGNALS:
            loop.remove_signal_handler(name)


def _describe_places(stage: Stage, plan: FleetPlan) -> list[str]:
    """Return where to look, as commands."""
    options = plan.options
    model = build_model(options.models[0], options.to_catalog_options()).served
    variant = model.variants[0]
    api = f"{stage.api_url}/apis/external.metrics.k8s.io/v1beta1/namespaces/{model.namespace}/deployment_replicas"
    ask = {"model": model.model_id, "prompt": "Say hello", "max_tokens": 20, "stream": True}
    lines = [f"scenario {options.scenario.value}, seed {options.seed}, speed {options.speed:g}; look at it with"]
    for about, command in (
        ("one number", f"{stage.pages_url}/metrics/{model.namespace}/{variant.workload.name}"),
        ("all numbers", f"{stage.pages_url}/metrics"),
        ("why", f"{stage.pages_url}/v1/decisions"),
        ("health", f"{stage.pages_url}/readyz"),
        ("for HPA", f"'{api}?labelSelector=deployment%3D{variant.workload.name}'"),
        ("discovery", f"{stage.api_url}/apis"),
        ("the fleet", f"{stage.fleet_url}/inventory"),
        ("the router", f"{stage.router_url}/metrics"),
        (
            "a completion",
            f"-N {stage.router_url}/v1/completions -H 'Content-Type: application/json' -d '{json.dumps(ask)}'",
        ),
    ):
        lines.append(f"  {about:<13} curl -s {command}")
    lines.append(f"  {'files':<13} {stage.folder}: config.yaml, adapter.log, fleet.log (while it runs)")
    for wanted, url, what in ((options.page_port, stage.pages_url, "pages"), (API_PORT, stage.api_url, "the API")):
        if wanted and not url.endswith(f":{wanted}"):
            lines.append(f"  note: port {wanted} is taken, {what} listen elsewhere")
    return lines
