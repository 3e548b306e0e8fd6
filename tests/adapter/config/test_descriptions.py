"""What describes the configuration (JSON schema, reference) agrees with what decodes it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapter.config.decode import ROOT
from adapter.config.fields import iterate_options
from adapter.config.json_schema import build_json_schema, render_json_schema
from adapter.config.kinds import Kind
from adapter.config.nesting import ListOf, MapOf
from adapter.config.problems import Findings
from adapter.config.reference import render_reference
from adapter.config.section import Section

PROJECT = Path(__file__).resolve().parents[3]
SCHEMA = build_json_schema()
Data = dict[str, Any]
Find = Callable[[object], list[str]]


def _is_of_type(value: object, name: str) -> bool:
    types: dict[str, tuple[type, ...]] = {
        "object": (dict,),
        "array": (list,),
        "string": (str,),
        "number": (int, float),
        "integer": (int,),
        "boolean": (bool,),
        "null": (type(None),),
    }
    return isinstance(value, types[name]) and (name == "boolean" or not isinstance(value, bool))


def _find_faults(value: Any, schema: Data, path: str = "") -> Iterator[str]:
    """Yield the paths that `schema` refuses; knows the keywords our schema uses, and refuses others."""
    known = {"$schema", "title", "description", "default", "type", "properties", "required", "additionalProperties"}
    known |= {"items", "minItems", "minProperties", "anyOf", "enum", "const", "pattern"}
    known |= {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    assert set(schema) <= known, f"unknown keywords {set(schema) - known}"
    if "anyOf" in schema and all(list(_find_faults(value, branch, path)) for branch in schema["anyOf"]):
        yield f"{path} fits no branch"
    types = schema.get("type", [])
    if types and not any(_is_of_type(value, name) for name in ([types] if isinstance(types, str) else types)):
        yield f"{path} is not {types}"
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        yield f"{path} is not one of the values"
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path} does not match"
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _find_number_faults(value, schema, path)
    if isinstance(value, dict):
        yield from _find_object_faults(value, schema, path)
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{path} is too short"
        for i, item in enumerate(value):
            yield from _find_faults(item, schema.get("items", {}), f"{path}[{i}]")


def _find_number_faults(value: float, schema: Data, path: str) -> Iterator[str]:
    if value < schema.get("minimum", value) or value > schema.get("maximum", value):
        yield f"{path} is out of bounds"
    if ("exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]) or (
        "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]
    ):
        yield f"{path} is out of bounds"


def _find_object_faults(value: Data, schema: Data, path: str) -> Iterator[str]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    if len(value) < schema.get("minProperties", 0):
        yield f"{path} is too small"
    yield from (f"{path}.{key} is missing" for key in schema.get("required", []) if key not in value)
    for key, entry in value.items():
        if key in properties:
            yield from _find_faults(entry, properties[key], f"{path}.{key}")
        elif others is False:
            yield f"{path}.{key} is not known"
        else:
            yield from _find_faults(entry, others, f"{path}.{key}")


def _iterate_kinds(kind: Kind[Any], path: str) -> Iterator[tuple[str, Kind[Any]]]:
    yield path, kind
    if isinstance(kind, Section):
        for option in iterate_options(kind.record):
            yield from _iterate_kinds(option.kind, f"{path}.{option.key}")
    if isinstance(kind, ListOf | MapOf):
        yield from _iterate_kinds(kind.item, f"{path}[]")


@pytest.mark.parametrize("example", sorted((PROJECT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_the_schema_accepts_every_example(example: Path) -> None:
    assert list(_find_faults(yaml.safe_load(example.read_text(encoding="utf-8")), SCHEMA)) == []


def test_the_schema_accepts_what_is_decoded_and_keys_without_value(data: Data) -> None:
    data.update(limits=[{"name": "x", "amount": "unknown"}], decision=None, state={"file": None})
    data["models"][0]["policy_options"] = {"anything": [1, {"b": None}]}
    assert list(_find_faults(data, SCHEMA)) == []


SPOILS: dict[str, Callable[[Data], object]] = {
    "unknown key": lambda d: d.update(modles=[]),
    "missing section": lambda d: d.pop("service_classes"),
    "missing field": lambda d: d["models"][0].pop("name"),
    "duration without unit": lambda d: d.update(decision={"period": 30}),
    "percentage": lambda d: d.update(decision={"forecast_level_ratio": "90%"}),
    "ratio out of bounds": lambda d: d.update(decision={"utilization_ceiling_ratio": 1.5}),
    "unknown choice": lambda d: d["models"][0].update(routing="wieghted"),
    "negative count": lambda d: d["models"][0].update(min_replicas=-1),
    "no accelerators": lambda d: d.update(accelerators={}),
    "address that is none": lambda d: d["models"][0]["variants"][0].update(pods=["10.0.0.1"]),
    "namespace in capitals": lambda d: d["models"][0].update(namespace="Chat"),
    "flag as a word": lambda d: d.update(collection={"tls": {"skip_verification": "yes"}}),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS.keys())
def test_the_schema_refuses_what_decoding_refuses(
    spoil: Callable[[Data], object], data: Data, find_problems: Find
) -> None:
    spoil(data)
    assert list(_find_faults(data, SCHEMA))
    assert find_problems(data)


def test_the_schema_accepts_every_default_it_tells() -> None:
    def check(schema: Data, path: str) -> Iterator[str]:
        if "default" in schema:
            yield from _find_faults(schema["default"], schema, path)
        for branch in schema.get("anyOf", []):
            yield from check(branch, path)
        for key, entry in schema.get("properties", {}).items():
            yield from check(entry, f"{path}.{key}")
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                yield from check(schema[key], path)

    assert list(check(SCHEMA, "")) == []


def test_the_schema_is_plain_json() -> None:
    assert json.loads(render_json_schema()) == SCHEMA


def test_every_field_says_what_it_means_and_every_number_why_its_default() -> None:
    for path, kind in _iterate_kinds(ROOT, ""):
        if not isinstance(kind, Section):
            continue
        assert not (kind.record.__doc__ or "(").startswith(f"{kind.record.__name__}("), path
        for option in iterate_options(kind.record):
            assert option.meaning.endswith("."), f"{path}.{option.key}"
            is_plain = option.default in (None, "", (), {}, 0, 1) or isinstance(option.kind, Section | ListOf)
            needs_reason = not option.is_required and not is_plain and isinstance(option.default, int | float)
            assert option.why or not needs_reason, f"{path}.{option.key} = {option.default} has no reason"


def test_every_default_is_what_its_kind_would_read(find_problems: Find) -> None:
    for path, kind in _iterate_kinds(ROOT, ""):
        if isinstance(kind, Section):
            for option in iterate_options(kind.record):
                if option.default is not None and not option.is_required and option.default not in ("", ()):
                    findings = Findings()
                    read = option.kind.read(option.kind.render(option.default), path, findings)
                    assert (read, findings.problems) == (option.default, []), f"{path}.{option.key}"


def test_the_committed_reference_is_what_the_dataclasses_say() -> None:
    committed = (PROJECT / "docs/configuration.md").read_text(encoding="utf-8")
    message = "renew it: .venv/bin/variant-autoscaler check-config --reference > docs/configuration.md"
    assert committed == render_reference(), message


def test_links_within_the_reference_lead_somewhere() -> None:
    page = render_reference()
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= anchors
