"""Reads a Python source into what the law asks about: which names of which modules it touches. Judges nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Source:
    """One module: its dotted name, its text and its tree."""

    module: str
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, module: str, text: str) -> Source:
        """Return the source of `module` that reads `text`."""
        return cls(module, text, ast.parse(text, filename=module))


@dataclass(frozen=True)
class Reference:
    """A dotted name that a source touches.

    Attributes
    ----------
    name
        In full, such as ``numpy.random.rand``, with aliases resolved.
    line
        Where.
    is_import
        Whether it stands in an import statement; otherwise it is an attribute of something imported.
    module
        The module an import statement names (``a.b`` in ``from a.b import c``); empty for attributes.
    arguments
        How many arguments other than None it is called with; None where it is not called.
    """

    name: str
    line: int
    is_import: bool
    module: str = ""
    arguments: int | None = None


def read_tree(*packages: str) -> tuple[Source, ...]:
    """Return every module of `packages` in the checkout."""
    return tuple(
        Source.of(to_module(path), path.read_text(encoding="utf-8"))
        for package in packages
        for path in sorted((ROOT / package).rglob("*.py"))
    )


def to_module(path: Path) -> str:
    """Return the dotted name of the module in the file `path`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def is_module(name: str) -> bool:
    """Return whether the checkout has a module or package of this dotted name."""
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def find_references(source: Source) -> Iterator[Reference]:
    """Yield every import, and every attribute taken of something imported, once per place."""
    aliases: dict[str, str] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from _read_import(node, aliases)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from _read_import_from(node, aliases)
    yield from _find_attributes(source.tree, aliases)


def _read_import(node: ast.Import, aliases: dict[str, str]) -> Iterator[Reference]:
    for name in node.names:
        top = name.name.partition(".")[0]
        aliases[name.asname or top] = name.name if name.asname else top
        yield Reference(name.name, node.lineno, is_import=True, module=name.name)


def _read_import_from(node: ast.ImportFrom, aliases: dict[str, str]) -> Iterator[Reference]:
    module = node.module or ""
    for name in node.names:
        aliases[name.asname or name.name] = f"{module}.{name.name}"
        yield Reference(f"{module}.{name.name}", node.lineno, is_import=True, module=module)


def _find_attributes(tree: ast.Module, aliases: dict[str, str]) -> Iterator[Reference]:
    calls = {id(node.func): _count_arguments(node) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and id(node) not in inner:
            dotted = _to_dotted(node)
            top, _, rest = dotted.partition(".")
            if top in aliases and isinstance(node.ctx, ast.Load):
                name = f"{aliases[top]}.{rest}" if rest else aliases[top]
                yield Reference(name, node.lineno, is_import=False, arguments=calls.get(id(node)))


def _count_arguments(call: ast.Call) -> int:
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    return sum(not (isinstance(value, ast.Constant) and value.value is None) for value in values)


def _to_dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = _to_dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""
