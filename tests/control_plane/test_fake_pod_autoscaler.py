"""The stand-in for AIBrix's pod autoscaler obeys the published cases, and follows our number over HTTP exactly."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapter.external_metrics.app import build_external_metrics_app
from adapter.pages.app import build_pages_app
from adapter.store import DecisionStore
from adapter.telemetry import Telemetry
from tests.builders.autoscaler_objects import make_old_pod_autoscaler, make_pod_autoscaler
from tests.builders.decisions import ManualClock, make_model_decision, make_variant_decision
from tests.control_plane.fake_pod_autoscaler import FakePodAutoscaler, OldFakePodAutoscaler, parse_page
from tests.control_plane.pod_autoscaler_rules import KpaAutoscaler, KpaSettings, OldKpaAutoscaler, OldKpaSettings

VECTORS = Path(__file__).parents[1] / "data" / "vectors" / "aibrix_kpa.json"
CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text())["cases"]
MAX_AGE_S = 600.0


def select(operation: str, version: str = "head") -> list[Any]:
    return [
        pytest.param(case["input"], case["expected"], id=case["name"])
        for case in CASES
        if (case["input"]["operation"], case["input"]["version"]) == (operation, version)
    ]


def read_given(given: dict[str, Any]) -> dict[str, Any]:
    settings = dict(given)
    return {"target": settings.pop("target_metric_units"), **settings}


# --- The published loops ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("given, expected", select("control_loop"))
def test_loops_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    autoscaler, replicas, seen = (
        KpaAutoscaler(KpaSettings(**read_given(given["settings"]))),
        given["initial_replicas"],
        [],
    )
    for tick in given["ticks"]:
        replicas = autoscaler.tick(tick["time_s"], replicas, tick["pod_values_metric_units"])
        seen.append(replicas)
    assert seen == expected["replicas_after_each_tick"]


@pytest.mark.parametrize("given, expected", select("control_loop", "v0.4.0"))
def test_version_0_4_loops_as_published(given: dict[str, Any], expected: dict[str, Any]) -> None:
    replicas = given["initial_replicas"]
    autoscaler = OldKpaAutoscaler(OldKpaSettings(**read_given(given["settings"])), replicas)
    seen, panics = [], []
    for tick in given["ticks"]:
        ready = replicas if tick["ready_replicas"] is None else tick["ready_replicas"]
        replicas = autoscaler.tick(tick["time_s"], replicas, ready, tick["pod_values_metric_units"])
        seen.append(replicas)
        panics.append(autoscaler.is_panicking)
    assert seen == expected["replicas_after_each_tick"]
    assert panics == expected["panicking_after_each_tick"]


# --- Our API and our page, over HTTP ----------------------------------------------------------------------------------
@dataclass
class Adapter:
    """Our two servers, and a number to publish."""

    clock: ManualClock = field(default_factory=ManualClock)
    store: DecisionStore = field(default_factory=DecisionStore)
    api_url: str = ""
    pages_url: str = ""

    def publish(self, replicas: int) -> None:
        own = make_variant_decision("llama-70b", replicas)
        other = make_variant_decision("llama-70b-a100", 9)
        self.store.publish((make_model_decision(own, other, decided_at_s=self.clock.time_s),))


async def serve(stack: AsyncExitStack, app: web.Application) -> str:
    runner = web.AppRunner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture
async def adapter() -> AsyncIterator[Adapter]:
    async with AsyncExitStack() as stack:
        opened = Adapter()
        opened.api_url = await serve(stack, build_external_metrics_app(opened.store, opened.clock, MAX_AGE_S))
        opened.pages_url = await serve(stack, build_pages_app(opened.store, opened.clock, Telemetry()))
        yield opened


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


def make_old(adapter: Adapter, **spec: Any) -> dict[str, Any]:
    return make_old_pod_autoscaler(source={"endpoint": adapter.pages_url.removeprefix("http://")}, **spec)


NUMBERS = [1, 7, 3, 0, 2, 2]
FOLLOWED = [1, 7, 3, 0, 1, 2]  # the step away from zero is to one first


async def follow(
    adapter: Adapter, scaler: FakePodAutoscaler | OldFakePodAutoscaler, session: aiohttp.ClientSession
) -> list[int]:
    seen = []
    for number in NUMBERS:
        adapter.clock.time_s += 10.0
        adapter.publish(number)
        seen.append(await scaler.tick(session, adapter.clock.time_s))
    return seen


async def test_follows_the_external_metric_exactly(adapter: Adapter, session: aiohttp.ClientSession) -> None:
    assert await follow(adapter, FakePodAutoscaler(make_pod_autoscaler(), adapter.api_url, 1), session) == FOLLOWED


async def test_version_0_4_follows_the_page_exactly(adapter: Adapter, session: aiohttp.ClientSession) -> None:
    assert await follow(adapter, OldFakePodAutoscaler(make_old(adapter), 1), session) == FOLLOWED


async def test_every_step_is_followed_but_the_one_from_zero(adapter: Adapter, session: aiohttp.ClientSession) -> None:
    for present in range(1, 26):
        for wanted in (0, 1, 2, 9, 10, 11, 24, 25):
            adapter.clock.time_s += 10.0
            adapter.publish(wanted)
            scaler = FakePodAutoscaler(make_pod_autoscaler(), adapter.api_url, present)
            assert await scaler.tick(session, adapter.clock.time_s) == wanted


async def test_a_number_that_is_missing_or_old_is_held(adapter: Adapter, session: aiohttp.ClientSession) -> None:
    scaler, old = (
        FakePodAutoscaler(make_pod_autoscaler(), adapter.api_url, 4),
        OldFakePodAutoscaler(make_old(adapter), 4),
    )
    assert await scaler.tick(session, 10.0) == 4  # nothing is known of it
    assert await old.tick(session, 10.0) == 4
    adapter.publish(2)
    adapter.clock.time_s += MAX_AGE_S + 1.0
    assert await scaler.tick(session, 20.0) == 4
    adapter.publish(2)
    assert await scaler.tick(session, 30.0) == 2


async def test_nobody_there_is_held(session: aiohttp.ClientSession) -> None:
    nowhere = make_old_pod_autoscaler(source={"endpoint": "127.0.0.1:1"})
    assert await FakePodAutoscaler(make_pod_autoscaler(), "http://127.0.0.1:1", 4).tick(session, 10.0) == 4
    assert await OldFakePodAutoscaler(nowhere, 4).tick(session, 10.0) == 4


async def test_a_deployment_at_zero_stays_there_unless_zero_is_allowed(
    adapter: Adapter, session: aiohttp.ClientSession
) -> None:
    adapter.publish(3)
    assert await FakePodAutoscaler(make_pod_autoscaler(minReplicas=1), adapter.api_url, 0).tick(session, 10.0) == 0
    assert await FakePodAutoscaler(make_pod_autoscaler(minReplicas=0), adapter.api_url, 0).tick(session, 10.0) == 1


async def test_with_target_one_the_number_one_is_lost(adapter: Adapter, session: aiohttp.ClientSession) -> None:
    adapter.publish(1)
    document = make_pod_autoscaler(source={"targetValue": "1"})
    assert await FakePodAutoscaler(document, adapter.api_url, 8).tick(session, 10.0) == 8


@pytest.mark.parametrize(
    "page, value",
    [
        ('# HELP m n\n# TYPE m gauge\nm{a="b"} 7\n', 7.0),
        ("xm 3 4\nm 5\n", 4.0),
        ("# m 5\n", None),
        ("m NOTHING\nm 5\n", None),
        ("", None),
    ],
)
def test_version_0_4_reads_the_last_field_of_the_first_line_that_mentions_the_metric(
    page: str, value: float | None
) -> None:
    assert parse_page(page, "m") == value
