"""The external metrics API over real HTTP: what HPA, the aggregator and kubectl ask, and what they are told."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from adapter.external_metrics import build_external_metrics_app
from adapter.store import DecisionStore
from optimizer.domain import Override, OverrideMode, WorkloadRef
from tests.builders.decisions import DECIDED_AT_S, ManualClock, make_model_decision, make_store, make_variant_decision

GROUP = "/apis/external.metrics.k8s.io"
VERSION = f"{GROUP}/v1beta1"
HPA_ACCEPT = "application/vnd.kubernetes.protobuf, */*"
DISCOVERY_ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
Client = TestClient[web.Request, web.Application]


@pytest.fixture
def store() -> DecisionStore:
    llama = make_model_decision(make_variant_decision("llama-l40s", 3), make_variant_decision("llama-a100", 0))
    qwen = make_model_decision(
        make_variant_decision("Llama-L40S.v2", 7, namespace="dev", model_id="qwen"),
        make_variant_decision("one", 1, namespace="dev", model_id="qwen"),
        make_variant_decision("one", 2, namespace="dev", model_id="qwen", kind="StatefulSet"),
    )
    return make_store(llama, qwen, undecided=(WorkloadRef("prod", "new-one"),))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(DECIDED_AT_S + 4.9)


@pytest.fixture
async def client(aiohttp_client: AiohttpClient, store: DecisionStore, clock: ManualClock) -> Client:
    return await aiohttp_client(build_external_metrics_app(store, clock, max_decision_age_s=600.0))


async def get(client: Client, path: str, accept: str | None = None, **query: str) -> tuple[int, object]:
    headers = {} if accept is None else {"Accept": accept}
    async with client.get(path, params=query, headers=headers, skip_auto_headers=["Accept"]) as response:
        assert response.headers["Content-Type"].startswith("application/json")
        assert "Retry-After" not in response.headers
        return response.status, await response.json()


def metric(namespace: str = "prod", name: str = "deployment_replicas") -> str:
    return f"{VERSION}/namespaces/{namespace}/{name}"


async def test_answers_hpa_with_one_item_in_the_golden_form(client: Client) -> None:
    status, body = await get(client, metric(), HPA_ACCEPT, labelSelector="deployment=llama-l40s")
    assert status == 200
    assert body == {
        "kind": "ExternalMetricValueList",
        "apiVersion": "external.metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": [
            {
                "metricName": "deployment_replicas",
                "metricLabels": {
                    "namespace": "prod",
                    "deployment": "llama-l40s",
                    "kind": "Deployment",
                    "model_name": "meta-llama/Llama-3.1-8B",
                    "variant": "llama-l40s",
                    "role": "both",
                    "accelerator": "L40S",
                },
                "timestamp": "2026-11-18T11:06:40Z",
                "window": 0,
                "value": "3",
            }
        ],
    }


async def test_zero_is_an_item_with_value_zero(client: Client) -> None:
    _, body = await get(client, metric(), labelSelector="deployment in (llama-a100)")
    assert isinstance(body, dict)
    assert [item["value"] for item in body["items"]] == ["0"]


async def test_one_metric_name_per_deployment_needs_no_selector(client: Client) -> None:
    for name in ("deployment_replicas.llama-l40s", "deployment_replicas.Llama-L40S"):
        status, body = await get(client, metric(name=name))
        assert isinstance(body, dict)
        assert (status, body["items"][0]["value"], body["items"][0]["metricName"]) == (200, "3", name)
    status, body = await get(client, metric("dev", "deployment_replicas.llama-l40s.v2"))
    assert isinstance(body, dict)
    assert body["items"][0]["value"] == "7"


@pytest.mark.parametrize(
    ("path", "selector", "expected", "words"),
    [
        (metric(), "", (400, "BadRequest"), "deployment"),
        (metric("dev", "deployment_replicas.one"), "", (400, "BadRequest"), "kind"),
        (metric(), "deployment=", (404, "NotFound"), "llama-a100, llama-l40s, new-one"),
        (metric(), "deployment=llama-7b", (404, "NotFound"), "known there"),
        (metric("other"), "deployment=llama-l40s", (404, "NotFound"), "known there: none"),
        (metric(name="queue_length"), "", (404, "NotFound"), "queue_length"),
        (metric(name="deployment_replicas."), "", (404, "NotFound"), "known"),
        (metric(), "deployment=new-one", (503, "ServiceUnavailable"), "no decision yet"),
        (metric(name="deployment_replicas.new-one"), "", (503, "ServiceUnavailable"), "no decision yet"),
        (metric(), "a=b c", (400, "BadRequest"), "expected"),
        (f"{VERSION}/deployment_replicas", "", (404, "NotFound"), "no path"),
        (f"{VERSION}/namespaces/prod", "", (404, "NotFound"), "no path"),
        (f"{VERSION}/namespaces/prod/deployment_replicas/x", "", (404, "NotFound"), "no path"),
        ("/openapi/v2", "", (404, "NotFound"), "no path"),
        ("/nowhere", "", (404, "NotFound"), "no path"),
    ],
)
async def test_refusals_are_status_objects(
    client: Client, path: str, selector: str, expected: tuple[int, str], words: str
) -> None:
    status, body = await get(client, path, labelSelector=selector)
    assert isinstance(body, dict)
    assert (status, body["reason"]) == expected
    assert (body["kind"], body["code"], body["status"]) == ("Status", status, "Failure")
    assert words in body["message"]
    assert body["details"]["group"] == "external.metrics.k8s.io"


async def test_names_of_other_namespaces_are_not_told(client: Client) -> None:
    _, body = await get(client, metric("other"), labelSelector="deployment=x")
    assert "llama" not in str(body)


async def test_beyond_its_age_a_decision_is_withheld_and_said_so(client: Client, clock: ManualClock) -> None:
    clock.time_s = DECIDED_AT_S + 600.0
    assert (await get(client, metric(), labelSelector="deployment=llama-l40s"))[0] == 200
    clock.time_s = DECIDED_AT_S + 601.0
    status, body = await get(client, metric(), labelSelector="deployment=llama-l40s")
    assert status == 503
    assert "601 s old" in str(body)
    assert "600 s" in str(body)


async def test_a_workload_in_shadow_has_no_number_to_act_on(aiohttp_client: AiohttpClient, clock: ManualClock) -> None:
    shadow = Override(OverrideMode.SHADOW, by="ann", until_s=DECIDED_AT_S + 100.0, source="annotation")
    variants = [
        replace(make_variant_decision(name, 3), override=override)
        for name, override in (
            ("hidden", shadow),
            ("forever", Override(OverrideMode.SHADOW)),
            ("pinned", Override(OverrideMode.PIN, 3)),
            ("paused", Override(OverrideMode.PAUSE)),
        )
    ]
    client = await aiohttp_client(build_external_metrics_app(make_store(make_model_decision(*variants)), clock, 600.0))

    async def ask(name: str) -> tuple[int, str]:
        status, body = await get(client, metric(), labelSelector=f"deployment={name}")
        assert isinstance(body, dict)
        return status, body.get("message", "")

    status, message = await ask("hidden")
    assert status == 503
    assert "shadow (annotation, by ann)" in message
    assert "shadow (configuration)" in (await ask("forever"))[1]
    assert [(await ask(name))[0] for name in ("pinned", "paused")] == [200, 200]


async def test_readiness_names_everything_that_is_missing(
    aiohttp_client: AiohttpClient, store: DecisionStore, clock: ManualClock
) -> None:
    missing: dict[str, str | None] = {"a": "no certificate", "b": "no settings"}
    checks = [lambda: missing["a"], lambda: missing["b"]]
    client = await aiohttp_client(build_external_metrics_app(store, clock, 600.0, checks=checks))
    response = await client.get("/readyz")
    assert (response.status, await response.text()) == (503, "no certificate\nno settings")
    missing.update(a=None, b=None)
    assert await (await client.get("/readyz")).text() == "ok"


async def test_watch_fields_and_other_methods_are_refused(client: Client) -> None:
    assert (await get(client, metric(), labelSelector="deployment=llama-l40s", watch="true"))[0] == 405
    assert (await get(client, metric(), fieldSelector="a=b"))[0] == 400
    async with client.post(metric()) as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET"
        assert (await response.json())["reason"] == "MethodNotAllowed"
    ignored = {"limit": "500", "resourceVersion": "0", "timeoutSeconds": "5", "pretty": "true"}
    assert (await get(client, metric(), labelSelector="deployment=llama-l40s", **ignored))[0] == 200


@pytest.mark.parametrize(
    ("accept", "code"),
    [
        (None, 200),
        ("*/*", 200),
        ("application/*;q=0.5", 200),
        (HPA_ACCEPT, 200),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", 200),
        ("application/vnd.kubernetes.protobuf", 406),
        ("application/cbor", 406),
        ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", 406),
        ("application/json;q=0", 406),
        (DISCOVERY_ACCEPT, 406),
    ],
)
async def test_negotiates_as_kubernetes_clients_expect(client: Client, accept: str | None, code: int) -> None:
    assert (await get(client, metric(), accept, labelSelector="deployment=llama-l40s"))[0] == code
    assert (await get(client, VERSION, accept))[0] == code


async def test_discovery_lists_the_fixed_name_with_get_only(client: Client) -> None:
    version = {"groupVersion": "external.metrics.k8s.io/v1beta1", "version": "v1beta1"}
    group = {"name": "external.metrics.k8s.io", "versions": [version], "preferredVersion": version}
    assert await get(client, "/apis") == (200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]})
    assert await get(client, GROUP) == (200, {"kind": "APIGroup", "apiVersion": "v1", **group})
    _, resources = await get(client, VERSION)
    assert resources == {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "external.metrics.k8s.io/v1beta1",
        "resources": [
            {
                "name": "deployment_replicas",
                "singularName": "",
                "namespaced": True,
                "kind": "ExternalMetricValueList",
                "verbs": ["get"],
            }
        ],
    }


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
async def test_aggregated_discovery_carries_its_parameters_and_an_etag(client: Client, version: str) -> None:
    accept = DISCOVERY_ACCEPT.replace("v=v2", f"v={version}") + ",application/json"
    async with client.get("/apis", headers={"Accept": accept}) as response:
        etag = response.headers["ETag"]
        expected = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
        assert (response.status, response.headers["Content-Type"]) == (200, expected)
        body = await response.json()
    assert body["apiVersion"] == f"apidiscovery.k8s.io/{version}"
    resource = body["items"][0]["versions"][0]["resources"][0]
    assert resource["responseKind"]["kind"] == "ExternalMetricValueList"
    again = {"Accept": accept, "If-None-Match": etag}
    async with client.get("/apis", headers=again) as response:
        assert (response.status, await response.read()) == (304, b"")
    async with client.get(VERSION, headers={"Accept": "application/json", "If-None-Match": etag}) as response:
        assert response.status == 200


async def test_health_tells_life_from_readiness(aiohttp_client: AiohttpClient, clock: ManualClock) -> None:
    store = DecisionStore()
    client = await aiohttp_client(build_external_metrics_app(store, clock, 600.0))
    assert ((await client.get("/livez")).status, (await client.get("/readyz")).status) == (200, 503)
    store.publish(())
    assert (await client.get("/readyz")).status == 200
    assert (await client.get(VERSION)).status == 200


async def test_availability_checks_in_parallel_are_all_answered(client: Client) -> None:
    answers = await asyncio.gather(*(get(client, VERSION) for _ in range(5)))
    assert [status for status, _ in answers] == [200] * 5
