"""The configuration file that the chart writes is one the program takes, and says what the values say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from adapter.cli import main
from adapter.config.load import load_configuration
from adapter.config.schema import Configuration
from tests.deploy.chart import CHART, Helm, Rendered
from tests.deploy.value_sets import VALUE_SETS

CHECKSUM = "variant-autoscaler.io/start-checksum"


def _load(rendered: Rendered, folder: Path) -> Configuration:
    for name, text in rendered.get("ConfigMap")["data"].items():
        (folder / name).write_text(text, encoding="utf-8")
    return load_configuration(folder / "config.yaml").configuration


@pytest.mark.parametrize("name", VALUE_SETS)
def test_check_config_finds_nothing_wrong(helm: Helm, tmp_path: Path, name: str) -> None:
    rendered = helm.render(VALUE_SETS[name])
    _load(rendered, tmp_path)
    assert main(["check-config", str(tmp_path / "config.yaml")]) == 0


def test_switches_reach_the_configuration(helm: Helm, tmp_path: Path) -> None:
    rendered = helm.render(VALUE_SETS["everything on"])
    found = _load(rendered, tmp_path)
    kubernetes = found.kubernetes
    assert kubernetes.patch_zero
    assert kubernetes.bridge_tolerance
    assert kubernetes.pod_deletion_cost
    assert kubernetes.installation == "optimizer"
    assert kubernetes.api_service.service == "optimizer"
    assert (found.listen.pages.host, found.listen.pages.port) == ("::", 9090)
    assert found.listen.external_metrics is not None
    assert found.listen.external_metrics.port == 10250
    assert rendered.get("ConfigMap")["data"]["h100.csv"] == "kind,batch,tokens,milliseconds\n"


def test_switches_are_off_unless_asked_for(helm: Helm, tmp_path: Path) -> None:
    kubernetes = _load(helm.render(), tmp_path).kubernetes
    assert not kubernetes.patch_zero
    assert not kubernetes.bridge_tolerance
    assert not kubernetes.pod_deletion_cost
    assert kubernetes.leader_election.enabled
    assert kubernetes.namespace is None  # the pod is told by POD_NAMESPACE


@pytest.mark.parametrize("name", ["cert-manager", "certificate of the chart"])
def test_the_certificate_is_read_where_its_secret_is_mounted(helm: Helm, tmp_path: Path, name: str) -> None:
    rendered = helm.render(VALUE_SETS[name])
    external = _load(rendered, tmp_path).listen.external_metrics
    assert external is not None
    (mount,) = [mount for mount in rendered.get_container()["volumeMounts"] if mount["name"] == "certificate"]
    assert external.certificate.cert_file == f"{mount['mountPath']}/tls.crt"
    assert external.certificate.key_file == f"{mount['mountPath']}/tls.key"


def test_whole_numbers_of_any_size_stay_whole_numbers(helm: Helm) -> None:
    text = helm.render(VALUE_SETS["models in the configuration"]).get_configuration()
    assert "kv_capacity_tokens: 12345678\n" in text


@pytest.mark.parametrize(
    "values",
    [
        {"listen": {"pagesPort": 9090}},
        {"actuation": {"patchZero": True}},
        {"certificates": {"kind": "chart"}},
        {"config": {"publishing": {"max_decision_age": "5m"}}},
    ],
)
def test_what_is_read_at_the_start_replaces_the_pods(helm: Helm, values: dict[str, Any]) -> None:
    assert _get_checksum(helm.render(values)) != _get_checksum(helm.render())


@pytest.mark.parametrize(
    "values",
    [
        {"config": {"decision": {"period": "30s"}}},
        {"config": {"accelerators": {"H200": {"cost_per_hour": 3.99}}}},
        {"replicas": 3},
    ],
)
def test_what_is_picked_up_while_running_leaves_the_pods_alone(helm: Helm, values: dict[str, Any]) -> None:
    assert _get_checksum(helm.render(values)) == _get_checksum(helm.render())


def _get_checksum(rendered: Rendered) -> str:
    checksum: str = rendered.get_pod()["metadata"]["annotations"][CHECKSUM]
    return checksum


def test_the_checksum_covers_every_section_that_waits_for_the_next_start(helm: Helm) -> None:
    waiting = {
        name
        for name, section in get_type_hints(Configuration).items()
        if "next start" in (getattr(section, "__doc__", None) or "")
    }
    template = (CHART / "templates" / "_configuration.tpl").read_text(encoding="utf-8")
    (picked,) = re.findall(r"pick \$config ([^|]*)\|", template)
    assert set(re.findall(r'"(\w+)"', picked)) == waiting
