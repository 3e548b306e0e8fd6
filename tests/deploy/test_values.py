"""values.yaml, values.schema.json and Chart.yaml agree with each other and with the program; no Helm needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from adapter import __version__
from tests.deploy.chart import CHART
from tests.deploy.generate import SCHEMA, render_schema

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
VALUES_SCHEMA: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
KEY = re.compile(r"^( *)(?:- )?([A-Za-z_-]+):")
LONGEST_LINE = 130


def _iterate_closed(schema: dict[str, Any], value: Any, path: str) -> Iterator[tuple[str, set[str], set[str]]]:
    """Yield path, keys of the schema and keys of the value of every object that admits listed keys only."""
    if not isinstance(value, dict) or "properties" not in schema:
        return
    if schema.get("additionalProperties") is False:
        yield path, set(schema["properties"]), set(value)
    for key, inner in schema["properties"].items():
        yield from _iterate_closed(inner, value.get(key), f"{path}.{key}")


def test_every_value_is_in_the_schema_and_every_key_of_the_schema_has_a_value() -> None:
    optional = {".global", ".resources.claims"}
    for path, described, given in _iterate_closed(VALUES_SCHEMA, VALUES, ""):
        if path == ".certificates.certManager.issuerRef":
            continue
        assert given - described == set(), path
        assert {key for key in described - given if f"{path}.{key}" not in optional} == set(), path


def test_every_key_of_the_schema_is_described() -> None:
    for path, schema in _iterate_described(VALUES_SCHEMA, ""):
        assert schema.get("description"), path


def _iterate_described(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, inner in schema.get("properties", {}).items():
        if "$ref" not in inner:
            yield f"{path}.{key}", inner
        if inner.get("additionalProperties") is False and key not in ("readers", "issuerRef"):
            yield from _iterate_described(inner, f"{path}.{key}")


def test_every_value_has_a_comment_before_it() -> None:
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    in_config, deepest = False, 2
    for before, line in zip(["", *lines], lines, strict=False):
        found = KEY.match(line)
        if not found or line.lstrip().startswith("- "):
            continue
        depth = len(found[1])
        in_config = found[2] == "config" if depth == 0 else in_config
        if not (in_config and depth > deepest):
            assert before.lstrip().startswith("#"), f"{line!r} has no comment"


def test_lines_of_the_values_are_of_readable_length() -> None:
    assert max(map(len, (CHART / "values.yaml").read_text(encoding="utf-8").splitlines())) <= LONGEST_LINE


def test_the_schema_of_config_is_that_of_the_program() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == render_schema(), "out of date: run `make chart`"


def test_no_pattern_of_the_schema_needs_what_go_cannot_do() -> None:
    for pattern in _iterate_patterns(VALUES_SCHEMA):
        assert not re.search(r"\(\?[=!<]", pattern), pattern


def _iterate_patterns(document: object) -> Iterator[str]:
    if isinstance(document, dict):
        pattern = document.get("pattern")
        if isinstance(pattern, str):
            yield pattern
        for inner in document.values():
            yield from _iterate_patterns(inner)
    elif isinstance(document, list):
        for inner in document:
            yield from _iterate_patterns(inner)


@pytest.mark.parametrize("key", ["version", "appVersion"])
def test_the_chart_has_the_version_of_the_program(key: str) -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart[key] == __version__
