"""Requests in the terms in which Kubernetes authorizes them."""

from __future__ import annotations

import pytest

from adapter.external_metrics.authorization import to_access
from adapter.external_metrics.reviews import Access

VERSION = "/apis/external.metrics.k8s.io/v1beta1"


@pytest.mark.parametrize(
    "method, path, is_watch, expected",
    [
        ("GET", "/apis", False, Access("get", path="/apis")),
        ("GET", VERSION, False, Access("get", path=VERSION)),
        ("GET", "/openapi/v3", False, Access("get", path="/openapi/v3")),
        ("POST", "/apis", False, Access("create", path="/apis")),
        ("GET", "/apis/other/v1/namespaces/a/b", False, Access("get", path="/apis/other/v1/namespaces/a/b")),
        ("GET", f"{VERSION}/namespaces/a/m", False, Access("list", namespace="a", resource="m")),
        ("GET", f"{VERSION}/namespaces/a/m", True, Access("watch", namespace="a", resource="m")),
        ("GET", f"{VERSION}/namespaces/a/m/x", False, Access("get", namespace="a", resource="m")),
        ("DELETE", f"{VERSION}/namespaces/a/m/x", False, Access("delete", namespace="a", resource="m")),
        ("GET", f"{VERSION}/m", False, Access("list", resource="m")),
        ("GET", f"{VERSION}/namespaces/a", False, Access("get", resource="namespaces")),
        ("BREW", f"{VERSION}/m", False, Access("brew", resource="m")),
    ],
)
def test_paths_and_methods_become_attributes(method: str, path: str, is_watch: bool, expected: Access) -> None:
    assert to_access(method, path, path.strip("/").split("/"), {}, is_watch=is_watch) == expected


def test_what_the_router_found_is_what_is_authorized() -> None:
    route = {"namespace": "prod", "metric": "deployment_replicas"}
    found = to_access("GET", "/anything", ("anything",), route)
    assert found == Access("list", namespace="prod", resource="deployment_replicas")


@pytest.mark.parametrize(
    "access, words",
    [
        (Access("get", path="/apis"), "get path /apis"),
        (Access("list", resource="m"), "list resource 'm' in API group 'external.metrics.k8s.io'"),
        (
            Access("list", namespace="a", resource="m"),
            "list resource 'm' in API group 'external.metrics.k8s.io' in namespace a",
        ),
    ],
)
def test_access_is_told_in_words(access: Access, words: str) -> None:
    assert str(access) == words
