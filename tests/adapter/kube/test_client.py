"""The client of the Kubernetes API: verbs, and every way in which the other end can fail, over real HTTP."""

from __future__ import annotations

import json
from contextlib import aclosing
from pathlib import Path

import pytest
from kubernetes_asyncio.config import kube_config

from adapter.errors import AdapterError, Conflict, Denied, Expired, NotFound, Refused, Unreachable
from adapter.kube.client import FIELD_MANAGER, Json, KubeClient, PatchType, open_kube_client
from adapter.kube.resource import CONFIG_MAPS, DEPLOYMENTS, NODES, PODS
from tests.builders.fake_kube_api import START_S, FakeKubeApi
from tests.builders.fake_servers import (
    Answer,
    FakeServer,
    FakeServers,
    answer_broken_off,
    answer_error,
    answer_garbage,
    answer_html,
    answer_json,
    answer_never,
    answer_reset,
    answer_with,
)


def write_kubeconfig(folder: Path, url: str, *, token: str = "secret") -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "one", "cluster": {"server": url}}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": "one", "user": "me"}} for name in ("here", "there")],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(document))
    return path


async def ask(folder: Path, server: FakeServer) -> Json:
    async with open_kube_client(write_kubeconfig(folder, server.url)) as client:
        return await client.get(PODS, "prod", "a")


def test_paths_follow_scope_group_and_subresource() -> None:
    assert PODS.get_path() == "/api/v1/pods"
    assert PODS.get_path("prod", "a", "status") == "/api/v1/namespaces/prod/pods/a/status"
    assert NODES.get_path("prod", "n") == "/api/v1/nodes/n"
    assert DEPLOYMENTS.get_path("prod", "a/../b") == "/apis/apps/v1/namespaces/prod/deployments/a%2F..%2Fb"


async def test_makes_reads_changes_and_deletes_an_object(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    made = await kube_client.create(CONFIG_MAPS, "prod", {"metadata": {"name": "x"}, "data": {"a": "1"}})
    assert made["metadata"]["namespace"] == "prod"
    assert await kube_client.get(CONFIG_MAPS, "prod", "x") == made
    replaced = await kube_client.replace(CONFIG_MAPS, "prod", "x", {**made, "data": {"a": "2"}})
    assert replaced["data"] == {"a": "2"}
    with pytest.raises(Conflict, match="has been modified"):
        await kube_client.replace(CONFIG_MAPS, "prod", "x", {**made, "data": {"a": "3"}})
    merged = await kube_client.patch(CONFIG_MAPS, "prod", "x", {"data": {"b": "1", "a": None}})
    assert merged["data"] == {"b": "1"}
    steps = [{"op": "test", "path": "/data/b", "value": "1"}, {"op": "add", "path": "/data/c", "value": "2"}]
    assert (await kube_client.patch(CONFIG_MAPS, "prod", "x", steps, kind=PatchType.JSON))["data"]["c"] == "2"
    assert [item["metadata"]["name"] for item in (await kube_client.list(CONFIG_MAPS))["items"]] == ["x"]
    assert (await kube_client.list(CONFIG_MAPS, "dev"))["items"] == []
    await kube_client.delete(CONFIG_MAPS, "prod", "x")
    with pytest.raises(NotFound, match='configmaps "x" not found'):
        await kube_client.get(CONFIG_MAPS, "prod", "x")
    assert {
        call.query.get("fieldManager") for call in kube_api.calls if call.verb in ("create", "update", "patch")
    } == {FIELD_MANAGER}


async def test_applies_as_one_manager_among_others(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    kube_api.store.apply(CONFIG_MAPS, ("prod", "x"), {"data": {"a": "1"}}, manager="somebody", force=False)
    ours = {"metadata": {"name": "x"}, "data": {"a": "2"}}
    with pytest.raises(Conflict, match=r'conflict with "somebody": \.data\.a'):
        await kube_client.patch(CONFIG_MAPS, "prod", "x", ours, kind=PatchType.APPLY)
    taken = await kube_client.patch(CONFIG_MAPS, "prod", "x", ours, kind=PatchType.APPLY, force=True)
    assert taken["data"] == {"a": "2"}


@pytest.mark.parametrize(
    "code, error",
    [
        *[(400, Refused), (401, Denied), (403, Denied), (404, NotFound), (405, Refused), (409, Conflict)],
        *[(410, Expired), (415, Refused), (422, Refused), (429, Unreachable), (500, Unreachable), (503, Unreachable)],
    ],
)
async def test_every_refusal_is_told_as_what_to_do_about_it(
    kube_api: FakeKubeApi, kube_client: KubeClient, code: int, error: type[AdapterError]
) -> None:
    kube_api.fail(code, message="because of the weather")
    with pytest.raises(error, match=f"GET /api/v1/namespaces/prod/pods/a: {code}: because of the weather") as caught:
        await kube_client.get(PODS, "prod", "a")
    assert type(caught.value) is error
    with pytest.raises(error, match=f"WATCH /api/v1/pods: {code}: because of the weather"):
        await anext(kube_client.watch(PODS))


async def test_a_missing_right_is_named(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    kube_api.deny("patch", "deployments")
    with pytest.raises(Denied, match=r'cannot patch resource "deployments/scale" in API group "apps" in the namespace'):
        await kube_client.patch(DEPLOYMENTS, "prod", "a", {}, subresource="scale")


@pytest.mark.parametrize(
    "answer", [answer_reset, answer_broken_off, answer_html, answer_garbage, answer_with(b"[1]"), answer_with(b"")]
)
async def test_an_answer_that_is_none_means_try_again(tmp_path: Path, servers: FakeServers, answer: Answer) -> None:
    with pytest.raises(Unreachable, match="GET /api/v1/namespaces/prod/pods/a"):
        await ask(tmp_path, await servers.open(answer))


async def test_an_error_that_is_no_status_is_shown_shortened(tmp_path: Path, servers: FakeServers) -> None:
    with pytest.raises(Unreachable, match="502: " + "x" * 200 + "$"):
        await ask(tmp_path, await servers.open(answer_with(b"x" * 5000, status=502)))


async def test_a_page_is_fetched_as_it_is(tmp_path: Path, servers: FakeServers) -> None:
    server = await servers.open(answer_with(b"vllm:num_requests_running 3\n"))
    async with open_kube_client(write_kubeconfig(tmp_path, server.url)) as client:
        assert (
            await client.fetch_text("/api/v1/namespaces/p/pods/a:8000/proxy/metrics")
            == b"vllm:num_requests_running 3\n"
        )
        server.answer = answer_error
        with pytest.raises(Unreachable, match="GET /x: 500: boom"):
            await client.fetch_text("/x")


async def test_silence_has_its_limit(tmp_path: Path, servers: FakeServers) -> None:
    server = await servers.open(answer_never)
    async with open_kube_client(write_kubeconfig(tmp_path, server.url)) as client:
        with pytest.raises(Unreachable, match=r"no answer within 0\.05 s"):
            await client.request("GET", "/x", timeout_s=0.05)


async def test_nobody_there_means_try_again(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    await kube_api.stop()
    with pytest.raises(Unreachable, match="ClientConnectorError"):
        await kube_client.get(PODS, "prod", "a")
    with pytest.raises(Unreachable, match="ClientConnectorError"):
        await anext(kube_client.watch(PODS))


async def test_a_watch_yields_events_until_the_server_ends_it(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    opened: list[bool] = []
    kube_api.put(PODS, {"metadata": {"name": "a"}})
    query = {"resourceVersion": "0"}
    seen = []
    async with aclosing(kube_client.watch(PODS, query=query, on_open=lambda: opened.append(True))) as events:
        async for event in events:
            seen.append((event["type"], event["object"]["metadata"].get("name")))
            if len(seen) == 1:
                assert opened
                kube_api.remove(PODS, "default", "a")
                kube_api.send_bookmarks()
                kube_api.end_watches()
    assert seen == [("ADDED", "a"), ("DELETED", "a"), ("BOOKMARK", None)]
    assert kube_api.calls[-1].query == {
        **{"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": "300", "resourceVersion": "0"}
    }


async def test_a_watch_that_breaks_means_try_again(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    kube_api.put(PODS, {"metadata": {"name": "a"}})
    async with aclosing(kube_client.watch(PODS, query={"resourceVersion": "0"})) as events:
        await anext(events)
        kube_api.drop_watches()
        with pytest.raises(Unreachable, match="WATCH /api/v1/pods: Client"):
            await anext(events)


@pytest.mark.parametrize("line", [b'{"type": "ADDED", "obj', b"<html>", b"[]\n"])
async def test_a_watch_that_speaks_no_json_means_try_again(tmp_path: Path, servers: FakeServers, line: bytes) -> None:
    server = await servers.open(answer_with(line))
    async with open_kube_client(write_kubeconfig(tmp_path, server.url)) as client:
        with pytest.raises(Unreachable, match="WATCH /api/v1/pods: the answer is no"):
            await anext(client.watch(PODS))


async def test_the_largest_objects_pass_and_endless_lines_do_not(tmp_path: Path, servers: FakeServers) -> None:
    def make_event(size_bytes: int) -> bytes:
        return json.dumps({"type": "ADDED", "object": {"data": "x" * size_bytes}}).encode() + b"\n"

    async with open_kube_client(
        write_kubeconfig(tmp_path, (await servers.open(answer_with(make_event(3 << 20)))).url)
    ) as client:
        assert len((await anext(client.watch(PODS)))["object"]["data"]) == 3 << 20
    async with open_kube_client(
        write_kubeconfig(tmp_path, (await servers.open(answer_with(make_event(30 << 20)))).url)
    ) as client:
        with pytest.raises(Unreachable, match="WATCH /api/v1/pods"):
            await anext(client.watch(PODS))


async def test_says_who_it_is(tmp_path: Path, servers: FakeServers) -> None:
    server = await servers.open(answer_json)
    await ask(tmp_path, server)
    assert server.requests[0].headers["Authorization"] == "Bearer secret"
    assert server.requests[0].headers["User-Agent"].startswith("variant-autoscaler/")


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "a: [", "apiVersion: v1", json.dumps({"current-context": "x"})),
        json.dumps(
            {"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "gone"}}], "clusters": []}
        ),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_refused_with_the_reason(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(Refused, match="no Kubernetes cluster to talk to: "):
        async with open_kube_client(path):
            pass


async def test_a_kubeconfig_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=f"^no such file: {tmp_path}/nowhere$"):
        async with open_kube_client(tmp_path / "nowhere"):
            pass


async def test_without_a_pod_and_a_usual_kubeconfig_there_is_no_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", f"{tmp_path}/nowhere:{tmp_path}/nor-here")
    with pytest.raises(Refused, match=f"talk to: no such file: {tmp_path}/nowhere:{tmp_path}/nor-here$"):
        async with open_kube_client():
            pass
    assert not caplog.records


async def test_another_context_can_be_chosen(tmp_path: Path, servers: FakeServers) -> None:
    server = await servers.open(answer_json)
    path = write_kubeconfig(tmp_path, server.url)
    async with open_kube_client(path, "there") as client:
        assert await client.get(PODS, "prod", "a") == {"detail": "Not Found"}
    with pytest.raises(Refused):
        async with open_kube_client(path, "nowhere"):
            pass


async def test_the_time_is_that_of_the_api_server(kube_api: FakeKubeApi, kube_client: KubeClient) -> None:
    assert await kube_client.fetch_time_s() == START_S
    await kube_api.stop()
    with pytest.raises(Unreachable):
        await kube_client.fetch_time_s()


async def test_a_server_that_tells_no_time_leaves_it_open(tmp_path: Path, servers: FakeServers) -> None:
    server = await servers.open(answer_with(b"{}", headers={"Date": "once upon a time"}))
    async with open_kube_client(write_kubeconfig(tmp_path, server.url)) as client:
        assert await client.fetch_time_s() is None
