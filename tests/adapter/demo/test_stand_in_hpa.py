"""The stand-in HPA asks as Kubernetes asks, follows what it is told, and holds when it is told nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapter.clock import ScaledClock
from adapter.demo.engine_settings import EngineSettings
from adapter.demo.fleet import Fleet, FleetWorkload
from adapter.demo.stand_in_hpa import StandInHpa, fetch_values_milli, make_recommended_spec, parse_quantity_milli
from adapter.errors import BadDocument, Refused, Unreachable
from optimizer.domain import IterationLaw, Variant, WorkloadRef

REF = WorkloadRef("default", "llama-8b-l40s")
PATH = "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/deployment_replicas"


class ScriptedApi:
    """An external metrics API that answers what a test wrote."""

    def __init__(self) -> None:
        self.status = 200
        self.document: Any = {"items": [{"value": "3"}]}
        self.requests: list[web.Request] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        return web.json_response(self.document, status=self.status)


@pytest.fixture
async def api() -> AsyncIterator[ScriptedApi]:
    scripted = ScriptedApi()
    app = web.Application()
    app.router.add_get("/{tail:.*}", scripted.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    scripted.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield scripted
    await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


async def test_asks_as_the_controller_of_kubernetes_asks(api: ScriptedApi, session: aiohttp.ClientSession) -> None:
    assert await fetch_values_milli(session, api.url, REF) == (3000,)
    request = api.requests[0]
    assert request.path == PATH
    assert request.query_string == "labelSelector=deployment%3Dllama-8b-l40s"
    assert request.headers["Accept"] == "application/vnd.kubernetes.protobuf, */*"


async def test_every_series_is_read(api: ScriptedApi, session: aiohttp.ClientSession) -> None:
    api.document = {"items": [{"value": "4"}, {"value": "2500m"}]}
    assert await fetch_values_milli(session, api.url, REF) == (4000, 2500)


async def test_an_empty_list_is_a_failure_and_no_zero(api: ScriptedApi, session: aiohttp.ClientSession) -> None:
    api.document = {"items": []}
    with pytest.raises(BadDocument, match="no series"):
        await fetch_values_milli(session, api.url, REF)


async def test_the_message_of_a_refusal_is_kept(api: ScriptedApi, session: aiohttp.ClientSession) -> None:
    api.status, api.document = 503, {"kind": "Status", "message": "decision is 700 s old"}
    with pytest.raises(Unreachable, match="503: decision is 700 s old"):
        await fetch_values_milli(session, api.url, REF)
    api.status, api.document = 404, {"message": "no deployment"}
    with pytest.raises(Refused, match="404: no deployment"):
        await fetch_values_milli(session, api.url, REF)


async def test_garbage_is_told_apart_from_silence(api: ScriptedApi, session: aiohttp.ClientSession) -> None:
    api.document = {"items": [{}]}
    with pytest.raises(BadDocument):
        await fetch_values_milli(session, api.url, REF)
    with pytest.raises(Unreachable):
        await fetch_values_milli(session, "http://127.0.0.1:1", REF)


@pytest.mark.parametrize(
    "text, milli",
    [("4", 4000), ("4500m", 4500), ("0", 0), ("0.0001", 1), ("2k", 2_000_000), ("-1", -1000), ("1.5", 1500)],
)
def test_quantities_are_read_in_thousandths_rounded_up(text: str, milli: int) -> None:
    assert parse_quantity_milli(text) == milli


@pytest.mark.parametrize("text", ["", "m", "NaN", "3x", "Infinity", "3mm"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(BadDocument):
        parse_quantity_milli(text)


def make_fleet(clock: ScaledClock) -> Fleet:
    engine = EngineSettings("llama-8b", IterationLaw(0.01, 1e-5, 1e-8, 1e-5), 100_000)
    variant = Variant("default", "llama-8b", "l40s", REF, "L40S", startup_s=0.0)
    return Fleet([FleetWorkload(variant, engine, 1.0, opening_replicas=1)], clock)


async def test_the_fleet_follows_up_down_and_to_zero(api: ScriptedApi, session: aiohttp.ClientSession) -> None:
    clock = ScaledClock.starting_now()
    fleet = make_fleet(clock)
    fleet.open()
    hpa = StandInHpa(fleet, {REF: make_recommended_spec(8)}, api.url, clock)
    for wanted, reached in (("3", 3), ("20", 8), ("2", 2), ("0", 0), ("5", 5)):
        api.document = {"items": [{"value": wanted}]}
        await hpa.sync(session, REF)
        assert fleet.get_requested(REF) == reached
    await fleet.close()


async def test_it_holds_and_says_why_when_the_api_fails(api: ScriptedApi, session: aiohttp.ClientSession) -> None:
    clock = ScaledClock.starting_now()
    fleet = make_fleet(clock)
    fleet.open()
    hpa = StandInHpa(fleet, {REF: make_recommended_spec(8)}, api.url, clock)
    await hpa.sync(session, REF)
    api.status, api.document = 503, {"message": "no decision yet"}
    await hpa.sync(session, REF)
    assert fleet.get_requested(REF) == 3
    assert "no decision yet" in hpa.problems[REF]
    api.status, api.document = 200, {"items": [{"value": "4"}]}
    await hpa.sync(session, REF)
    assert fleet.get_requested(REF) == 4
    assert not hpa.problems
    await fleet.close()
