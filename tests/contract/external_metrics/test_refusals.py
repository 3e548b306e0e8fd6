"""Every refusal is a Status with a reason: only its message reaches the people who look at an HPA."""

from __future__ import annotations

from random import Random

import pytest

from tests.contract.external_metrics.adapter_under_test import (
    HPA_ACCEPT,
    METRIC,
    VERSION,
    AdapterUnderTest,
    Answer,
)


def check_status(answer: Answer, code: int, reason: str) -> None:
    assert (answer.status, answer.headers["Content-Type"]) == (code, "application/json")
    body = answer.body
    assert (body["kind"], body["apiVersion"], body["status"]) == ("Status", "v1", "Failure")
    assert (body["code"], body["reason"]) == (code, reason)
    assert body["message"]


async def test_unknown_paths_metrics_and_workloads_are_not_found(adapter: AdapterUnderTest) -> None:
    space = f"{VERSION}/namespaces/{adapter.namespace or 'default'}"
    for path in (
        "/nowhere",
        f"{VERSION}/{METRIC}",
        space,
        f"{space}/no_such_metric",
        f"{space}/{METRIC}/extra",
        f"{space}/{METRIC}.",
        f"{space}/{METRIC}.no-such-workload",
        "/apis/external.metrics.k8s.io/v1beta2",
        "/apis/custom.metrics.k8s.io/v1beta1",
    ):
        check_status(await adapter.get(path, accept=HPA_ACCEPT), 404, "NotFound")
    unknown = await adapter.get(
        f"{space}/{METRIC}", accept=HPA_ACCEPT, query={"labelSelector": "deployment=no-such-workload"}
    )
    check_status(unknown, 404, "NotFound")  # no item would be a failure too, but without a word


async def test_nothing_crosses_namespaces(series: AdapterUnderTest) -> None:
    other = f"{VERSION}/namespaces/no-such-namespace/{METRIC}"
    answer = await series.get(other, query={"labelSelector": f"deployment={series.deployment}-x"})
    check_status(answer, 404, "NotFound")
    assert series.deployment not in answer.body["message"].replace(f"{series.deployment}-x", "")


@pytest.mark.parametrize(
    "selector", ["a=b c", ",", "a in b", "a in (b", "=b", "a>b", "a=b/c", "-a=b", "a=" + "x" * 64, "a=b,,c=d"]
)
async def test_selectors_that_cannot_be_read_are_said_so(adapter: AdapterUnderTest, selector: str) -> None:
    path = f"{VERSION}/namespaces/{adapter.namespace or 'default'}/{METRIC}"
    check_status(await adapter.get(path, query={"labelSelector": selector}), 400, "BadRequest")


async def test_what_lists_can_do_elsewhere_is_refused(adapter: AdapterUnderTest) -> None:
    path = f"{VERSION}/namespaces/{adapter.namespace or 'default'}/{METRIC}"
    check_status(await adapter.get(path, query={"fieldSelector": "metadata.name=a"}), 400, "BadRequest")
    for answer in (
        await adapter.get(path, query={"watch": "true"}),
        await adapter.get(path, query={"watch": "1"}),
        *[await adapter.get(path, method=method) for method in ("POST", "PUT", "PATCH", "DELETE")],
    ):
        check_status(answer, 405, "MethodNotAllowed")
        assert answer.headers["Allow"] == "GET"


async def test_nothing_that_is_sent_breaks_it(adapter: AdapterUnderTest) -> None:
    """Selectors, names and headers made of their own alphabet, right and wrong: an answer, never a breakdown."""
    rng = Random(20261121)
    pieces = ["deployment", "=", "==", "!=", "in", "notin", "(", ")", ",", " ", "a", "é", "1", ">", "<", "!", "/", "%"]
    for _ in range(300):
        selector = "".join(rng.choices(pieces, k=rng.randint(0, 8)))
        accept = ",".join(rng.choices(["*/*", "application/json", "a/b;q=x", ";;", "application/json;as=Table"], k=2))
        name = METRIC + "".join(rng.choices([".", "a", "-", "%2F", "%00", "..", "A"], k=rng.randint(0, 3)))
        path = f"{VERSION}/namespaces/{adapter.namespace or 'default'}/{name}"
        answer = await adapter.get(path, accept=accept, query={"labelSelector": selector})
        assert answer.status in (200, 400, 404, 406, 503), (path, selector, accept, answer)
        assert answer.body["kind"] in ("ExternalMetricValueList", "Status")
        if answer.status == 200:
            assert len(answer.body["items"]) == 1
