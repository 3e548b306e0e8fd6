"""Who else sets ``spec.replicas`` of a workload, by its managed fields: GitOps undoes what autoscaling does. Pure."""

from __future__ import annotations

import json

from adapter.kube.client import FIELD_MANAGER, Json
from adapter.kube.discovery.objects import get_annotations
from adapter.kube.json_fields import get_object, get_objects

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL_APPLY = "kubectl-client-side-apply"
_DECLARING = ("argocd", "flux", "gotk-", "kustomize-controller", "helm", "terraform", "pulumi", "configsync", "fleet")
_SCALING = (FIELD_MANAGER, "kube-controller-manager", "keda", "horizontal-pod-autoscaler", "vpa-")


def find_replicas_owner(workload: Json) -> str:
    """Return the field manager that declares ``spec.replicas`` and will set it again, "" for none.

    Server-side apply tells by itself; of plain updates those of well-known tools count, as does a manifest that was
    applied by kubectl with the field in it. Whoever went through ``/scale``, or only created the object, does not.
    """
    for entry in get_objects(workload, "metadata", "managedFields"):
        manager = str(entry.get("manager", ""))
        is_scaler = entry.get("subresource") == "scale" or manager.startswith(_SCALING)
        is_declaring = entry.get("operation") == "Apply" or manager.startswith((*_DECLARING, KUBECTL_APPLY))
        if is_declaring and not is_scaler and "f:replicas" in get_object(entry, "fieldsV1", "f:spec"):
            return manager
    return KUBECTL_APPLY if _was_applied_with_replicas(workload) else ""


def keep_owner_fields(workload: Json) -> tuple[list[Json], str | None]:
    """Return what `find_replicas_owner` needs of managed fields and of the last applied manifest, which are large."""
    kept: list[Json] = [
        {
            **{key: entry.get(key) for key in ("manager", "operation", "subresource")},
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
        }
        for entry in get_objects(workload, "metadata", "managedFields")
        if "f:replicas" in get_object(entry, "fieldsV1", "f:spec")
    ]
    return kept, '{"spec":{"replicas":0}}' if _was_applied_with_replicas(workload) else None


def _was_applied_with_replicas(workload: Json) -> bool:
    text = get_annotations(workload).get(LAST_APPLIED)
    if not text:
        return False
    try:
        manifest = json.loads(text)
    except ValueError:
        return False
    return isinstance(manifest, dict) and get_object(manifest, "spec").get("replicas") is not None
