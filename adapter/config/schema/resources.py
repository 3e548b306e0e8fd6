"""Sections about what replicas are made of: accelerator types, and limits on them. Data and their rules only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapter.config.amounts import number, size
from adapter.config.fields import option, required, rule
from adapter.config.kinds import Choice, Text
from adapter.config.nesting import ListOf, OrUnknown
from adapter.config.problems import Problem
from adapter.config.schema.names import KUBERNETES_NAME, NAME
from optimizer.domain import LimitKind


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorConfig:
    """One accelerator type."""

    cost_per_hour: float = required(
        number(at_least=0), meaning="Price of one device per hour, in the currency of all other prices."
    )
    watts: float | None = option(
        number(above=0), default=None, meaning="Draw of one device under load; needed where a limit counts watts."
    )
    memory_bytes: float | None = option(size(at_least=1), default=None, meaning="Memory of one device, such as 80Gi.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitConfig:
    """A bound that all plans together keep: what each replica uses of it is derived from its variant."""

    name: str = required(NAME, meaning="Unique name, which reasons use.")
    kind: LimitKind = option(
        Choice(LimitKind),
        default=LimitKind.ACCELERATORS,
        meaning="What is counted: devices that exist (`accelerators`), devices that are granted (`quota`), draw of "
        "devices (`watts`), or price per hour (`money`).",
    )
    accelerators: tuple[str, ...] = option(
        ListOf(Text("name of an accelerator")),
        default=(),
        meaning="Accelerator types that count; none means all.",
    )
    amount: float | None = required(
        OrUnknown(number(at_least=0)),
        meaning="The bound: devices, watts, or money per hour. `unknown` never binds a plan and is reported.",
    )
    namespaces: tuple[str, ...] = option(
        ListOf(KUBERNETES_NAME), default=(), meaning="Namespaces whose replicas count; none means the whole cluster."
    )
    source: str = option(Text(), default="configuration", meaning="Who says so; shown beside the limit.")

    @rule("accelerators", "namespaces")
    def check_repetition(self) -> Iterator[Problem]:
        """Yield a problem for every name given twice."""
        for key, names in (("accelerators", self.accelerators), ("namespaces", self.namespaces)):
            for i, name in enumerate(names):
                if name in names[:i]:
                    yield Problem(f"{key}[{i}]", f"repeats {name}")
