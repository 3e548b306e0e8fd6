"""Which workload a metric name and a label selector of an autoscaler select, as the external metrics API has it. Pure.

A workload is known by the labels that its series carries. What a follower's own object does not tell of them (the
variant, the accelerator) is unknown unless somebody says it: a requirement on it *may* be met.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from adapter.kube.followers.obstacles import Fault, ObstacleCode
from adapter.kube.json_fields import get_field, get_object, get_objects, get_text
from optimizer.domain import WorkloadRef

K = TypeVar("K", bound=Hashable)

SERIES_LABELS = frozenset("namespace deployment kind model_name variant role accelerator".split())
"""The labels that the external metrics API selects by."""

_LABEL_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label: its value is among `values`, or is not; None for values asks for existence only."""

    key: str
    values: frozenset[str] | None
    is_negated: bool = False

    def is_met_by(self, labels: Mapping[str, str]) -> bool | None:
        """Return whether `labels` meet it; None when its key may have any value."""
        if self.key not in labels:
            return None if self.key in SERIES_LABELS else self.is_negated
        return self.is_negated != (self.values is None or labels[self.key] in self.values)


@dataclass(frozen=True, slots=True)
class Selection:
    """What one metric asks for: the namespace and all requirements."""

    namespace: str
    requirements: tuple[Requirement, ...]

    def get_names(self) -> frozenset[str] | None:
        """Return the names that a workload it selects can have, None when it may have any."""
        for requirement in self.requirements:
            if requirement.key == "deployment" and requirement.values is not None and not requirement.is_negated:
                return requirement.values
        return None

    def is_met_by(self, workload: WorkloadRef, labels: Mapping[str, str]) -> bool | None:
        """Return whether the series of `workload` is selected; None when that depends on labels not known."""
        if workload.namespace != self.namespace:
            return False
        found = [requirement.is_met_by(labels) for requirement in self.requirements]
        if False in found:
            return False
        return None if None in found else True


@dataclass(frozen=True)
class KnownWorkloads:
    """The workloads that have a series, or may have one, with what is known of its labels."""

    labels: Mapping[WorkloadRef, Mapping[str, str]] = field(default_factory=dict)

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str], tuple[WorkloadRef, ...]]:
        return _group(self.labels, lambda workload: (workload.namespace, workload.name))

    @cached_property
    def _by_namespace(self) -> Mapping[str, tuple[WorkloadRef, ...]]:
        return _group(self.labels, lambda workload: workload.namespace)

    def get_labels(self, workload: WorkloadRef) -> dict[str, str]:
        """Return the labels of the series of `workload` that are known; an empty one tells nothing."""
        told = {key: value for key, value in self.labels.get(workload, {}).items() if value}
        return {**told, "namespace": workload.namespace, "deployment": workload.name, "kind": workload.kind}

    def get_namesakes(self, workload: WorkloadRef) -> tuple[WorkloadRef, ...]:
        """Return the other workloads of the same name in the same namespace."""
        found = self._by_name.get((workload.namespace, workload.name), ())
        return tuple(other for other in found if other != workload)

    def find_selected(self, selection: Selection) -> tuple[WorkloadRef, ...]:
        """Return the workloads that `selection` selects for certain."""
        names = selection.get_names()
        if names is None:
            candidates = self._by_namespace.get(selection.namespace, ())
        else:
            found = (self._by_name.get((selection.namespace, name), ()) for name in sorted(names))
            candidates = tuple(workload for group in found for workload in group)
        return tuple(workload for workload in candidates if selection.is_met_by(workload, self.get_labels(workload)))

    def including(self, workloads: Iterable[WorkloadRef]) -> KnownWorkloads:
        """Return these and `workloads`."""
        return KnownWorkloads({**{workload: {} for workload in workloads}, **self.labels})

    def resolve(self, namespace: str, reference: Mapping[str, Any]) -> WorkloadRef | None:
        """Return the workload that a ``scaleTargetRef`` names, None when it names none.

        The version in it need not be the one the object is known under; group, kind and name decide.
        """
        name, kind = get_text(reference, "name"), get_text(reference, "kind") or "Deployment"
        if not name:
            return None
        named = WorkloadRef(namespace, name, kind, get_text(reference, "apiVersion") or "apps/v1")
        if named in self.labels:
            return named
        return next((other for other in self.get_namesakes(named) if _are_one_object(other, named)), named)


def _are_one_object(one: WorkloadRef, other: WorkloadRef) -> bool:
    """Return whether two references differ by the version of the API at most."""
    groups = (one.api_version.rpartition("/")[0], other.api_version.rpartition("/")[0])
    return (one.namespace, one.name, one.kind) == (other.namespace, other.name, other.kind) and groups[0] == groups[1]


def read_selection(namespace: str, metric_name: str, selector: object, metric: str) -> Selection:
    """Return what the metric `metric_name` with a LabelSelector object asks for.

    A name of the form ``metric.workload`` says the workload itself, in whatever case.
    """
    requirements = [Requirement(key, frozenset({value})) for key, value in get_object(selector, "matchLabels").items()]
    for expression in get_objects(selector, "matchExpressions"):
        operator, given = get_text(expression, "operator"), get_field(expression, "values")
        values = frozenset(map(str, given)) if isinstance(given, list) else frozenset()
        asks_existence = operator in ("Exists", "DoesNotExist")
        negated = operator in ("NotIn", "DoesNotExist")
        requirements.append(Requirement(get_text(expression, "key"), None if asks_existence else values, negated))
    workload_name = metric_name.removeprefix(metric).removeprefix(".")
    if workload_name:
        requirements.append(Requirement("deployment", frozenset({workload_name.lower()})))
    return Selection(namespace, tuple(requirements))


def find_selection_faults(selection: Selection, workload: WorkloadRef, known: KnownWorkloads) -> Iterator[Fault]:
    """Yield what is wrong with `selection` for `workload`: nothing when it selects this one series, as far as known."""
    own = selection.is_met_by(workload, known.get_labels(workload))
    selected = [other for other in known.find_selected(selection) if other != workload]
    names = ", ".join(sorted(f"{other.kind} {other.name}" for other in selected))
    if own is False:
        instead = f"selects {names} instead of" if names else "does not select the series of"
        message = f"the metric {instead} {workload.kind} {workload.name}"
        yield ObstacleCode.SELECTS_ANOTHER, message
    elif selected:
        message = f"the metric selects {names} besides {workload.kind} {workload.name}; only one may match"
        yield ObstacleCode.SELECTS_SEVERAL, message


def _group(workloads: Iterable[WorkloadRef], get_key: Callable[[WorkloadRef], K]) -> dict[K, tuple[WorkloadRef, ...]]:
    groups: dict[K, list[WorkloadRef]] = defaultdict(list)
    for workload in workloads:
        groups[get_key(workload)].append(workload)
    return {key: tuple(group) for key, group in groups.items()}


def can_be_selected_by_name(workload: WorkloadRef) -> bool:
    """Return whether the name of `workload` fits into a label selector, which takes at most 63 characters."""
    return _LABEL_VALUE.fullmatch(workload.name) is not None
