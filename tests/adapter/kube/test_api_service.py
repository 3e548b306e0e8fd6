"""The APIService is kept where it is ours, missed where there is none, and never touched where it is not ours."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from adapter.kube.api_service import (
    NAME,
    ApiServiceKeeper,
    ApiServiceOptions,
    ApiServiceState,
    Ownership,
    read_api_service,
)
from adapter.kube.client import KubeClient
from adapter.kube.events import EventWriter
from adapter.kube.resource import API_SERVICES, EVENTS
from tests.builders.captured_log import capture_log
from tests.builders.decisions import ManualClock
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.stepped_clock import SteppedClock, until

OURS = ApiServiceOptions("system", "autoscaler")
CA = b"-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n"
NEW_CA = CA.replace(b"ours", b"new")


def api_service(namespace: str = "system", name: str = "autoscaler", **spec: object) -> dict[str, Any]:
    service = {"namespace": namespace, "name": name, "port": 443}
    return {"metadata": {"name": NAME}, "spec": {"group": "external.metrics.k8s.io", "service": service, **spec}}


def encode(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


class Scene:
    """A cluster, a keeper in it, and what the keeper said."""

    def __init__(self, api: FakeKubeApi, client: KubeClient) -> None:
        self.api, self.clock = api, ManualClock()
        self.ca: bytes | None = CA
        self.is_leader = True
        self.states: list[ApiServiceState] = []
        self._client = client
        self.keeper = self.make_keeper(OURS)

    def make_keeper(self, options: ApiServiceOptions) -> ApiServiceKeeper:
        return ApiServiceKeeper(
            self._client,
            self.clock,
            options,
            get_ca_bundle=lambda: self.ca,
            is_leader=lambda: self.is_leader,
            on_change=self.states.append,
            events=EventWriter(self._client, self.clock, instance="va/one"),
        )

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.api.get(API_SERVICES, None, NAME)["spec"]
        return spec

    @property
    def writes(self) -> int:
        return self.api.count_writes()["apiservices"]


@pytest.fixture
def scene(kube_api: FakeKubeApi, kube_client: KubeClient) -> Scene:
    return Scene(kube_api, kube_client)


async def test_where_there_is_none_it_is_missed_once_aloud_and_none_is_made(scene: Scene) -> None:
    with capture_log() as log:
        for _ in range(3):
            state = await scene.keeper.look()
        (line,) = log.read("api_service_ownership")
        assert log.read("api_service_failed") == []
    assert (state.ownership, state.owner, state.is_trusted) == (Ownership.ABSENT, "", None)
    assert "helm upgrade brings it back" in state.message
    assert (line["level"], line["ownership"], line["meaning"]) == ("warning", "Absent", state.message)
    assert scene.states == [state]
    assert {call.verb for call in scene.api.calls} == {"get"}


async def test_ours_that_is_taken_away_and_comes_back_is_taken_care_of_again(scene: Scene) -> None:
    scene.api.put(API_SERVICES, api_service())
    await scene.keeper.look()
    scene.api.remove(API_SERVICES, None, NAME)
    writes = scene.writes
    assert (await scene.keeper.look()).ownership is Ownership.ABSENT
    assert scene.writes == writes
    scene.api.put(API_SERVICES, api_service())
    state = await scene.keeper.look()
    assert (state.ownership, state.is_trusted, state.message) == (Ownership.OURS, True, "")
    assert scene.spec["caBundle"] == encode(CA)
    assert [seen.ownership for seen in scene.states] == [Ownership.OURS, Ownership.ABSENT, Ownership.OURS]


async def test_nothing_is_written_by_a_follower_or_where_somebody_else_should(scene: Scene) -> None:
    scene.api.put(API_SERVICES, api_service())
    scene.is_leader = False
    assert (await scene.keeper.look()).is_trusted is False
    scene.is_leader = True
    await scene.make_keeper(replace(OURS, manage=False)).look()
    scene.ca = None
    await scene.make_keeper(replace(OURS, names_authorities=True)).look()
    assert scene.writes == 0


async def test_new_authorities_are_patched_in_and_nothing_else_is_touched(scene: Scene) -> None:
    scene.api.put(API_SERVICES, api_service(versionPriority=7, insecureSkipTLSVerify=True))
    assert (await scene.keeper.look()).is_trusted is True
    assert scene.spec["caBundle"] == encode(CA)
    assert "insecureSkipTLSVerify" not in scene.spec
    scene.ca = CA + NEW_CA
    state = await scene.keeper.look()
    assert state.ca_bundle == CA + NEW_CA
    assert (scene.spec["versionPriority"], scene.spec["service"]["port"]) == (7, 443)
    await scene.keeper.look()
    assert scene.writes == 2


async def test_authorities_that_somebody_else_sees_to_are_left_alone(scene: Scene) -> None:
    scene.ca = None
    scene.api.put(API_SERVICES, api_service(caBundle=encode(b"cert-manager's")))
    state = await scene.keeper.look()
    assert (state.ca_bundle, state.is_trusted, scene.writes) == (b"cert-manager's", None, 0)


async def test_another_owner_is_never_overwritten_but_told_about(scene: Scene) -> None:
    keda = api_service("keda", "keda-operator-metrics-apiserver", caBundle=encode(b"keda's"))
    scene.api.put(API_SERVICES, keda)
    with capture_log() as log:
        for _ in range(3):
            state = await scene.keeper.look()
        (line,) = log.read("api_service_ownership")
    assert (state.ownership, state.owner) == (Ownership.FOREIGN, "keda/keda-operator-metrics-apiserver")
    assert (line["level"], line["owner"]) == ("error", "keda/keda-operator-metrics-apiserver")
    assert scene.spec == keda["spec"]
    assert (scene.writes, scene.states) == (0, [state])


async def test_of_another_owner_the_leader_tells_in_one_event_about_our_service(scene: Scene) -> None:
    scene.api.put(API_SERVICES, api_service("keda", "keda-operator-metrics-apiserver"))
    scene.is_leader = False
    await scene.keeper.look()
    assert scene.api.list(EVENTS, "system") == []
    scene.is_leader = True
    for _ in range(3):
        await scene.keeper.look()
    (event,) = scene.api.list(EVENTS, "system")
    assert (event["reason"], event["type"], event["regarding"]["name"]) == (
        "ApiServiceNotOurs",
        "Warning",
        "autoscaler",
    )
    assert "leads to keda/keda-operator-metrics-apiserver" in event["note"]


async def test_taken_over_and_restored(scene: Scene) -> None:
    scene.api.put(API_SERVICES, api_service())
    await scene.keeper.look()
    scene.api.change(API_SERVICES, None, NAME, {"spec": {"service": {"namespace": "keda", "name": "k"}}})
    scene.ca = NEW_CA
    assert (await scene.keeper.look()).owner == "keda/k"
    assert scene.spec["caBundle"] == encode(CA)
    scene.api.change(API_SERVICES, None, NAME, {"spec": {"service": {"namespace": "system", "name": "autoscaler"}}})
    assert (await scene.keeper.look()).ownership is Ownership.OURS
    assert scene.spec["caBundle"] == encode(NEW_CA)
    assert [state.ownership for state in scene.states] == [Ownership.OURS, Ownership.FOREIGN, Ownership.OURS]


async def test_a_takeover_between_look_and_patch_is_not_overwritten(scene: Scene) -> None:
    scene.api.put(API_SERVICES, api_service())
    scene.api.fail(409, verb="patch", plural="apiservices", times=1)
    state = await scene.keeper.look()
    assert (state.is_trusted, state.message) == (False, "")
    patch = next(call for call in scene.api.calls if call.verb == "patch")
    assert isinstance(patch.body, dict)
    assert patch.body["metadata"]["resourceVersion"]
    assert (await scene.keeper.look()).is_trusted is True


async def test_missing_rights_and_outages_are_told_and_end_nothing(scene: Scene) -> None:
    scene.api.put(API_SERVICES, api_service())
    scene.api.deny("patch", "apiservices")
    with capture_log() as log:
        state = await scene.keeper.look()
        await scene.keeper.look()
        assert len(log.read("api_service_failed")) == 1
    assert (state.ownership, state.is_trusted) == (Ownership.OURS, False)
    assert "apiservices" in state.message
    scene.api.heal()
    scene.api.deny("get", "apiservices")
    assert "apiservices" in (await scene.keeper.look()).message
    scene.api.heal()
    assert (await scene.keeper.look()).message == ""
    scene.api.fail(503)
    state = await scene.keeper.look()
    assert (state.ownership, state.ca_bundle) == (Ownership.OURS, CA)  # what was seen last
    assert "503" in state.message


async def test_it_looks_again_and_again(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    clock = SteppedClock()
    keeper = ApiServiceKeeper(kube_client, clock, OURS)
    running = asyncio.create_task(keeper.run())
    for looks in range(1, 4):
        while kube_api.count("get", "apiservices") < looks or not clock._sleepers:
            await asyncio.sleep(0)
        await clock.run_to(clock.now_s() + 10.0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_authorities_that_are_made_meanwhile_are_named_soon(
    kube_api: FakeKubeApi, kube_client: KubeClient
) -> None:
    clock, made = SteppedClock(), list[bytes]()
    options = replace(OURS, names_authorities=True)
    keeper = ApiServiceKeeper(kube_client, clock, options, get_ca_bundle=lambda: made[0] if made else None)
    kube_api.put(API_SERVICES, api_service())
    running = asyncio.create_task(keeper.run())
    await until(lambda: keeper.state.ownership is Ownership.OURS)
    made.append(CA)
    await clock.run_to(clock.now_s() + 1.0)
    await until(lambda: keeper.state.is_trusted is True)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def test_conditions_and_odd_objects_are_read() -> None:
    condition = {"type": "Available", "status": "False", "reason": "FailedDiscoveryCheck", "message": "no route"}
    state = read_api_service({**api_service(), "status": {"conditions": [condition]}}, "system/autoscaler")
    assert (state.is_available, state.message) == (False, "FailedDiscoveryCheck: no route")
    ready = read_api_service(
        {**api_service(), "status": {"conditions": [{**condition, "status": "True"}]}}, "system/autoscaler"
    )
    assert (ready.is_available, ready.message) == (True, "")
    local = read_api_service({"metadata": {"name": NAME}, "spec": {"group": "g"}}, "system/autoscaler")
    assert (local.ownership, local.owner) == (Ownership.FOREIGN, "the API server itself")
    assert read_api_service(api_service(caBundle="!"), "system/autoscaler", CA).is_trusted is False
    absent = read_api_service(None, "system/autoscaler", CA)
    assert (absent.ownership, absent.owner, absent.is_trusted) == (Ownership.ABSENT, "", None)
