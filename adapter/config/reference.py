"""The configuration reference in Markdown, made from the dataclasses, so that it cannot lag behind them. Pure."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

from adapter.config.decode import ROOT
from adapter.config.fields import Option, iterate_options
from adapter.config.kinds import Kind
from adapter.config.nesting import ListOf, MapOf
from adapter.config.section import Section

_HEAD = """# Configuration reference

<!-- Made by `variant-autoscaler check-config --reference`; edit the dataclasses in adapter/config/schema instead. -->

One YAML file. `variant-autoscaler check-config config.yaml` tells everything that is wrong with it at once, with path,
value, bound and the nearest known name; `variant-autoscaler check-config --schema` prints a JSON schema for editors.
While `run` runs, a changed file is picked up; a bad change is refused and reported, and the last good one stays in
force.

A smallest file is [examples/minimal.yaml](../examples/minimal.yaml), a larger one
[examples/two-models.yaml](../examples/two-models.yaml), one for a cluster
[examples/kubernetes.yaml](../examples/kubernetes.yaml).

**Values.** Durations carry their unit: `250ms`, `30s`, `5m`, `1h30m` (also `us`, `ns`, `d`). Sizes are bytes, `16Mi` or
`80Gi`. Moments carry their zone: `2027-01-31T18:00:00Z`. Ratios are plain numbers, `0.9` rather than `90%`. A key whose
name ends in a unit (`cost_per_hour`, `input_tokens`) takes a plain number. A key without a value means its default.
Unknown and repeated keys are refused. Why a default is what it is stands in *italics*.
"""


def render_reference() -> str:
    """Return the whole page: a heading and a table per section, in the order of the file."""
    parts = [_HEAD]
    for path, section in _iterate_sections("", ROOT):
        parts.append(
            f"## {'Top level' if not path else f'`{path}`'}\n\n{inspect.cleandoc(section.record.__doc__ or '')}\n"
        )
        parts.append(_render_table(path, section))
    return "\n".join(parts)


def _iterate_sections(path: str, section: Section[Any]) -> Iterator[tuple[str, Section[Any]]]:
    """Yield every section, outer before inner, with its path as the file would have it."""
    yield path, section
    for option in iterate_options(section.record):
        inner, below = _find_section(option.kind, f"{path}.{option.key}" if path else option.key)
        if inner is not None:
            yield from _iterate_sections(below, inner)


def _find_section(kind: Kind[Any], path: str) -> tuple[Section[Any] | None, str]:
    if isinstance(kind, Section):
        return kind, path
    if isinstance(kind, ListOf):
        return _find_section(kind.item, f"{path}[]")
    if isinstance(kind, MapOf):
        return _find_section(kind.item, f"{path}.NAME")
    return None, path


def _render_table(path: str, section: Section[Any]) -> str:
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for option in iterate_options(section.record):
        inner, below = _find_section(option.kind, f"{path}.{option.key}" if path else option.key)
        shown = _escape(option.kind.describe()) if inner is None else f"[{below}](#{_to_anchor(below)})"
        meaning = _escape(option.meaning + (f" *{option.why}*" if option.why else ""))
        lines.append(f"| `{option.key}` | {shown} | {_render_default(option, inner)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _render_default(option: Option, inner: Section[Any] | None) -> str:
    if option.is_required:
        return "**required**"
    if option.default is None or option.default in ((), {}, ""):
        return "none"
    if inner is not None:
        return "see there"
    shown = option.kind.render(option.default)
    return f"`{shown if isinstance(shown, str) else json.dumps(shown)}`"


def _to_anchor(path: str) -> str:
    """Return the anchor that renderers of Markdown make of a heading: lower case, punctuation dropped."""
    return "".join(sign for sign in path.lower() if sign.isalnum() or sign in "_-")


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
