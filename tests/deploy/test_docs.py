"""Documents: what they name is there, links lead somewhere; of the installation also examples of values and tables."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from adapter.cli import main
from adapter.kube.decisions.conditions import ACCEPTED, TROUBLED
from adapter.kube.discovery.our_labels import KEYS, PREFIX
from adapter.kube.followers import ObstacleCode
from adapter.pages.fleet_metrics import FleetMetrics
from adapter.router.page import RouterMetrics
from adapter.store import DecisionStore
from adapter.telemetry import Telemetry
from optimizer.domain import ConditionType
from tests.builders.decisions import ManualClock
from tests.deploy.chart import CHART, ROOT, Helm
from tests.deploy.rights import list_rights

DOCS = ROOT / "docs"
OURS = ("install.md", "hpa.md", "security.md", "upgrade.md")
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    *(f"docs/{path.name}" for path in sorted(DOCS.glob("*.md"))),
)
EXAMPLES = [
    (f"{name}-{i}", block)
    for name in OURS
    for i, block in enumerate(re.findall(r"```yaml values\n(.*?)```", (DOCS / name).read_text("utf-8"), flags=re.S))
]


def read(name: str) -> str:
    """Return the text of a page, named by its path in the project."""
    return (ROOT / name).read_text(encoding="utf-8")


def list_code(name: str) -> list[str]:
    """Return every line of a block of code, and every piece of code within the text."""
    blocks = re.compile(r"^```.*?^```", flags=re.M | re.S)
    lines = [line for block in blocks.findall(read(name)) for line in block.splitlines()]
    return lines + re.findall(r"`([^`]+)`", blocks.sub("", read(name)))


@cache
def list_metrics() -> frozenset[str]:
    """Return the name of every metric on our pages, those of the router included."""
    telemetry = Telemetry()
    telemetry.show_certificate(lambda: 0.0)
    telemetry.registry.register(FleetMetrics(DecisionStore(), ManualClock()))
    pages = (generate_latest(telemetry.registry) + RouterMetrics(()).render()).decode()
    return frozenset(re.findall(r"^# TYPE (\S+) ", pages, flags=re.M))


@pytest.mark.parametrize("block", [block for _, block in EXAMPLES], ids=[name for name, _ in EXAMPLES])
def test_an_example_of_values_is_taken_by_chart_and_program(helm: Helm, tmp_path: Path, block: str) -> None:
    rendered = helm.render(yaml.safe_load(block))
    for name, text in rendered.get("ConfigMap")["data"].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert main(["check-config", str(tmp_path / "config.yaml")]) == 0


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files_and_headings_that_exist(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", read(name)):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.M)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, target


@pytest.mark.parametrize("name", PAGES)
def test_annotations_that_are_named_exist(name: str) -> None:
    named = {found.rstrip("-") for found in re.findall(rf"{re.escape(PREFIX)}[a-z-]+(?!\w)", read(name))}
    assert named - KEYS == set()


@pytest.mark.parametrize("name", PAGES)
def test_metrics_that_are_named_exist(name: str) -> None:
    named = set(re.findall(r"\bvariant_autoscaler_\w+", read(name)))
    assert named - list_metrics() == set()


@pytest.mark.parametrize("name", PAGES)
def test_conditions_that_are_named_exist(name: str) -> None:
    known = {*ConditionType, ACCEPTED, TROUBLED}
    named = set(re.findall(r"[Cc]onditions? `(\w+)`", read(name)))
    named |= set(re.findall(r"@\.type==\"(\w+)\"", read(name)))
    assert named - known == set()


@pytest.mark.parametrize("name", PAGES)
def test_targets_of_make_that_are_named_exist(name: str) -> None:
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    named = {found for code in list_code(name) for found in re.findall(r"^(?:\S+=\S+ )*make ([a-z][a-z-]*)", code)}
    assert named - set(targets) == set()


def test_what_is_looked_for_is_found_on_some_page() -> None:
    text = "".join(read(name) for name in PAGES)
    for sought in (f"{PREFIX}model", "variant_autoscaler_decision_age_seconds", "condition `Following`", "make doctor"):
        assert sought in text


@pytest.mark.parametrize("name", OURS)
def test_values_that_are_named_exist(name: str) -> None:
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    text = (DOCS / name).read_text(encoding="utf-8")
    sections = "apiService|certificates|listen|service|serviceMonitor|networkPolicy|crd|actuation|discover|limits"
    for section, key in re.findall(rf"\b({sections})\.([a-zA-Z]\w*)", text):
        prefix = text[: text.index(f"{section}.{key}")][-7:]
        if not prefix.endswith("config."):
            assert key in values[section], f"{section}.{key}"


def test_every_annotation_is_explained() -> None:
    text = (DOCS / "install.md").read_text(encoding="utf-8")
    table = text[text.index("| key | example |") : text.index("Workloads that carry")]
    assert {key.removeprefix(PREFIX) for key in KEYS} == {
        key for row in table.splitlines()[2:] if row for key in re.findall(r"`([a-z-]+)`", row.split("|")[1])
    }


def test_every_obstacle_is_explained() -> None:
    text = (DOCS / "hpa.md").read_text(encoding="utf-8")
    table = text[text.index("| obstacle | meaning |") : text.index("## KEDA")].partition("\n\n")[0]
    named = {code for row in table.splitlines()[2:] for code in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == {code.value for code in ObstacleCode}


def test_every_resource_that_may_be_touched_is_explained(helm: Helm) -> None:
    text = (DOCS / "security.md").read_text(encoding="utf-8").lower()
    table = text[text.index("| value | right |") : text.index("**the rights worth")]
    for right in list_rights(helm.render()):
        singular = right.resource.partition("/")[0].removesuffix("s")
        assert singular in table, right


def test_the_form_that_follows_exactly_is_explained_line_by_line() -> None:
    text = (DOCS / "hpa.md").read_text(encoding="utf-8")
    table = text[text.index("| lines | why |") : text.index("A StatefulSet or LeaderWorkerSet")]
    for word in ("External", "selector", "AverageValue", "tolerance", "stabilizationWindowSeconds", "Pods", "Percent"):
        assert word in table
