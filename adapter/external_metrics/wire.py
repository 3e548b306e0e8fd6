"""Wire objects of the external metrics API, as plain JSON values: lists, discovery documents, Status. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

GROUP = "external.metrics.k8s.io"
VERSION = "v1beta1"
GROUP_VERSION = f"{GROUP}/{VERSION}"
METRIC = "deployment_replicas"
_LIST_KIND = "ExternalMetricValueList"

Json = dict[str, Any]


def render_timestamp(time_s: float) -> str:
    """Return RFC 3339 with whole seconds for Unix seconds."""
    return datetime.fromtimestamp(int(time_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_metric_item(name: str, labels: Mapping[str, str], time_s: float, value: str) -> Json:
    """Return one ExternalMetricValue; `time_s` is the decision's [Unix s]."""
    return {
        "metricName": name,
        "metricLabels": dict(labels),
        "timestamp": render_timestamp(time_s),
        "window": 0,
        "value": value,
    }


def to_metric_list(items: Sequence[Json]) -> Json:
    """Return an ExternalMetricValueList."""
    return {"kind": _LIST_KIND, "apiVersion": GROUP_VERSION, "metadata": {}, "items": list(items)}


def to_status(code: HTTPStatus, reason: str, message: str, kind: str = METRIC) -> Json:
    """Return a failed Status; its message is what the HPA's event will show."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": reason,
        "code": int(code),
        "message": message,
        "details": {"group": GROUP, "kind": kind},
    }


_VERSION_ENTRY: Json = {"groupVersion": GROUP_VERSION, "version": VERSION}

API_GROUP: Json = {"name": GROUP, "versions": [_VERSION_ENTRY], "preferredVersion": _VERSION_ENTRY}

API_GROUP_LIST: Json = {"kind": "APIGroupList", "apiVersion": "v1", "groups": [API_GROUP]}

API_RESOURCE_LIST: Json = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": GROUP_VERSION,
    "resources": [{"name": METRIC, "singularName": "", "namespaced": True, "kind": _LIST_KIND, "verbs": ["get"]}],
}


def to_aggregated_discovery(version: str) -> Json:
    """Return the APIGroupDiscoveryList of `version` (``v2`` or ``v2beta1``)."""
    resource = {
        "resource": METRIC,
        "singularResource": "",
        "scope": "Namespaced",
        "verbs": ["get"],
        "responseKind": {"group": GROUP, "version": VERSION, "kind": _LIST_KIND},
    }
    group = {
        "metadata": {"name": GROUP, "creationTimestamp": None},
        "versions": [{"version": VERSION, "freshness": "Current", "resources": [resource]}],
    }
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [group],
    }
