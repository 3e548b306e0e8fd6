"""Accelerator devices that pods ask for, from the resources of their containers. Pure; it knows no device type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from adapter.errors import BadDocument
from adapter.kube.client import Json
from adapter.kube.discovery.objects import iterate_containers, list_templates
from adapter.kube.json_fields import get_object, get_objects
from adapter.kube.quantity import parse_quantity

ACCELERATOR_RESOURCES = (
    "nvidia.com/gpu",
    "nvidia.com/gpu.shared",
    "nvidia.com/mig-*",
    "amd.com/gpu",
    "gpu.intel.com/i915",
    "gpu.intel.com/xe",
    "habana.ai/gaudi",
    "google.com/tpu",
    "aws.amazon.com/neuron",
    "huawei.com/Ascend*",
    "cambricon.com/mlu",
)
"""Extended resources that are accelerators, as the device plugins of their vendors name them; ``*`` is any text.

Shares of virtual devices (``…-memory``, ``…-cores``) are amounts, no devices, and never counted.
"""

_SHARES = re.compile(r"-(memory|cores?)$")


class DeviceCounter:
    """Counts accelerators among the resources of pods.

    Parameters
    ----------
    resources
        Names of extended resources, ``*`` for any characters.
    """

    def __init__(self, resources: Iterable[str] = ACCELERATOR_RESOURCES) -> None:
        self._resources = tuple(resources)
        patterns = (re.escape(name).replace(r"\*", ".*") for name in self._resources)
        self._pattern = re.compile("|".join(f"(?:{pattern})" for pattern in patterns) or r"(?!)")
        self._known: dict[str, bool] = {}

    def is_accelerator(self, resource: str) -> bool:
        """Whether `resource`, such as ``nvidia.com/gpu``, counts devices."""
        known = self._known.get(resource)
        if known is None:
            known = bool(self._pattern.fullmatch(resource)) and not _SHARES.search(resource)
            self._known[resource] = known
        return known

    def count_pod(self, pod: Json) -> Mapping[str, int]:
        """Return the devices that a pod, or a pod template, asks for, by resource; none are left out.

        Containers and sidecars run beside each other; an init container runs before them, beside the sidecars that were
        started earlier, and gives its devices back.
        """
        beside = self._sum(iterate_containers(pod))
        peaks: dict[str, int] = {}
        sidecars: dict[str, int] = {}
        for container in get_objects(pod, "spec", "initContainers"):
            own = self._read(container)
            if container.get("restartPolicy") == "Always":
                sidecars = _add(sidecars, own)
            for resource, devices in _add(sidecars, own if container.get("restartPolicy") != "Always" else {}).items():
                peaks[resource] = max(peaks.get(resource, 0), devices)
        return {resource: max(beside.get(resource, 0), peaks.get(resource, 0)) for resource in {**beside, **peaks}}

    def count_replica(self, workload: Json) -> Mapping[str, int]:
        """Return the devices that one replica of `workload` asks for over all its pods, by resource."""
        total: dict[str, int] = {}
        for template, pods in list_templates(workload):
            devices = self.count_pod(template)
            total = _add(total, {resource: count * pods for resource, count in devices.items()})
        return total

    def count_allocatable(self, node: Json) -> Mapping[str, int]:
        """Return the devices that a node can give to pods, by resource."""
        return self._count(get_object(node, "status", "allocatable"))

    def _sum(self, containers: Iterable[Json]) -> dict[str, int]:
        total: dict[str, int] = {}
        for container in containers:
            total = _add(total, self._read(container))
        return total

    def _read(self, container: Json) -> dict[str, int]:
        """Return the devices of one container; requests and limits of devices are equal, and either may be left out."""
        limits = self._count(get_object(container, "resources", "limits"))
        return {**limits, **self._count(get_object(container, "resources", "requests"))}

    def _count(self, amounts: Mapping[str, object]) -> dict[str, int]:
        counted = {}
        for resource, amount in amounts.items():
            if self.is_accelerator(resource):
                devices = _to_count(amount)
                if devices > 0:
                    counted[resource] = devices
        return counted


def _add(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {resource: one.get(resource, 0) + other.get(resource, 0) for resource in {**one, **other}}


def _to_count(amount: object) -> int:
    return _parse_count(amount) if isinstance(amount, str | int) else 0


@lru_cache(maxsize=1024)  # the same few texts on thousands of pods
def _parse_count(amount: str | int) -> int:
    try:
        return int(parse_quantity(amount))
    except BadDocument:
        return 0
