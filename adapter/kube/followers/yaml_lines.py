"""Plain data to the lines of YAML that a person can paste or apply. Text only; it reads no YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

Tree: TypeAlias = "Mapping[str, Tree] | list[Tree] | str | int | float | bool | None"

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_WORDS_WITH_MEANING = frozenset("true false yes no on off null y n".split())


def render_yaml(tree: Tree) -> str:
    """Return `tree` in block style, one line a leaf; texts are quoted where they could be read as something else."""
    return "\n".join(_render(tree)) + "\n"


def render_patch(kind: str, namespace: str, name: str, patch: Tree, note: str = "") -> str:
    """Return the lines to change in one object, below a comment that names it; a list stands for the whole list."""
    comments = [f"# {kind} {namespace}/{name}", *(f"# {line}" for line in note.splitlines())]
    return "\n".join(comments) + "\n" + render_yaml(patch)


def nest(path: tuple[str, ...], tree: Tree) -> Tree:
    """Return `tree` below the keys of `path`."""
    for key in reversed(path):
        tree = {key: tree}
    return tree


def _render(tree: Tree, indent: str = "") -> Iterator[str]:
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from _render_entry(f"{indent}{_render_leaf(key)}:", value, indent + "  ", list_indent=indent)
    elif isinstance(tree, list) and tree:
        for value in tree:
            lines = list(_render(value, indent + "  "))
            yield f"{indent}- {lines[0].lstrip()}"
            yield from lines[1:]
    else:
        yield indent + _render_leaf(tree)


def _render_entry(key: str, value: Tree, indent: str, *, list_indent: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield key
        yield from _render(value, indent)
    elif isinstance(value, list) and value:
        yield key
        yield from _render(value, list_indent)
    else:
        yield f"{key} {_render_leaf(value)}"


def _render_leaf(value: Tree) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS_WITH_MEANING:
        return value
    return json.dumps(
        value, ensure_ascii=False
    )  # numbers, null, empty collections and quoted texts are the same in YAML
