"""YAML text to plain data: None, text, lists and mappings, with the line of everything and repeated keys found.

The only module that imports yaml. Scalars stay text, so that no guess of the YAML 1.1 rules (``no`` as false, ``1:30``
as 90, ``0.10`` as 0.1) stands between the file and the field that knows what it wants. Reads no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from adapter.config.problems import Problem, join_index, join_key

_MAX_VALUES = 100_000  # aliases let a short file unfold without end


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML text holds.

    Attributes
    ----------
    data
        None, text, list or mapping, nested.
    lines
        Line of each path, counted from 1; a path that is not there has no line.
    problems
        What is wrong with the text itself; `data` then holds what could be read.
    """

    data: object
    lines: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def parse_yaml(text: str) -> Document:
    """Return what the YAML `text` holds; JSON is YAML too. Never raises."""
    reader = _Reader()
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            data = None if node is None else reader.read(loader, node, "")
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as cause:
        return Document(None, problems=(_explain_syntax(cause),))
    except (yaml.YAMLError, RecursionError, UnicodeError) as cause:
        return Document(None, problems=(Problem("", f"is not readable YAML: {cause}"),))
    return Document(data, reader.lines, tuple(reader.problems))


def _explain_syntax(cause: yaml.MarkedYAMLError) -> Problem:
    mark = cause.problem_mark or cause.context_mark
    said = ", ".join(part for part in (cause.context, cause.problem) if part)
    return Problem("", f"is not readable YAML: {said}", None if mark is None else mark.line + 1)


class _Reader:
    """Walks the node tree once; `_open` holds the nodes on the way down, against aliases that contain themselves."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []
        self._open: set[int] = set()
        self._values = 0

    def read(self, loader: yaml.SafeLoader, node: yaml.Node, path: str) -> object:
        """Return the data below `node`, which stands at `path`."""
        self.lines[path] = node.start_mark.line + 1
        self._values += 1
        if self._values > _MAX_VALUES:
            raise yaml.YAMLError(f"more than {_MAX_VALUES} values, aliases unfolded")
        if id(node) in self._open:
            raise yaml.YAMLError(f"the alias at {path or 'the top'} contains itself")
        self._open.add(id(node))
        try:
            return self._read_node(loader, node, path)
        finally:
            self._open.discard(id(node))

    def _read_node(self, loader: yaml.SafeLoader, node: yaml.Node, path: str) -> object:
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.startswith("tag:yaml.org,2002:python"):
            self._report(path, f"has the tag {node.tag}; tags are not used here", node)
            return None
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(loader, node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(loader, item, join_index(path, i)) for i, item in enumerate(node.value)]
        return None if node.tag == "tag:yaml.org,2002:null" else str(node.value)

    def _read_mapping(self, loader: yaml.SafeLoader, node: yaml.MappingNode, path: str) -> dict[str, object]:
        self._find_repeated_keys(node, path)
        loader.flatten_mapping(node)  # merge keys (<<) come first, so that what stands beside them wins
        data: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._report(path, "has a key that is not plain text", key)
                continue
            child = join_key(path, str(key.value))
            data[str(key.value)] = self.read(loader, value, child)
            self.lines[child] = key.start_mark.line + 1
        return data

    def _find_repeated_keys(self, node: yaml.MappingNode, path: str) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    self._report(join_key(path, str(key.value)), "is given twice", key)
                seen.add(key.value)

    def _report(self, path: str, message: str, node: yaml.Node) -> None:
        self.problems.append(Problem(path, message, node.start_mark.line + 1))
