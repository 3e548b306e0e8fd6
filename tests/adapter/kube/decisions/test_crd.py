"""The definition of VariantDecision: what `kubectl get` shows, and that every field is explained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapter.kube.resource import VARIANT_DECISIONS
from tests.builders.decision_objects import load_crd

CRD = load_crd()
(VERSION,) = CRD["spec"]["versions"]


def test_it_is_the_kind_that_we_read_and_write() -> None:
    names = CRD["spec"]["names"]
    assert CRD["metadata"]["name"] == f"{VARIANT_DECISIONS.plural}.{VARIANT_DECISIONS.group}"
    assert (CRD["spec"]["group"], VERSION["name"]) == (VARIANT_DECISIONS.group, VARIANT_DECISIONS.version)
    assert (names["plural"], names["kind"]) == (VARIANT_DECISIONS.plural, VARIANT_DECISIONS.kind)
    assert names["shortNames"] == ["vd"]
    assert CRD["spec"]["scope"] == "Namespaced"
    assert VERSION["subresources"] == {"status": {}}


def test_the_table_shows_plan_cost_and_reason() -> None:
    columns = [column["name"].upper() for column in VERSION["additionalPrinterColumns"] if not column.get("priority")]
    assert columns == ["MODEL", "VARIANT", "PLANNED", "READY", "COST/H", "REASON", "AGE"]


def test_uninstalling_keeps_it() -> None:
    assert CRD["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_every_field_says_what_it_means() -> None:
    for path, schema in walk(VERSION["schema"]["openAPIV3Schema"], ""):
        assert path == ".metadata" or path.endswith("[]") or len(schema.get("description", "")) > 8, path


def walk(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, entry in schema.get("properties", {}).items():
        yield from walk(entry, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")
