"""Labels of AIBrix on workloads and their pod templates: ``model.aibrix.ai/…``. Pure."""

from __future__ import annotations

from dataclasses import replace

from adapter.kube.client import Json
from adapter.kube.discovery.objects import list_templates
from adapter.kube.discovery.told import Sheet, Told
from adapter.kube.discovery.values import parse_engine, parse_port, parse_replicas, parse_text

PREFIX = "model.aibrix.ai/"
MODEL_KEY = f"{PREFIX}name"


def read_aibrix_labels(workload: Json) -> Told:
    """Return what AIBrix's labels tell: those of the workload itself, port and engine also of its pod template.

    Only the workload's own `name` claims it, as AIBrix's optimizer selects by it. ``min_replicas`` is a lower bound
    here, where AIBrix uses it only while it sees no requests.
    """
    sheet = Sheet(workload)
    pods = Sheet(workload, *(template for template, _ in list_templates(workload)))
    told = Told(
        model_id=sheet.read(MODEL_KEY, parse_text),
        model_key=MODEL_KEY,
        min_replicas=sheet.read(f"{PREFIX}min_replicas", parse_replicas),
        metrics_port=pods.read(f"{PREFIX}port", parse_port),
        engine=pods.read(f"{PREFIX}engine", parse_engine),
    )
    return replace(told, complaints=(*sheet.complaints, *pods.complaints))
