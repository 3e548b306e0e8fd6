"""Which workload a metric name and a label selector of an autoscaler select, as the external metrics API has it. Pure.

A workload is known by the labels that its series carries. What a follower's own object does not tell of them (the
variant, the accelerator) is unknown unless somebody says it: a requirement on it *may* be met.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapter.cluster import Obstacle
from adapter.kube.followers.json_fields import get_field, get_object, get_objects, get_text
from adapter.kube.followers.obstacles import ObstacleCode
from optimizer.domain import WorkloadRef

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

    def is_met_by(self, workload: WorkloadRef, labels: Mapping[str, str]) -> bool | None:
        """Return whether the series of `workload` is selected; None when that depends on labels not known."""
        if workload.namespace != self.namespace:
            return False
        found = [requirement.is_met_by(labels) for requirement in self.requirements]
        if False in found:
            return False
        return None if None in found else True


@dataclass(frozen=True, slots=True)
class KnownWorkloads:
    """The workloads that have a series, or may have one, with what is known of its labels."""

    labels: Mapping[WorkloadRef, Mapping[str, str]] = field(default_factory=dict)

    def get_labels(self, workload: WorkloadRef) -> dict[str, str]:
        """Return the labels of the series of `workload` that are known."""
        told = self.labels.get(workload, {})
        return {**told, "namespace": workload.namespace, "deployment": workload.name, "kind": workload.kind}

    def including(self, workloads: Iterable[WorkloadRef]) -> KnownWorkloads:
        """Return these and `workloads`."""
        return KnownWorkloads({**{workload: {} for workload in workloads}, **self.labels})

    def resolve(self, namespace: str, reference: Mapping[str, Any]) -> WorkloadRef | None:
        """Return the workload that a ``scaleTargetRef`` names, None when it names none.

        The version in it need not be the one the object is known under; group, kind and name decide.
        """
        name, kind = get_text(reference, "name"), get_text(reference, "kind") or "Deployment"
        api_version = get_text(reference, "apiVersion") or "apps/v1"
        if not name:
            return None
        named = WorkloadRef(namespace, name, kind, api_version)
        if named in self.labels:
            return named
        return next((known for known in self.labels if _are_one_object(known, named)), named)


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


def find_selection_obstacle(
    selection: Selection, workload: WorkloadRef, known: KnownWorkloads, remedy: str
) -> Obstacle | None:
    """Return what is wrong with `selection` for `workload`, None when it selects this one series, as far as known."""
    own = selection.is_met_by(workload, known.get_labels(workload))
    selected = [
        other for other in known.labels if other != workload and selection.is_met_by(other, known.get_labels(other))
    ]
    names = ", ".join(sorted(f"{other.kind} {other.name}" for other in selected))
    if own is False:
        instead = f"selects {names} instead of" if names else "does not select the series of"
        message = f"the metric {instead} {workload.kind} {workload.name}"
        return Obstacle(ObstacleCode.SELECTS_ANOTHER, message, remedy)
    if selected:
        message = f"the metric selects {names} besides {workload.kind} {workload.name}; only one may match"
        return Obstacle(ObstacleCode.SELECTS_SEVERAL, message, remedy)
    return None


def can_be_selected_by_name(workload: WorkloadRef) -> bool:
    """Return whether the name of `workload` fits into a label selector, which takes at most 63 characters."""
    return _LABEL_VALUE.fullmatch(workload.name) is not None
