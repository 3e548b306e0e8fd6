"""What the chart refuses, and how it says so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deploy.chart import ChartRefused, Helm

TOLD_BY_VALUES: dict[str, dict[str, Any]] = {
    "listen": {
        "pages": {"port": 9090},
        "external_metrics": {"port": 9443},
        "external_metrics_http": {"port": 9000},
    },
    "discovery": {"kind": "static", "namespaces": ["chat"], "limits": {"nodes": True}},
    "kubernetes": {
        "kubeconfig": "/tmp/config",
        "namespace": "chat",
        "installation": "other",
        "events": False,
        "pod_deletion_cost": True,
        "patch_zero": True,
        "bridge_tolerance": True,
        "api_service": {"manage": False},
    },
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a value nobody knows": ({"replica": 2}, "'replica' not allowed"),
    "a typo below": ({"apiService": {"creat": True}}, "'creat' not allowed"),
    "a typo in the configuration": ({"config": {"decision": {"perod": "15s"}}}, "'perod' not allowed"),
    "a promise without unit": ({"config": {"service_classes": {"interactive": {"ttft": "2"}}}}, "/ttft"),
    "a kind of certificate nobody knows": ({"certificates": {"kind": "selfsigned"}}, "/certificates/kind"),
    "a port that cannot be": ({"listen": {"pagesPort": 70000}}, "/listen/pagesPort"),
    "replicas as text": ({"replicas": "two"}, "/replicas"),
    "a namespace in capitals": ({"namespaces": ["Chat"]}, "/namespaces/0"),
    "a namespace twice": ({"namespaces": ["chat", "chat"]}, "/namespaces"),
    "every metric for readers": ({"apiService": {"metricNames": ["*"]}}, "/apiService/metricNames/0"),
    "an HPA without a bound": ({"hpas": [{"name": "a", "namespace": "b"}]}, "maxReplicas"),
    "an HPA without room": (
        {"hpas": [{"name": "a", "namespace": "b", "minReplicas": 5, "maxReplicas": 4}]},
        "hpas[0].maxReplicas must be >= 5, got 4",
    ),
    "an HPA twice": (
        {"hpas": [{"name": name, "namespace": "b", "maxReplicas": 4} for name in ("a", "c", "a")]},
        "hpas[2] repeats b/a, as hpas[0] has it already",
    ),
    "one port for pages and metrics": (
        {"listen": {"externalMetricsPort": 8080}},
        "listen.externalMetricsPort must differ from listen.pagesPort, got 8080 for both",
    ),
    "one port of the Service for pages and metrics": (
        {"service": {"port": 8080}},
        "service.port must differ from listen.pagesPort, got 8080 for both",
    ),
    "an API that nobody serves": ({"replicas": 0}, "replicas must be >= 1 with apiService.create=true, got 0"),
    "an end before the drain is over": (
        {"terminationGracePeriodSeconds": 10},
        "terminationGracePeriodSeconds must be >= 15, got 10: 5 more than config.listen.drain 10s",
    ),
    "a drain beyond the end": (
        {"config": {"listen": {"drain": "1m30.5s"}}},
        "terminationGracePeriodSeconds must be >= 95.5, got 30: 5 more than config.listen.drain 1m30.5s",
    ),
    "an account without a name": ({"serviceAccount": {"create": False}}, "serviceAccount.name must be given"),
    "nodes as limits of some namespaces": (
        {"limits": {"nodes": True}, "namespaces": ["chat"]},
        "limits.nodes=true must go with namespaces=[]",
    ),
    "another configuration file": ({"files": {"config.yaml": ""}}, "files must not hold config.yaml"),
    "scaling without the right to": (
        {
            "config": {
                "models": [{"name": "m", "actuation": "scale", "variants": [{"name": "v", "accelerator": "L40S"}]}]
            }
        },
        "config.models[0].actuation is scale: set actuation.scale=true",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused_with_the_place(helm: Helm, name: str) -> None:
    values, message = REFUSED[name]
    with pytest.raises(ChartRefused) as refusal:
        helm.render(values)
    assert message in str(refusal.value)


@pytest.mark.parametrize("path", [f"{section}.{key}" for section, told in TOLD_BY_VALUES.items() for key in told])
def test_what_values_tell_is_refused_in_the_configuration(helm: Helm, path: str) -> None:
    section, key = path.split(".")
    with pytest.raises(ChartRefused) as refusal:
        helm.render({"config": {section: {key: TOLD_BY_VALUES[section][key]}}})
    assert f"config.{path} must not be given: it is told by" in str(refusal.value)


def test_kubernetes_that_is_too_old_is_refused(helm: Helm) -> None:
    with pytest.raises(ChartRefused, match="kubeVersion"):
        helm.render(kubernetes="1.25.0")


@pytest.mark.parametrize(
    "values",
    [
        {"replicas": 0, "apiService": {"create": False}},
        {"listen": {"externalMetricsPort": 8080}, "service": {"port": 8080}, "apiService": {"create": False}},
        {"terminationGracePeriodSeconds": 5, "config": {"listen": {"drain": 0}}},
        {"terminationGracePeriodSeconds": 6, "config": {"listen": {"drain": "999ms1000us"}}},
        {"terminationGracePeriodSeconds": 7205, "config": {"listen": {"drain": "2h"}}},
    ],
    ids=["no pods and no API", "one port and no API", "no drain", "a drain of two units", "a long drain"],
)
def test_what_only_resembles_a_mistake_is_taken(helm: Helm, values: dict[str, Any]) -> None:
    helm.render(values)
