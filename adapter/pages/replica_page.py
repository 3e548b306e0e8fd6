"""The page of one deployment, in the form the AIBrix GPU optimizer serves it. Text only; no I/O."""

from __future__ import annotations

from enum import StrEnum

from adapter.store import Series

METRIC_NAME = "vllm:deployment_replicas"
_HELP = "Number of suggested replicas."


class ReplicaUnit(StrEnum):
    """In what the page counts, in every state alike."""

    REPLICAS = "replicas"
    HUNDREDTHS = "hundredths"


def render_replica_page(series: Series, unit: ReplicaUnit) -> str:
    """Return the page of `series`.

    No line before the sample contains the metric's name outside a comment, for old consumers take the first such line
    and its last field.
    """
    value = series.replicas * (100 if unit is ReplicaUnit.HUNDREDTHS else 1)
    label = _escape(series.model.key.model_id)
    return f'# HELP {METRIC_NAME} {_HELP}\n# TYPE {METRIC_NAME} gauge\n{METRIC_NAME}{{model_name="{label}"}} {value}\n'


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
