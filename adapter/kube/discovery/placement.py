"""Which accelerator type a workload runs on: from its node selector and affinity, else from its nodes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapter.kube.client import Json
from adapter.kube.discovery.accelerator_names import find_instance_accelerator, to_accelerator_name
from adapter.kube.discovery.objects import get_labels
from adapter.kube.json_fields import get_object, get_objects

NODE_LABELS = (
    "nvidia.com/gpu.product",
    "gpu.nvidia.com/model",
    "gpu.nvidia.com/class",
    "amd.com/gpu.product-name",
    "beta.amd.com/gpu.product-name",
    "habana.ai/product.name",
    "gpu.intel.com/product",
    "cloud.google.com/gke-accelerator",
    "cloud.google.com/gke-tpu-accelerator",
    "eks.amazonaws.com/instance-gpu-name",
    "eks.amazonaws.com/instance-accelerator-name",
    "karpenter.k8s.aws/instance-gpu-name",
    "karpenter.k8s.aws/instance-accelerator-name",
    "karpenter.azure.com/sku-gpu-name",
    "k8s.amazonaws.com/accelerator",
    "node.kubernetes.io/npu.chip.name",
    "variant-autoscaler.io/accelerator",
)
"""Labels of nodes whose value names the type of their accelerators, the most exact first."""

INSTANCE_LABELS = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
"""Labels of nodes whose value names a type of machine, from which the accelerators follow."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The accelerator type of a workload.

    Attributes
    ----------
    accelerator
        Name of the type, None when nothing tells it.
    others
        Further types that its pods run on, each with how many pods do: it should have one type only.
    is_seen
        Whether it was seen on nodes rather than asked for.
    """

    accelerator: str | None = None
    others: tuple[tuple[str, int], ...] = ()
    is_seen: bool = False


def find_asked_accelerator(template: Json, catalog: Iterable[str] = ()) -> str | None:
    """Return the only type that node selector and required node affinity of a pod template admit.

    None where they tell none, or several. Terms of an affinity are alternatives: all must name the same type.
    """
    spec = get_object(template, "spec")
    selected = _read_labels(get_object(spec, "nodeSelector"), catalog)
    if selected is not None:
        return selected
    terms = get_objects(
        spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"
    )
    admitted = [_read_term(term, catalog) for term in terms]
    types = {name for names in admitted for name in names}
    return types.pop() if len(types) == 1 and all(admitted) else None


def read_node_accelerator(node: Json, catalog: Iterable[str] = ()) -> str | None:
    """Return the type of a node's accelerators, None where no label tells it."""
    return _read_labels(get_labels(node), catalog)


def to_device_type(accelerator: str, resource: str) -> str:
    """Return the type of the devices that `resource` counts on an `accelerator`: a MIG slice is a type of its own.

    >>> to_device_type("A100", "nvidia.com/mig-3g.40gb"), to_device_type("A100", "nvidia.com/gpu")
    ('A100-MIG-3g.40gb', 'A100')
    """
    prefix = "nvidia.com/mig-"
    is_slice = resource.startswith(prefix) and "-MIG-" not in accelerator
    return f"{accelerator}-MIG-{resource.removeprefix(prefix)}" if is_slice else accelerator


def find_placement(asked: str | None, seen: Iterable[str], remembered: str | None = None) -> Placement:
    """Return the accelerator type of a workload.

    Parameters
    ----------
    asked
        What its pod template asks for.
    seen
        Types of the nodes that its pods run on, one per pod.
    remembered
        What was found before; it counts while no pod runs, and wins a tie between several types.
    """
    if asked is not None:
        return Placement(asked)
    counts = Counter(seen)
    if not counts:
        return Placement(remembered, is_seen=remembered is not None)
    if remembered in counts:
        chosen: str | None = remembered
    else:
        chosen = min(counts, key=lambda name: (-counts[name], name))
    others = tuple(sorted((name, pods) for name, pods in counts.items() if name != chosen))
    return Placement(chosen, others, is_seen=True)


def _read_labels(labels: Mapping[str, str], catalog: Iterable[str]) -> str | None:
    for key in NODE_LABELS:
        if labels.get(key):
            return to_accelerator_name(labels[key], catalog)
    for key in INSTANCE_LABELS:
        found = find_instance_accelerator(labels.get(key, ""))
        if found is not None:
            return to_accelerator_name(found, catalog)
    return None


def _read_term(term: Json, catalog: Iterable[str]) -> frozenset[str]:
    """Return the types that a term of a node affinity admits, none where it does not tell."""
    best: dict[str, frozenset[str]] = {}
    for wanted in get_objects(term, "matchExpressions"):
        values = wanted.get("values")
        if wanted.get("operator") == "In" and isinstance(values, list) and values:
            key = str(wanted.get("key"))
            names = [_read_labels({key: str(value)}, catalog) for value in values]
            if all(names):
                best[key] = frozenset(name for name in names if name is not None)
    order = (*NODE_LABELS, *INSTANCE_LABELS)
    return next((best[key] for key in order if key in best), frozenset())
