"""Kinds that other products bring, as far as is asked here: any spec, and a scale where they have one. Data only."""

from __future__ import annotations

from typing import Final

from adapter.kube.client import Json
from adapter.kube.resource import LEADER_WORKER_SETS, POD_AUTOSCALERS, SCALED_OBJECTS, Resource

ROLLOUTS: Final = Resource("argoproj.io", "v1alpha1", "rollouts", "Rollout")


def make_definition(resource: Resource) -> Json:
    """Return a CustomResourceDefinition of `resource` that takes whatever is written."""
    subresources: Json = {"status": {}}
    if resource in (LEADER_WORKER_SETS, ROLLOUTS):
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    version = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "subresources": subresources,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    names = {"kind": resource.kind, "listKind": f"{resource.kind}List", "plural": resource.plural}
    return {
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": {**names, "singular": resource.kind.lower()},
            "versions": [version],
        },
    }


FOREIGN_KINDS: Final = (LEADER_WORKER_SETS, SCALED_OBJECTS, POD_AUTOSCALERS, ROLLOUTS)
