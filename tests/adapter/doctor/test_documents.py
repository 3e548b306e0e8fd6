"""docs/doctor.md and docs/runbook.md name nothing that is not there: points, reasons, events, metrics, keys, files."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml
from prometheus_client import generate_latest

from adapter.cli import parse
from adapter.config.schema import Configuration
from adapter.doctor import Check
from adapter.kube.decisions.conditions import ACCEPTED, TROUBLED
from adapter.kube.discovery.our_labels import KEYS
from adapter.kube.followers import ObstacleCode
from adapter.pages.fleet_metrics import FleetMetrics
from adapter.store import DecisionStore
from adapter.telemetry import Telemetry
from optimizer.domain import ConditionType, ReasonCode
from tests.builders.decisions import ManualClock

ROOT = Path(__file__).resolve().parents[3]
PAGES = ("doctor", "runbook")
OF_KUBERNETES = frozenset(
    "FailedGetExternalMetric FailedDiscoveryCheck MissingEndpoints ServiceNotFound NamespaceDeletionDiscoveryFailure "
    "ScalingDisabled Terminating False Apply".split()
)
FIELDS_OF_KUBERNETES = ("spec.", "status.", "metadata.")


def read(page: str) -> str:
    return (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")


def list_words(page: str) -> set[str]:
    """Return what stands in backticks within the text, code blocks left out."""
    text = re.sub(r"^```.*?^```", "", read(page), flags=re.DOTALL | re.MULTILINE)
    return set(re.findall(r"`([^`]+)`", text))


def list_blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", read(page), re.DOTALL | re.MULTILINE)


@cache
def list_log_events() -> frozenset[str]:
    """Return the name of every event that is logged anywhere."""
    calls = (
        node
        for path in (ROOT / "adapter").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "log_event"
    )
    return frozenset(str(arg.value) for call in calls if isinstance(arg := call.args[0], ast.Constant))


@cache
def list_metrics() -> frozenset[str]:
    """Return the name of every metric on our pages."""
    telemetry = Telemetry()
    telemetry.registry.register(FleetMetrics(DecisionStore(), ManualClock()))
    return frozenset(re.findall(r"^# TYPE (\S+) ", generate_latest(telemetry.registry).decode(), re.MULTILINE))


def list_paths(section: type[Any], prefix: str = "") -> Iterator[str]:
    """Yield the path of every key of the configuration, as files write it."""
    hints = get_type_hints(section)
    for field in fields(section):
        path = f"{prefix}{re.sub(r'_(s|bytes|ratio)$', '', field.name)}"
        yield path
        for inner in (hints[field.name], *get_args(hints[field.name])):
            if isinstance(inner, type) and is_dataclass(inner):
                yield from list_paths(inner, f"{path}.")


@cache
def list_keys() -> frozenset[str]:
    """Return the dotted path of every value of the chart and every key of the configuration."""

    def walk(tree: object, prefix: str = "") -> Iterator[str]:
        for key, value in tree.items() if isinstance(tree, dict) else ():
            yield f"{prefix}{key}"
            yield from walk(value, f"{prefix}{key}.")

    values = yaml.safe_load((ROOT / "charts" / "variant-autoscaler" / "values.yaml").read_text(encoding="utf-8"))
    return frozenset(walk(values)) | frozenset(list_paths(Configuration))


@pytest.mark.parametrize("page", PAGES)
def test_reasons_obstacles_and_conditions_exist(page: str) -> None:
    known = {*ReasonCode, *ObstacleCode, *ConditionType, ACCEPTED, TROUBLED} | OF_KUBERNETES
    named = {word for word in list_words(page) if re.fullmatch(r"[A-Z][a-z]+([A-Z][a-z]+)*", word)}
    assert named - known == set()
    assert page != "runbook" or len(named) > 40  # the pattern still finds them


@pytest.mark.parametrize("page", PAGES)
def test_metrics_exist(page: str) -> None:
    named = {re.split(r"[{ ]", word)[0] for word in list_words(page) if word.startswith("variant_autoscaler_")}
    assert named - list_metrics() == set()
    assert page != "runbook" or len(named) > 4


@pytest.mark.parametrize("page", PAGES)
def test_events_of_the_log_exist(page: str) -> None:
    named = {word for word in list_words(page) if re.fullmatch(r"[a-z]+(_[a-z]+)+", word)}
    named -= {word for word in named if word.startswith(("variant_autoscaler_", "deployment_replicas"))}
    assert named - list_log_events() == set()
    assert page != "runbook" or len(named) > 8


@pytest.mark.parametrize("page", PAGES)
def test_keys_of_chart_and_configuration_exist(page: str) -> None:
    dotted = {word.partition("=")[0] for word in list_words(page)}
    named = {word for word in dotted if re.fullmatch(r"[a-z][A-Za-z_]*(\.[a-z][A-Za-z_]*)+", word)}
    named = {word for word in named if not word.startswith(FIELDS_OF_KUBERNETES)}
    assert named - list_keys() == set()
    assert page != "runbook" or len(named) > 6


@pytest.mark.parametrize("page", PAGES)
def test_annotations_exist(page: str) -> None:
    named = {found.rstrip("-") for found in re.findall(r"variant-autoscaler\.io/[a-z-]+", read(page))}
    assert named - KEYS == set()


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = read(page)
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        assert not file or (ROOT / "docs" / file).exists(), target
        assert not anchor or file or anchor in anchors, target


@pytest.mark.parametrize("page", PAGES)
def test_lines_of_the_doctor_are_understood(page: str) -> None:
    lines = [line for block in list_blocks(page, "sh") for line in block.splitlines()]
    examples = [line for line in lines if line.startswith("variant-autoscaler ")]
    assert examples
    for line in examples:
        parse(shlex.split(line.partition("#")[0])[1:])


def test_every_point_is_in_the_table_in_its_order() -> None:
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", read("doctor"), re.MULTILINE)
    assert [row for row in rows if row in set(Check)] == [check.value for check in Check]


def test_sections_of_the_runbook_that_remedies_name_exist() -> None:
    headings = {line.lower() for line in re.findall(r"^## (.*)$", read("runbook"), re.MULTILINE)}
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "adapter" / "doctor").glob("*.py")]
    named = {found.lower() for text in sources for found in re.findall(r"docs/runbook\.md, ([A-Za-z ]+)", text)}
    assert named
    assert named <= headings


def test_every_section_says_how_it_is_seen_why_and_what_to_do() -> None:
    sections = re.split(r"^## ", read("runbook"), flags=re.MULTILINE)[1:]
    assert len(sections) == 8
    for section in sections:
        why = section.index("**What tells why**", section.index("**You see**"))
        assert "```sh" in section[why:]
        assert re.search(r"what to do|What to do", section), section.splitlines()[0]


def test_the_role_of_the_doctor_reads_and_asks_no_more() -> None:
    (role,) = [yaml.safe_load(block) for block in list_blocks("doctor", "yaml")]
    verbs = {(verb, resource) for rule in role["rules"] for verb in rule["verbs"] for resource in rule["resources"]}
    assert {verb for verb, _ in verbs} == {"get", "list", "watch", "create"}
    assert {resource for verb, resource in verbs if verb == "create"} == {"subjectaccessreviews"}
