"""manifests/ is the chart without Helm: the same objects, one per file, put together by a kustomization."""

from __future__ import annotations

import pytest
import yaml

from tests.deploy.chart import NAMESPACE, Helm, Json
from tests.deploy.generate import MANIFESTS, render_manifests

FILES = sorted(path for path in MANIFESTS.iterdir() if path.is_file() and path.name != "kustomization.yaml")


def _load(name: str) -> Json:
    document: Json = yaml.safe_load((MANIFESTS / name).read_text(encoding="utf-8"))
    return document


def test_they_are_what_the_chart_renders(helm: Helm) -> None:
    present = {path.name: path.read_text(encoding="utf-8") for path in MANIFESTS.iterdir() if path.is_file()}
    assert present == render_manifests(helm), "out of date: run `make chart`"


@pytest.mark.parametrize("name", [path.name for path in FILES])
def test_each_file_holds_one_object(name: str) -> None:
    documents = list(yaml.safe_load_all((MANIFESTS / name).read_text(encoding="utf-8")))
    assert len(documents) == 1
    assert {"apiVersion", "kind", "metadata"} <= set(documents[0])


@pytest.mark.parametrize("name", [path.name for path in FILES])
def test_nothing_in_them_is_helms(name: str) -> None:
    assert "helm" not in "".join((MANIFESTS / name).read_text(encoding="utf-8").lower().splitlines()[1:])


def test_the_kustomization_lists_every_file_and_the_namespace_first() -> None:
    resources = _load("kustomization.yaml")["resources"]
    assert sorted(resources) == [path.name for path in FILES]
    assert resources[0] == "namespace.yaml"
    assert _load("namespace.yaml")["metadata"]["name"] == NAMESPACE


def test_applying_them_again_keeps_the_authority_that_the_program_wrote() -> None:
    assert "caBundle" not in _load("api-service.yaml")["spec"]
