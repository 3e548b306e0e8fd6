"""Events: one for each thing said, counted when it is said again, and never in the caller's way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adapter.kube import events
from adapter.kube.client import KubeClient
from adapter.kube.events import QUIET_S, EventWriter, ObjectReference
from adapter.kube.resource import EVENTS
from tests.builders.captured_log import capture_log
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.quiet_clock import QuietClock

LLAMA = ObjectReference("apps/v1", "Deployment", "prod", "llama", "uid-1")
NODE = ObjectReference("v1", "Node", None, "n1", "uid-2")


@pytest.fixture
def writer(kube_client: KubeClient, quiet_clock: QuietClock) -> EventWriter:
    return EventWriter(kube_client, quiet_clock, instance="pod-a")


async def say(writer: EventWriter, message: str = "not followed", about: ObjectReference = LLAMA) -> None:
    await writer.write(about, "NotFollowed", message, is_warning=True, action="Publish")


def list_events(api: FakeKubeApi) -> list[dict[str, Any]]:
    return sorted(api.list(EVENTS), key=lambda item: int(item["metadata"]["uid"][-12:]))


async def test_an_event_says_everything_that_the_api_wants_to_know(kube_api: FakeKubeApi, writer: EventWriter) -> None:
    await say(writer)
    [event] = list_events(kube_api)
    assert event["metadata"]["namespace"] == "prod"
    assert event["metadata"]["name"].startswith("llama.")
    assert {name: value for name, value in event.items() if name != "metadata"} == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "eventTime": "1970-01-12T13:46:40.000000Z",
        "reportingController": "variant-autoscaler.io/controller",
        "reportingInstance": "pod-a",
        "action": "Publish",
        "reason": "NotFollowed",
        "regarding": {
            **{"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "prod", "name": "llama", "uid": "uid-1"}
        },
        "note": "not followed",
        "type": "Warning",
    }


async def test_what_is_said_about_an_object_without_namespace_lies_in_default(
    kube_api: FakeKubeApi, writer: EventWriter
) -> None:
    await writer.write(NODE, "Full", "no room", action="Plan")
    [event] = list_events(kube_api)
    assert (event["metadata"]["namespace"], event["type"]) == ("default", "Normal")
    assert event["regarding"] == {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "uid-2"}


async def test_the_same_again_is_written_at_most_every_ten_minutes_with_its_count(
    kube_api: FakeKubeApi, writer: EventWriter, quiet_clock: QuietClock
) -> None:
    for _ in range(121):
        await say(writer)
        await quiet_clock.run_to(quiet_clock.now_s() + 10.0)
    [event] = list_events(kube_api)
    assert event["series"] == {"count": 121, "lastObservedTime": "1970-01-12T14:06:40.000000Z"}
    assert kube_api.count_writes() == {"events": 3}


async def test_other_words_another_reason_or_another_object_is_another_event(
    kube_api: FakeKubeApi, writer: EventWriter
) -> None:
    await say(writer)
    await say(writer, "still not followed")
    await writer.write(LLAMA, "Other", "not followed", action="Publish")
    await say(writer, about=NODE)
    await say(writer, about=ObjectReference("apps/v1", "Deployment", "prod", "llama", "made anew"))
    assert len({event["metadata"]["name"] for event in list_events(kube_api)}) == 5


async def test_an_event_that_the_cluster_forgot_is_written_anew(
    kube_api: FakeKubeApi, writer: EventWriter, quiet_clock: QuietClock
) -> None:
    """Events live for an hour."""
    await say(writer)
    [event] = list_events(kube_api)
    kube_api.remove(EVENTS, "prod", event["metadata"]["name"])
    await quiet_clock.run_to(quiet_clock.now_s() + 3 * QUIET_S)
    await say(writer)
    [again] = list_events(kube_api)
    assert again["metadata"]["name"] != event["metadata"]["name"]
    assert "series" not in again


async def test_what_could_not_be_written_is_written_next_time_and_logged_once(
    kube_api: FakeKubeApi, writer: EventWriter
) -> None:
    kube_api.deny("create", "events")
    with capture_log() as log:
        for message in ("a", "a", "b"):
            await say(writer, message)
    [line] = log.read("event_failed")
    assert 'cannot create resource "events" in API group "events.k8s.io" in the namespace "prod"' in line["error"]
    assert list_events(kube_api) == []
    kube_api.heal()
    await say(writer, "a")
    assert len(list_events(kube_api)) == 1


@pytest.mark.parametrize("code", [0, 404, 409, 422, 500])
async def test_nothing_that_goes_wrong_reaches_the_caller(
    kube_api: FakeKubeApi, writer: EventWriter, quiet_clock: QuietClock, code: int
) -> None:
    await say(writer)
    kube_api.fail(code, plural="events")
    await say(writer, "other words")
    await quiet_clock.run_to(quiet_clock.now_s() + QUIET_S)
    await say(writer)


async def test_the_same_from_two_tasks_at_once_is_one_event(kube_api: FakeKubeApi, writer: EventWriter) -> None:
    await asyncio.gather(*(say(writer) for _ in range(10)))
    assert len(list_events(kube_api)) == 1


async def test_two_replicas_do_not_write_over_each_other(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    for instance in ("pod-a", "pod-b"):
        await say(EventWriter(kube_client, quiet_clock, instance=instance))
    assert len(list_events(kube_api)) == 2


async def test_long_texts_are_cut_to_what_the_api_takes(kube_api: FakeKubeApi, writer: EventWriter) -> None:
    long = ObjectReference("v1", "Pod", "prod", "p" * 230 + "-.-" + "x" * 20, "u")
    await writer.write(long, "R" * 300, "ü" * 2000, action="A" * 300)
    [event] = list_events(kube_api)
    assert len(event["note"].encode()) <= 1024
    assert event["note"].endswith("ü…")
    assert (len(event["reason"]), len(event["action"])) == (128, 128)
    assert len(event["metadata"]["name"]) <= 253


async def test_remembers_only_so_much(
    kube_api: FakeKubeApi, writer: EventWriter, quiet_clock: QuietClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MEMORY_EVENTS", 3)
    for message in ("a", "b", "c", "d", "d", "b"):
        await say(writer, message)
    assert len(list_events(kube_api)) == 4
    await quiet_clock.run_to(quiet_clock.now_s() + 1.0)
    await say(writer, "a")
    assert len(list_events(kube_api)) == 5
