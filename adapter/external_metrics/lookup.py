"""From a metric name, a namespace and a selector to the one published series that is meant. Reads the store; no I/O."""

from __future__ import annotations

from http import HTTPStatus

from adapter.external_metrics.answers import StatusError
from adapter.external_metrics.selector import LabelSelector
from adapter.external_metrics.wire import METRIC
from adapter.store import Publication, Series
from optimizer.domain import WorkloadRef


def get_labels(series: Series) -> dict[str, str]:
    """Return the labels of `series`, by which it can be selected."""
    return {
        "namespace": series.workload.namespace,
        "deployment": series.workload.name,
        "kind": series.workload.kind,
        "model_name": series.model.key.model_id,
        "variant": series.variant.key.variant,
        "role": series.variant.key.role.value,
        "accelerator": series.variant.accelerator,
    }


def find_series(publication: Publication, namespace: str, metric: str, selector: LabelSelector) -> Series:
    """Return the one series of `namespace` that `metric` and `selector` mean.

    Raises
    ------
    StatusError
        404 when there is none, 400 when there are several, 503 when the workload is known but undecided.
    """
    deployment = _parse_metric(metric)
    wanted = selector.get_only_value("deployment") if deployment is None else deployment
    here = publication.series if wanted is None else publication.get_series(namespace, wanted)
    found = [
        series for series in here if series.workload.namespace == namespace and selector.is_met_by(get_labels(series))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise StatusError(HTTPStatus.BAD_REQUEST, _explain_ambiguity(metric, namespace, found))
    for workload in publication.undecided:
        if workload.namespace == namespace and _is_meant(workload, deployment, selector):
            raise StatusError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"no decision yet about {workload.kind} {workload.name!r} in namespace {namespace}",
            )
    raise StatusError(HTTPStatus.NOT_FOUND, _explain_absence(metric, namespace, publication))


def _parse_metric(metric: str) -> str | None:
    """Return the deployment named in a per-deployment metric name, None for the plain name."""
    if metric == METRIC:
        return None
    prefix, _, deployment = metric.partition(".")
    if prefix == METRIC and deployment:
        return deployment.lower()
    raise StatusError(HTTPStatus.NOT_FOUND, f"no metric {metric!r}; known: {METRIC}, {METRIC}.<deployment>")


def _is_meant(workload: WorkloadRef, deployment: str | None, selector: LabelSelector) -> bool:
    labels = {"namespace": workload.namespace, "deployment": workload.name, "kind": workload.kind}
    return deployment in (None, workload.name.lower()) and selector.is_met_by(labels)


def _explain_ambiguity(metric: str, namespace: str, found: list[Series]) -> str:
    labels = [get_labels(series) for series in found]
    deciding = [key for key in labels[0] if len({label[key] for label in labels}) == len(found)]
    deciding = deciding or [key for key in labels[0] if len({label[key] for label in labels}) > 1]
    names = ", ".join(sorted({f"{series.workload.kind} {series.workload.name}" for series in found}))
    return (
        f"{metric} in namespace {namespace} selects {len(found)} workloads ({names}), and consumers would add them up; "
        f"select one by label {' or '.join(deciding)}"
    )


def _explain_absence(metric: str, namespace: str, publication: Publication) -> str:
    known = {series.workload.name for series in publication.series if series.workload.namespace == namespace}
    known |= {workload.name for workload in publication.undecided if workload.namespace == namespace}
    listed = ", ".join(sorted(known)) or "none"
    return f"no workload in namespace {namespace} matches {metric} with this selector; known there: {listed}"
