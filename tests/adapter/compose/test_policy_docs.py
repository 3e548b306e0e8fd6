"""What the page about policies says: every policy with every option, examples that run, and a package of one's own."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapter.compose import run_dry_pass
from adapter.config.load import load_configuration
from adapter.errors import ConfigurationError
from optimizer import BUILT_IN_POLICIES
from optimizer.domain import ReasonCode
from tests.builders.decisions import ManualClock
from tests.builders.fake_pod import FakePod

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES, OWN = ROOT / "examples" / "policies", ROOT / "examples" / "own-policy"
PAGE = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
SECTIONS = {title.strip("`"): text for title, text in re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)}
POLICIES = sorted(BUILT_IN_POLICIES)


def read_blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.M | re.S)


def read_example(policy: str) -> Any:
    return yaml.safe_load((EXAMPLES / f"{policy}.yaml").read_text(encoding="utf-8"))


def find_options(path: Path, policy: str) -> set[str]:
    """Return the names of the options of `policy`, as it tells them when it meets one that it does not know."""
    example = read_example(policy)
    example["models"][0].setdefault("policy_options", {})["zzzzzz"] = 1
    path.write_text(yaml.safe_dump(example), encoding="utf-8")
    with pytest.raises(ConfigurationError) as refusal:
        load_configuration(path)
    known = re.search(r"zzzzzz is not known(; known are ([a-z_, ]+))?", str(refusal.value))
    assert known is not None, str(refusal.value)
    return set((known[2] or "").strip().split(", ")) - {""}


def test_every_policy_has_a_section_a_line_in_the_table_and_an_example() -> None:
    assert {title for title in SECTIONS if title in BUILT_IN_POLICIES} == set(POLICIES)
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == set(POLICIES)
    for policy in POLICIES:
        assert f"| [`{policy}`](#{policy}) |" in PAGE
        assert f"[examples/policies/{policy}.yaml](../examples/policies/{policy}.yaml)" in SECTIONS[policy]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_example_on_the_page_is_part_of_the_file(policy: str) -> None:
    (block,) = read_blocks(SECTIONS[policy], "yaml policy")
    (model,) = read_example(policy)["models"]
    assert yaml.safe_load(block) == {key: model[key] for key in ("policy", "policy_options") if key in model}


@pytest.mark.parametrize("policy", POLICIES)
def test_every_option_is_told(policy: str, tmp_path: Path) -> None:
    told = set(re.findall(r"`([a-z_]+)", SECTIONS[policy]))
    assert find_options(tmp_path / "config.yaml", policy) <= told


@pytest.mark.parametrize("policy", POLICIES)
async def test_the_example_runs(policy: str, tmp_path: Path, fake_pod: FakePod) -> None:
    path = tmp_path / "config.yaml"
    text = (EXAMPLES / f"{policy}.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("http://127.0.0.1:8000", fake_pod.url).replace("llama-8b", "tiny-llama"), "utf-8")
    (decision,) = await run_dry_pass(path, ManualClock(), lambda _text: fake_pod.grow(30))
    assert decision.demand_per_s.is_known
    assert decision.reason.code is not ReasonCode.POLICY_FAILED
    assert sum(variant.planned_replicas for variant in decision.variants) >= 1


def test_the_package_on_the_page_is_the_example() -> None:
    section = re.split(r"^## Write your own$", PAGE, flags=re.M)[1]
    (code,), (metadata,) = read_blocks(section, "python"), read_blocks(section, "toml")
    assert code in (OWN / "own_policy.py").read_text(encoding="utf-8")
    project = tomllib.loads((OWN / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert tomllib.loads(metadata)["project"]["entry-points"] == project["entry-points"]
