"""Labels and annotations of llm-d, on workloads and on the scalers that target them: ``llm-d.ai/…``. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from adapter.kube.client import Json
from adapter.kube.discovery.objects import (
    Identity,
    get_name,
    get_namespace,
    is_being_deleted,
    list_templates,
    to_identity,
)
from adapter.kube.discovery.told import Sheet, Told, describe_source, merge_told
from adapter.kube.discovery.values import parse_flag, parse_price_per_hour, parse_roles, parse_text
from adapter.kube.json_fields import get_object
from optimizer.domain import WorkloadRef

PREFIX = "llm-d.ai/"
MODEL_KEY = f"{PREFIX}model-id"
MANAGED_KEY = f"{PREFIX}managed"
ACCELERATOR_KEY = "inference.optimization/acceleratorName"


def read_llm_d_labels(workload: Json, scaler: Json | None = None) -> Told:
    """Return what llm-d's keys tell, on `workload` and on the HPA or ScaledObject `scaler` that targets it.

    The role is read from the pod template too. A scaler counts only with ``llm-d.ai/managed: "true"``; on the workload
    that key is not needed, and any other value of it takes the claim away.
    """
    own = Sheet(workload)
    pods = Sheet(workload, *(template for template, _ in list_templates(workload)))
    roles = pods.read(f"{PREFIX}role", parse_roles)
    is_open = own.get(MANAGED_KEY) in (None, "true")
    told = replace(_read_sheet(own, is_open, MODEL_KEY), roles=roles, complaints=(*own.complaints, *pods.complaints))
    if scaler is None:
        return told
    sheet = Sheet(scaler, source=describe_source(scaler))
    if not sheet.read(MANAGED_KEY, parse_flag):
        return told
    of_scaler = _read_sheet(sheet, True, describe_source(scaler) + MODEL_KEY)
    return merge_told((of_scaler, told))


def find_scalers(hpas: Iterable[Json], scaled_objects: Iterable[Json]) -> Mapping[Identity, Json]:
    """Return the scaler with llm-d's keys of each workload; of an HPA and a ScaledObject the latter, as in llm-d.

    Those that are being deleted, or are not managed, are left out; of several of one kind the first by name counts.
    """
    found: dict[Identity, Json] = {}
    last_first = [sorted(scalers, key=get_name, reverse=True) for scalers in (hpas, scaled_objects)]
    for scaler in (scaler for scalers in last_first for scaler in scalers):
        target = get_object(scaler, "spec", "scaleTargetRef")
        if not target.get("name") or is_being_deleted(scaler) or not Sheet(scaler).read(MANAGED_KEY, parse_flag):
            continue
        kind, version = str(target.get("kind") or "Deployment"), str(target.get("apiVersion") or "apps/v1")
        workload = WorkloadRef(get_namespace(scaler), str(target["name"]), kind, version)
        found[to_identity(workload)] = scaler
    return found


def _read_sheet(sheet: Sheet, is_open: bool, model_key: str) -> Told:
    told = Told(
        model_id=sheet.read(MODEL_KEY, parse_text) if is_open else None,
        model_key=model_key,
        cost_per_hour=sheet.read(f"{PREFIX}variant-cost", parse_price_per_hour),
        accelerator=sheet.read(ACCELERATOR_KEY, parse_text),
    )
    return replace(told, complaints=tuple(sheet.complaints))
