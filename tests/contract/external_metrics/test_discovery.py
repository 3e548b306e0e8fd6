"""What API servers and kubectl read to know what there is: constant, never empty, never too much."""

from __future__ import annotations

import asyncio

import pytest

from tests.contract.external_metrics.adapter_under_test import (
    GROUP,
    KUBECTL_DISCOVERY_ACCEPT,
    MANAGER_ACCEPT,
    METRIC,
    OLD_MANAGER_ACCEPT,
    VERSION,
    AdapterUnderTest,
)

ENTRY = {"groupVersion": "external.metrics.k8s.io/v1beta1", "version": "v1beta1"}
API_GROUP = {"name": "external.metrics.k8s.io", "versions": [ENTRY], "preferredVersion": ENTRY}


async def test_group_list_and_group(adapter: AdapterUnderTest) -> None:
    listed = await adapter.get("/apis", accept="application/json")
    assert (listed.status, listed.body) == (200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": [API_GROUP]})
    group = await adapter.get(GROUP)
    assert (group.status, group.body) == (200, {"kind": "APIGroup", "apiVersion": "v1", **API_GROUP})


async def test_resources_are_fixed_names_that_can_only_be_got(adapter: AdapterUnderTest) -> None:
    answer = await adapter.get(VERSION)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("APIResourceList", "v1")
    assert answer.body["groupVersion"] == "external.metrics.k8s.io/v1beta1"
    assert METRIC in [resource["name"] for resource in answer.body["resources"]]
    for resource in answer.body["resources"]:
        assert (resource["namespaced"], resource["verbs"]) == (True, ["get"])
        assert resource["kind"] == "ExternalMetricValueList"
        assert resource["singularName"] == ""


async def test_five_availability_checks_at_once_are_all_answered(adapter: AdapterUnderTest) -> None:
    answers = await asyncio.gather(*(adapter.get(VERSION) for _ in range(5)))
    assert [answer.status for answer in answers] == [200] * 5


@pytest.mark.parametrize(
    "accept, version",
    [(MANAGER_ACCEPT, "v2"), (OLD_MANAGER_ACCEPT, "v2beta1"), (KUBECTL_DISCOVERY_ACCEPT, "v2")],
)
async def test_aggregated_discovery(adapter: AdapterUnderTest, accept: str, version: str) -> None:
    answer = await adapter.get("/apis", accept=accept)
    content_type = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)
    assert "Accept" in answer.headers["Vary"]
    assert answer.body["kind"] == "APIGroupDiscoveryList"
    assert answer.body["apiVersion"] == f"apidiscovery.k8s.io/{version}"
    (group,) = answer.body["items"]
    (served,) = group["versions"]
    assert (group["metadata"]["name"], served["version"]) == ("external.metrics.k8s.io", "v1beta1")
    assert served["freshness"] == "Current"
    assert METRIC in [resource["resource"] for resource in served["resources"]]
    for resource in served["resources"]:
        assert resource["responseKind"]["kind"] == "ExternalMetricValueList"  # clients crashed where it was missing
        assert (resource["scope"], resource["verbs"]) == ("Namespaced", ["get"])


async def test_an_etag_saves_the_document_at_its_own_path_only(adapter: AdapterUnderTest) -> None:
    first = await adapter.get("/apis", accept=MANAGER_ACCEPT)
    etag = first.headers["ETag"]
    assert etag.startswith('"')
    tagged = [("If-None-Match", etag)]
    again = await adapter.get("/apis", accept=MANAGER_ACCEPT, headers=tagged)
    assert (again.status, again.content) == (304, b"")
    other = await adapter.get("/apis", accept=MANAGER_ACCEPT, headers=[("If-None-Match", '"other"')])
    assert (other.status, other.headers["ETag"]) == (200, etag)
    fallback = await adapter.get(VERSION, accept="application/json", headers=tagged)
    assert fallback.status == 200


async def test_openapi_is_not_found_in_version_two_and_sound_in_version_three(adapter: AdapterUnderTest) -> None:
    for headers in ([], [("Accept", "application/json")]):
        assert (await adapter.get("/openapi/v2", headers=headers)).status == 404
    index = await adapter.get("/openapi/v3")
    assert index.status in (200, 404)
    if index.status == 200:
        for path, entry in index.body["paths"].items():
            assert path.startswith("apis/external.metrics.k8s.io")
            document = await adapter.get(entry["serverRelativeURL"])
            assert (document.status, document.body["openapi"][:2]) == (200, "3.")
