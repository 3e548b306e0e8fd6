"""Documents of the installation: examples of values are taken by the chart, links lead somewhere, tables are whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapter.cli import main
from adapter.kube.discovery.our_labels import KEYS, PREFIX
from adapter.kube.followers import ObstacleCode
from tests.deploy.chart import CHART, ROOT, Helm
from tests.deploy.rights import list_rights

DOCS = ROOT / "docs"
OURS = ("install.md", "hpa.md", "security.md", "upgrade.md")
EXAMPLES = [
    (f"{name}-{i}", block)
    for name in OURS
    for i, block in enumerate(re.findall(r"```yaml values\n(.*?)```", (DOCS / name).read_text("utf-8"), flags=re.S))
]


@pytest.mark.parametrize("block", [block for _, block in EXAMPLES], ids=[name for name, _ in EXAMPLES])
def test_an_example_of_values_is_taken_by_chart_and_program(helm: Helm, tmp_path: Path, block: str) -> None:
    rendered = helm.render(yaml.safe_load(block))
    for name, text in rendered.get("ConfigMap")["data"].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert main(["check-config", str(tmp_path / "config.yaml")]) == 0


@pytest.mark.parametrize("name", OURS)
def test_links_lead_to_files_and_headings_that_exist(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        path = (DOCS / file).resolve() if file else DOCS / name
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.M)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


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
    table = text[text.index("| obstacle | meaning |") : text.index("## KEDA")]
    named = {code for row in table.splitlines()[2:] if row for code in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == {code.value for code in ObstacleCode}


def test_every_resource_that_may_be_touched_is_explained(helm: Helm) -> None:
    text = (DOCS / "security.md").read_text(encoding="utf-8").lower()
    table = text[text.index("| value | right |") : text.index("**the two rights")]
    for right in list_rights(helm.render()):
        singular = right.resource.partition("/")[0].removesuffix("s")
        assert singular in table, right


def test_the_form_that_follows_exactly_is_explained_line_by_line() -> None:
    text = (DOCS / "hpa.md").read_text(encoding="utf-8")
    table = text[text.index("| lines | why |") : text.index("A StatefulSet or LeaderWorkerSet")]
    for word in ("External", "selector", "AverageValue", "tolerance", "stabilizationWindowSeconds", "Pods", "Percent"):
        assert word in table
