"""The number: one item, a whole quantity, the time of the decision, for every way to ask for it."""

from __future__ import annotations

import re
from datetime import datetime

import pytest

from tests.contract.external_metrics.adapter_under_test import (
    HPA_ACCEPT,
    KUBECTL_GET_ACCEPT,
    METRIC,
    VERSION,
    AdapterUnderTest,
)


def read_value(answer_body: dict[str, list[dict[str, str]]]) -> str:
    (item,) = answer_body["items"]
    return item["value"]


async def test_hpa_gets_one_item_in_the_form_it_reads(series: AdapterUnderTest) -> None:
    answer = await series.get_metric(f"deployment={series.deployment}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.headers["Cache-Control"] == "no-cache, private"
    body = answer.body
    assert (body["kind"], body["apiVersion"]) == ("ExternalMetricValueList", "external.metrics.k8s.io/v1beta1")
    assert body["metadata"] == {}
    (item,) = body["items"]
    assert set(item) == {"metricName", "metricLabels", "timestamp", "window", "value"}
    assert (item["metricName"], item["window"]) == (METRIC, 0)
    assert item["metricLabels"]["deployment"] == series.deployment
    assert all(isinstance(value, str) for value in item["metricLabels"].values())
    assert re.fullmatch(r"0|[1-9][0-9]*", item["value"]), "a whole number, never below zero, without exponent"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", item["timestamp"])
    assert datetime.fromisoformat(item["timestamp"]).year >= 2020


async def test_every_way_to_select_the_same_gives_the_same(series: AdapterUnderTest) -> None:
    name = series.deployment
    expected = read_value((await series.get_metric(f"deployment={name}")).body)
    for selector in (
        f"deployment=={name}",
        f"deployment in ({name})",
        f" deployment = {name} ",
        f"deployment in (other, {name}),deployment!=other",
        f"deployment={name},namespace={series.namespace}",
        f"deployment={name},!absent",
        f"deployment={name},absent notin (a,b)",
    ):
        answer = await series.get_metric(selector)
        assert (selector, answer.status, read_value(answer.body)) == (selector, 200, expected)


async def test_a_name_of_its_own_needs_no_selector(series: AdapterUnderTest) -> None:
    answer = await series.get(f"{series.metric_path}.{series.deployment.lower()}", accept=HPA_ACCEPT)
    assert answer.status == 200
    expected = read_value((await series.get_metric(f"deployment={series.deployment}")).body)
    assert read_value(answer.body) == expected
    listed = await series.get(VERSION)
    assert not [resource for resource in listed.body["resources"] if series.deployment in resource["name"]]


async def test_parameters_of_lists_are_ignored(series: AdapterUnderTest) -> None:
    common = {"limit": "500", "resourceVersion": "0", "resourceVersionMatch": "NotOlderThan", "timeoutSeconds": "5"}
    answer = await series.get_metric(f"deployment={series.deployment}", pretty="true", watch="false", **common)
    assert answer.status == 200
    assert (await series.get_metric(f"deployment={series.deployment}", **{"continue": "x"})).status == 200


@pytest.mark.parametrize(
    "accept, status",
    [
        (None, 200),
        ("", 200),
        ("*/*", 200),
        ("application/*", 200),
        ("application/json", 200),
        (HPA_ACCEPT, 200),
        (KUBECTL_GET_ACCEPT, 200),
        ("application/json;q=0.1, application/vnd.kubernetes.protobuf", 200),
        ("application/vnd.kubernetes.protobuf", 406),
        ("application/cbor", 406),
        ("text/html", 406),
        ("application/json;as=Table;v=v1;g=meta.k8s.io", 406),
        ("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", 406),
        ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", 406),
    ],
)
async def test_negotiation(series: AdapterUnderTest, accept: str | None, status: int) -> None:
    answer = await series.get_metric(f"deployment={series.deployment}", accept=accept)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/json"
