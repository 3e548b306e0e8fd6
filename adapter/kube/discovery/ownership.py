"""Which pods belong to which workload: by the chain of owners, by the labels of groups, or by a selector. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from adapter.kube.client import Json
from adapter.kube.discovery.objects import get_controller, get_labels, get_name, get_namespace, get_uid
from adapter.kube.discovery.pods import SET_LABEL
from adapter.kube.discovery.selector import Selector, matches

_HASH_LABEL = "pod-template-hash"


class PodIndex:
    """Pods of the whole cluster, found by who runs them.

    Pods of old and new ReplicaSets of one Deployment are both its own. A ReplicaSet that was not heard of yet is known
    by its name, which is made of the Deployment's and the hash on the pod: the watches of the kinds are not in step.
    """

    def __init__(self, pods: Iterable[Json], replica_sets: Iterable[Json]) -> None:
        deployments = {get_uid(entry): owner.uid for entry in replica_sets if (owner := get_controller(entry))}
        self._by_owner: dict[str, list[Json]] = {}
        self._by_stem: dict[tuple[str, str], list[Json]] = {}
        self._by_set: dict[tuple[str, str], list[Json]] = {}
        self._by_namespace: dict[str, list[Json]] = {}
        for pod in pods:
            namespace, labels, owner = get_namespace(pod), get_labels(pod), get_controller(pod)
            self._by_namespace.setdefault(namespace, []).append(pod)
            if SET_LABEL in labels:
                self._by_set.setdefault((namespace, labels[SET_LABEL]), []).append(pod)
            if owner is None:
                continue
            if owner.kind == "ReplicaSet" and owner.uid not in deployments:
                stem = owner.name.removesuffix(f"-{labels.get(_HASH_LABEL, '')}")
                if stem != owner.name:
                    self._by_stem.setdefault((namespace, stem), []).append(pod)
            self._by_owner.setdefault(deployments.get(owner.uid, owner.uid), []).append(pod)

    def list_owned(self, workload: Json) -> tuple[Json, ...]:
        """Return the pods of a Deployment or StatefulSet, or of whatever else controls its pods itself."""
        owned = self._by_owner.get(get_uid(workload), [])
        if workload.get("kind") != "Deployment":
            return tuple(owned)
        return (*owned, *self._by_stem.get((get_namespace(workload), get_name(workload)), ()))

    def list_grouped(self, workload: Json) -> tuple[Json, ...]:
        """Return the pods of all groups of a LeaderWorkerSet."""
        return tuple(self._by_set.get((get_namespace(workload), get_name(workload)), ()))

    def list_selected(self, namespace: str, selector: Selector) -> tuple[Json, ...]:
        """Return the pods in `namespace` that `selector` matches; none for an empty one, which nobody means."""
        candidates = self._by_namespace.get(namespace, ()) if selector else ()
        return tuple(pod for pod in candidates if matches(selector, get_labels(pod)))

    @property
    def by_namespace(self) -> Mapping[str, list[Json]]:
        """Every pod, by namespace."""
        return self._by_namespace
