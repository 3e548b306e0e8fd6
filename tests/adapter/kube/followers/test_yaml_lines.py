"""The YAML that is shown means what was meant: a YAML reader gives the same data back."""

from __future__ import annotations

import random
from typing import Any

import pytest
import yaml

from adapter.kube.followers.yaml_lines import nest, render_patch, render_yaml

WORDS = [
    "",
    "a",
    "llama-70b",
    "0s",
    "1",
    "1.5",
    "0x1",
    "1e3",
    "true",
    "no",
    "Null",
    "~",
    "y",
    "2026-11-21",
    "a: b",
    "- a",
]
WORDS += ["#", "x" * 70, "ü", "a\nb", "@", '"', "'", "{}", "[", "&a", "!b", " a ", "?", "%", "keda.sh/paused", "🙂"]


def draw(rng: random.Random, depth: int) -> Any:
    kind = rng.choice(["leaf", "leaf", "map", "list"]) if depth else "leaf"
    if kind == "map":
        return {rng.choice(WORDS): draw(rng, depth - 1) for _ in range(rng.randrange(4))}
    if kind == "list":
        return [draw(rng, depth - 1) for _ in range(rng.randrange(4))]
    return rng.choice([*WORDS, 0, 1, -7, 2.5, True, False, None])


@pytest.mark.parametrize("seed", range(300))
def test_any_tree_is_read_back_as_it_was(seed: int) -> None:
    tree = draw(random.Random(seed), 4)
    assert yaml.safe_load(render_yaml(tree)) == tree


def test_the_lines_look_as_a_person_writes_them() -> None:
    policies: list[Any] = [{"type": "Pods", "value": 32, "periodSeconds": 15}]
    patch = nest(("spec", "behavior", "scaleUp"), {"tolerance": 0, "policies": policies})
    assert render_patch("HorizontalPodAutoscaler", "prod", "llama", patch, "a note") == (
        "# HorizontalPodAutoscaler prod/llama\n"
        "# a note\n"
        "spec:\n"
        "  behavior:\n"
        "    scaleUp:\n"
        "      tolerance: 0\n"
        "      policies:\n"
        "      - type: Pods\n"
        "        value: 32\n"
        "        periodSeconds: 15\n"
    )
