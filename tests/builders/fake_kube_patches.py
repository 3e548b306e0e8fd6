"""The four patches of the Kubernetes API on plain objects, as far as our tests need them; selectors, too."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]

_MERGE_KEYS = {"conditions": "type", "containers": "name", "initContainers": "name", "env": "name", "volumes": "name"}


class PatchRefused(Exception):
    """The patch cannot be applied; the text says why."""


def merge(target: object, patch: object, *, is_strategic: bool = False, field: str = "") -> Any:
    """Return `target` after a merge patch (RFC 7386), or a strategic one, which also joins some lists by key."""
    if is_strategic and isinstance(target, list) and isinstance(patch, list) and field in _MERGE_KEYS:
        key = _MERGE_KEYS[field]
        joined = {entry[key]: entry for entry in target}
        for entry in patch:
            joined[entry[key]] = merge(joined.get(entry[key], {}), entry, is_strategic=True)
        return list(joined.values())
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = copy.deepcopy(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value, is_strategic=is_strategic, field=name)
    return result


def apply_json_patch(target: Json, operations: list[Json]) -> Json:
    """Return `target` after a JSON patch (RFC 6902): add, replace, remove, test."""
    result = copy.deepcopy(target)
    for operation in operations:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        try:
            _apply_operation(result, parts, operation)
        except (KeyError, IndexError, TypeError, ValueError) as cause:
            raise PatchRefused(f"{operation['op']} {operation['path']}: {cause!r}") from cause
    return result


def _apply_operation(target: Any, parts: list[str], operation: Json) -> None:
    for part in parts[:-1]:
        target = target[int(part)] if isinstance(target, list) else target[part]
    last = parts[-1]
    if isinstance(target, list):
        if operation["op"] == "add":
            target.insert(len(target) if last == "-" else int(last), operation["value"])
            return
        index: Any = int(last)
    else:
        index = last
    if operation["op"] == "add":
        target[index] = operation["value"]
        return
    present = target[index]
    if operation["op"] == "replace":
        target[index] = operation["value"]
    elif operation["op"] == "remove":
        del target[index]
    elif operation["op"] == "test" and present != operation["value"]:
        raise ValueError(f"is {present!r}")


def list_leaves(tree: Json, at: Path = ()) -> dict[Path, Any]:
    """Return every leaf of `tree` by its path; a list is one leaf."""
    leaves: dict[Path, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            leaves |= list_leaves(value, (*at, name))
        else:
            leaves[*at, name] = value
    return leaves


def read_leaf(tree: Any, path: Path) -> Any:
    """Return what stands at `path`, None where nothing does."""
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree


def remove_leaf(tree: Json, path: Path) -> None:
    """Take the leaf at `path` out, and what becomes empty by that."""
    if len(path) > 1 and isinstance(tree.get(path[0]), dict):
        remove_leaf(tree[path[0]], path[1:])
        if not tree[path[0]]:
            del tree[path[0]]
    elif len(path) == 1:
        tree.pop(path[0], None)


def is_selected(labels: Mapping[str, str], selector: str) -> bool:
    """Return whether `labels` match a label selector: equality and set terms, joined by commas."""
    return all(_matches(labels, term.strip()) for term in re.split(r",(?![^(]*\))", selector) if term.strip())


def _matches(labels: Mapping[str, str], term: str) -> bool:
    if found := re.fullmatch(r"(\S+)\s+(in|notin)\s+\(([^)]*)\)", term):
        values = {value.strip() for value in found[3].split(",")}
        return (labels.get(found[1]) in values) == (found[2] == "in")
    if found := re.fullmatch(r"([^=!]+)(==|=|!=)(.*)", term):
        return (labels.get(found[1].strip()) == found[3].strip()) == (found[2] != "!=")
    return term[1:].strip() not in labels if term.startswith("!") else term in labels


def is_field_selected(item: Json, selector: str) -> bool:
    """Return whether `item` matches a field selector: equality terms on any path."""
    for term in filter(None, selector.split(",")):
        path, sign, value = re.split(r"(!=|==|=)", term, maxsplit=1)
        if (str(read_leaf(item, tuple(path.split("."))) or "") == value) == (sign == "!="):
            return False
    return True
