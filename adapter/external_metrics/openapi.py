"""Our own small OpenAPI v3 document, for clients that want to know what there is. Constant data; no I/O.

There is no v2 document on purpose: API servers merge those of all their extensions into one, and a mistake in any of
them damages the whole; those of version 3 are only passed on.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from adapter import __version__
from adapter.external_metrics import wire

_PREFIX = "io.k8s.external-metrics.v1beta1"
_GROUP_PATH = f"apis/{wire.GROUP_VERSION}"
_KIND = {"group": wire.GROUP, "version": wire.VERSION, "kind": "ExternalMetricValueList"}
_TEXT: Final[wire.Json] = {"type": "string"}
_VALUE: Final[wire.Json] = {
    "type": "object",
    "required": ["metricName", "metricLabels", "timestamp", "value"],
    "properties": {
        "metricName": _TEXT,
        "metricLabels": {"type": "object", "additionalProperties": _TEXT},
        "timestamp": {"type": "string", "format": "date-time", "description": "When it was decided."},
        "window": {"type": "integer", "format": "int64"},
        "value": {"type": "string", "description": "A quantity: the replicas that the workload should have."},
    },
}
_LIST: Final[wire.Json] = {
    "type": "object",
    "required": ["items"],
    "properties": {
        "apiVersion": _TEXT,
        "kind": _TEXT,
        "metadata": {"type": "object"},
        "items": {"type": "array", "items": {"$ref": f"#/components/schemas/{_PREFIX}.ExternalMetricValue"}},
    },
    "x-kubernetes-group-version-kind": [_KIND],
}
_OPERATION: Final[wire.Json] = {
    "description": "the replicas that one workload of the namespace should have",
    "operationId": "listExternalMetricsV1beta1DeploymentReplicas",
    "responses": {
        "200": {
            "description": "OK",
            "content": {
                "application/json": {"schema": {"$ref": f"#/components/schemas/{_PREFIX}.ExternalMetricValueList"}}
            },
        }
    },
    "x-kubernetes-action": "list",
    "x-kubernetes-group-version-kind": _KIND,
}

DOCUMENT: Final[wire.Json] = {
    "openapi": "3.0.0",
    "info": {"title": "variant autoscaler", "version": __version__},
    "paths": {
        f"/{_GROUP_PATH}/namespaces/{{namespace}}/{wire.METRIC}": {
            "get": _OPERATION,
            "parameters": [
                {"name": "namespace", "in": "path", "required": True, "schema": _TEXT},
                {
                    "name": "labelSelector",
                    "in": "query",
                    "schema": _TEXT,
                    "description": "has to leave one workload, such as deployment=NAME",
                },
            ],
        }
    },
    "components": {"schemas": {f"{_PREFIX}.ExternalMetricValue": _VALUE, f"{_PREFIX}.ExternalMetricValueList": _LIST}},
}

PATH = f"/openapi/v3/{_GROUP_PATH}"
_HASH = hashlib.sha256(json.dumps(DOCUMENT, sort_keys=True).encode()).hexdigest().upper()
INDEX: Final[wire.Json] = {"paths": {_GROUP_PATH: {"serverRelativeURL": f"{PATH}?hash={_HASH}"}}}
