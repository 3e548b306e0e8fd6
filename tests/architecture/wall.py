"""Judges sources by the law: each function here tells what is forbidden in one source, with line and reason."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from tests.architecture.law import (
    CATCH_ALL_PLACES,
    DOORS,
    IMPURE_BUILTINS,
    LONGEST_FILE_LINES,
    POWERS_NEEDED,
    PURE_STDLIB,
    ROOMS,
    SEEDED,
    VAGUE_NAMES,
    Room,
)
from tests.architecture.sources import Reference, Source, find_references, is_module

HOUSES = ("optimizer", "adapter")
_ROOM_BY_NAME = {room.name: room for room in ROOMS}
_FACE_FUNCTIONS = frozenset({"optimizer.decide", "optimizer.simulation.cluster.simulate"})
"""Functions that a face shows, each with the name of its module."""
_CATCH_ALL = frozenset({"Exception", "BaseException"})


@dataclass(frozen=True, order=True)
class Violation:
    """One thing that is forbidden, where it stands."""

    module: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.text}"


def find_violations(source: Source) -> list[Violation]:
    """Return everything in a module of ours that the law forbids, in order of place."""
    room = find_room(source.module)
    if room is None:
        return [Violation(source.module, 1, "stands in no room of the law")]
    found = {
        *_check_rooms(source, room),
        *_check_powers(source, room),
        *_check_loop_time(source, room),
        *_check_handlers(source),
        *(_check_purity(source) if room.pure else ()),
        *find_bad_manners(source),
    }
    return sorted(found)


def find_bad_manners(source: Source) -> list[Violation]:
    """Return what no Python file of this project may be, tests included."""
    return sorted({*_check_name(source), *_check_length(source), *_check_relative_imports(source)})


def find_room(module: str) -> Room | None:
    """Return the room that `module` belongs to, None when the law knows none."""
    exact = _ROOM_BY_NAME.get(module)
    if exact is not None:
        return exact
    parts = module.split(".")
    for length in range(len(parts) - 1, 0, -1):
        room = _ROOM_BY_NAME.get(".".join(parts[:length]))
        if room is not None:
            return None if room.is_exact else room
    return None


# --- Rooms and doors --------------------------------------------------------------------------------------------------
def _check_rooms(source: Source, room: Room) -> Iterator[Violation]:
    house = source.module.partition(".")[0]
    for reference in find_references(source):
        if reference.name.partition(".")[0] not in HOUSES:
            continue
        target = _to_target(reference)
        target_room = find_room(target)
        if target_room is None:
            yield Violation(source.module, reference.line, f"touches {target}, which stands in no room of the law")
        elif target_room is not room and target_room.name not in room.may_import:
            yield Violation(source.module, reference.line, f"{room.name} may not import {target_room.name}")
        elif house == "adapter" and target.startswith("optimizer") and target not in DOORS:
            yield Violation(source.module, reference.line, f"{target} lies behind the doors {sorted(DOORS)}")


def _to_target(reference: Reference) -> str:
    """Return the module of ours that a reference reaches: the longest part of its name that is one."""
    if reference.name in _FACE_FUNCTIONS and reference.module != reference.name:
        return reference.name.rpartition(".")[0]
    parts = reference.name.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if is_module(name) or name in _ROOM_BY_NAME or name == reference.module:
            return name
    return parts[0]


# --- Powers over the outside world ------------------------------------------------------------------------------------
def _check_powers(source: Source, room: Room) -> Iterator[Violation]:
    for reference in find_references(source):
        top = reference.name.partition(".")[0]
        if top in HOUSES:
            continue
        refusal = _refuse_power(reference, room)
        if refusal is None and room.pure and not _is_pure(top):
            refusal = f"pure code may not use {top}"
        if refusal is None and not _is_known(top):
            refusal = f"{top} is in no table of the law: say there which rooms may touch it"
        if refusal is not None:
            yield Violation(source.module, reference.line, refusal)


def _refuse_power(reference: Reference, room: Room) -> str | None:
    seeded = _find_powers(reference.name, SEEDED)
    if seeded and (reference.is_import or reference.arguments):
        return None if seeded & room.powers else f"{room.name} may not make {reference.name}: let one be handed in"
    needed = _find_powers(reference.name, POWERS_NEEDED)
    if not needed or needed & room.powers:
        return None
    return f"{room.name} may not touch {reference.name} (needs {' or '.join(sorted(needed))})"


def _find_powers(name: str, table: dict[str, frozenset[str]]) -> frozenset[str]:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        powers = table.get(".".join(parts[:length]))
        if powers is not None:
            return powers
    return frozenset()


def _is_pure(top: str) -> bool:
    return top in PURE_STDLIB or (top in POWERS_NEEDED and top not in sys.stdlib_module_names)


def _is_known(top: str) -> bool:
    return top in sys.stdlib_module_names or top in POWERS_NEEDED


def _check_loop_time(source: Source, room: Room) -> Iterator[Violation]:
    if "time" in room.powers:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and _is_method(node.func, "time") and not node.args and not node.keywords:
            yield Violation(source.module, node.lineno, "reads the time of the event loop: ask adapter.clock")


def _is_method(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == name


# --- Purity and failures ----------------------------------------------------------------------------------------------
def _check_purity(source: Source) -> Iterator[Violation]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield Violation(source.module, node.lineno, "pure code has no coroutines")
        elif isinstance(node, ast.Global):
            yield Violation(source.module, node.lineno, "pure code keeps nothing between calls")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_BUILTINS:
            yield Violation(source.module, node.lineno, f"pure code may not call {node.func.id}()")


def _check_handlers(source: Source) -> Iterator[Violation]:
    lines = sorted(_find_catch_alls(source.tree))
    allowed = 1 if source.module in CATCH_ALL_PLACES else 0
    for line in lines[allowed:]:
        yield Violation(source.module, line, "catches everything; only the controller's outermost loop may")


def _find_catch_alls(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and (node.type is None or _CATCH_ALL & _read_names(node.type)):
            yield node.lineno
        elif isinstance(node, ast.Call) and "suppress" in _read_names(node.func):
            yield from (node.lineno for argument in node.args if _CATCH_ALL & _read_names(argument))


def _read_names(node: ast.expr) -> frozenset[str]:
    """Return the last words of the names in an expression: of ``(a.B, C)`` B and C."""
    if isinstance(node, ast.Tuple):
        return frozenset().union(*(_read_names(element) for element in node.elts))
    if isinstance(node, ast.Attribute):
        return frozenset({node.attr})
    return frozenset({node.id}) if isinstance(node, ast.Name) else frozenset()


# --- Manners ----------------------------------------------------------------------------------------------------------
def _check_name(source: Source) -> Iterator[Violation]:
    for word in source.module.split("."):
        if word.strip("_") in VAGUE_NAMES:
            yield Violation(source.module, 1, f"{word} says nothing about what is inside")


def _check_length(source: Source) -> Iterator[Violation]:
    lines = source.text.count("\n")
    if lines > LONGEST_FILE_LINES:
        yield Violation(
            source.module, lines, f"has {lines} lines, more than {LONGEST_FILE_LINES}: it holds too many things"
        )


def _check_relative_imports(source: Source) -> Iterator[Violation]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            yield Violation(source.module, node.lineno, "imports are absolute")


def find_face_faults(source: Source) -> list[Violation]:
    """Return what is wrong with the face of a package: `__all__` must be literal, sorted, and list all it imports."""
    listed = _read_all(source.tree)
    if listed is None:
        return [Violation(source.module, 1, "has no literal __all__")]
    imported = {
        name.asname or name.name for node in source.tree.body if isinstance(node, ast.ImportFrom) for name in node.names
    }
    faults = []
    if listed != sorted(listed, key=_rank):
        faults.append(Violation(source.module, 1, "__all__ is not sorted (constants, classes, functions)"))
    if len(set(listed)) != len(listed):
        faults.append(Violation(source.module, 1, "__all__ names something twice"))
    for name in sorted((imported - {"annotations"}) ^ set(listed)):
        faults.append(
            Violation(source.module, 1, f"{name} is either imported and not in __all__, or the other way round")
        )
    return faults


def _read_all(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            value = ast.literal_eval(node.value)
            return list(value)
    return None


def _rank(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)
