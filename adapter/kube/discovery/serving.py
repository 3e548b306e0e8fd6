"""What serves in the pods of a workload, and on which port, as far as the pod template shows it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from adapter.config.schema import EngineName
from adapter.kube.client import Json
from adapter.kube.discovery.devices import DeviceCounter
from adapter.kube.discovery.objects import list_templates
from adapter.kube.json_fields import get_object, get_objects

DEFAULT_PORTS: Mapping[str, int] = {EngineName.VLLM: 8000, EngineName.SGLANG: 30000}
"""Ports the engines listen on unless told otherwise."""

DEFAULT_GRACE_S = 30.0
"""What Kubernetes gives a pod to finish unless told otherwise [s]."""

_PORT_NAMES = ("metrics", "http-metrics", "http", "api", "openai")


def find_engine(workload: Json, counter: DeviceCounter) -> str | None:
    """Return the engine that image, command or arguments of the serving container name, None where none is named."""
    container = _find_container(workload, counter)
    words = [container.get("image"), *(container.get("command") or ()), *(container.get("args") or ())]
    text = " ".join(str(word) for word in words if word)
    for engine in EngineName:
        if re.search(rf"(?<![a-z]){engine.value}(?![a-z])", text.lower()):
            return engine.value
    return None


def find_port(workload: Json, counter: DeviceCounter) -> int | None:
    """Return the port that the serving container declares for metrics or HTTP, else its first one, None without any."""
    ports = [port for port in get_objects(_find_container(workload, counter), "ports") if _is_tcp(port)]
    named = {str(port.get("name")): port["containerPort"] for port in reversed(ports)}
    first = ports[0]["containerPort"] if ports else None
    return next((named[name] for name in _PORT_NAMES if name in named), first)


def find_grace_s(workload: Json) -> float:
    """Return how long a pod may take to finish [s]."""
    for template, _ in list_templates(workload):
        grace_s = get_object(template, "spec").get("terminationGracePeriodSeconds")
        return float(grace_s) if isinstance(grace_s, int) else DEFAULT_GRACE_S
    return DEFAULT_GRACE_S


def has_pre_stop(workload: Json) -> bool:
    """Whether the serving container does something before it is asked to stop, such as waiting for routers."""
    return bool(get_object(_find_container(workload, DeviceCounter()), "lifecycle", "preStop"))


def find_container_name(workload: Json) -> str:
    """Return the name of the serving container, "" where there is none."""
    return str(_find_container(workload, DeviceCounter()).get("name") or "")


def _find_container(workload: Json, counter: DeviceCounter) -> Json:
    """Return the container that serves: of the leader's template the one with accelerators, else the first one."""
    for template, _ in list_templates(workload):
        containers = get_objects(template, "spec", "containers")
        with_devices = [entry for entry in containers if counter.count_pod({"spec": {"containers": [entry]}})]
        return next(iter(with_devices or containers), {})
    return {}


def _is_tcp(port: Json) -> bool:
    return isinstance(port.get("containerPort"), int) and port.get("protocol", "TCP") == "TCP"
