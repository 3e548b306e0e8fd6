"""A stand-in for AIBrix's pod autoscaler: it reads our number over HTTP as the two lines of versions do, and follows.

From 0.5 on it asks the external metrics API for one metric name, without selector, and adds up the items; version 0.4
reads a page: the last field of the first line that mentions the metric outside a comment, whatever the status is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import aiohttp

from adapter.config.quantities import parse_duration_s
from adapter.errors import BadDocument
from adapter.kube.quantity import parse_quantity
from tests.control_plane.pod_autoscaler_rules import KpaAutoscaler, KpaSettings, OldKpaAutoscaler, OldKpaSettings

_BOTH = {
    "autoscaling.aibrix.ai/max-scale-up-rate": ("max_scale_up_ratio", float),
    "autoscaling.aibrix.ai/max-scale-down-rate": ("max_scale_down_ratio", float),
}
_HEAD = {
    **_BOTH,
    "autoscaling.aibrix.ai/scale-up-tolerance": ("scale_up_tolerance_ratio", float),
    "autoscaling.aibrix.ai/scale-down-tolerance": ("scale_down_tolerance_ratio", float),
    "autoscaling.aibrix.ai/panic-threshold": ("panic_threshold_ratio", float),
    "autoscaling.aibrix.ai/scale-up-cooldown-window": ("scale_up_cooldown_s", parse_duration_s),
    "autoscaling.aibrix.ai/scale-down-cooldown-window": ("scale_down_cooldown_s", parse_duration_s),
}
_OLD = {
    **_BOTH,
    "kpa.autoscaling.aibrix.ai/stable-window": ("stable_window_s", parse_duration_s),
    "kpa.autoscaling.aibrix.ai/panic-window": ("panic_window_s", parse_duration_s),
    "kpa.autoscaling.aibrix.ai/panic-threshold": ("panic_threshold_ratio", float),
    "kpa.autoscaling.aibrix.ai/scale-down-delay": ("scale_down_delay_s", parse_duration_s),
    "kpa.autoscaling.aibrix.ai/activation-scale": ("activation_replicas", int),
}
_WINDOWS = {"observeWindowSeconds": "stable_window_s", "panicWindowSeconds": "panic_window_s"}


def read_settings(document: Mapping[str, Any]) -> KpaSettings:
    """Return what versions from 0.5 on make of a PodAutoscaler."""
    spec = document["spec"]
    settings: dict[str, Any] = {name: float(spec[key]) for key, name in _WINDOWS.items() if key in spec}
    return KpaSettings(**_read_common(document), **settings, **_read_annotations(document, _HEAD))


def read_old_settings(document: Mapping[str, Any]) -> KpaSettings:
    """Return what version 0.4 makes of a PodAutoscaler."""
    return OldKpaSettings(**_read_common(document), **_read_annotations(document, _OLD))


def _read_common(document: Mapping[str, Any]) -> dict[str, Any]:
    spec = document["spec"]
    (source,) = spec["metricsSources"]
    least = spec.get("minReplicas", 1)
    return {"target": float(source["targetValue"]), "min_replicas": least, "max_replicas": spec["maxReplicas"]}


def _read_annotations(document: Mapping[str, Any], known: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """Return the annotations that are known; one that cannot be read stops the reading of the others."""
    found: dict[str, Any] = {}
    for key, value in document["metadata"].get("annotations", {}).items():
        if key in known:
            name, parse = known[key]
            try:
                found[name] = parse(value)
            except ValueError:
                break
    return found


async def fetch_external_metric(
    session: aiohttp.ClientSession, api_url: str, namespace: str, name: str
) -> float | None:
    """Return the sum of the items of one metric name, None for whatever is no answer: then nothing changes."""
    path = f"{api_url}/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{name}"
    try:
        async with session.get(path) as response:
            items = (await response.json())["items"] if response.status == 200 else []
        return math.fsum(parse_quantity(item["value"]) for item in items) if items else None
    except (aiohttp.ClientError, TimeoutError, BadDocument, ValueError, KeyError, TypeError):
        return None


async def fetch_page_value(session: aiohttp.ClientSession, url: str, metric: str) -> float | None:
    """Return what version 0.4 reads of a page, None where it finds nothing; it does not look at the status."""
    try:
        async with session.get(url) as response:
            return parse_page(await response.text(), metric)
    except (aiohttp.ClientError, TimeoutError):
        return None


def parse_page(page: str, metric: str) -> float | None:
    """Return the last field of the first line that contains `metric` and is no comment."""
    for line in page.splitlines():
        if not line.startswith("#") and metric in line:
            try:
                return float(line.split()[-1])
            except ValueError:
                return None
    return None


class FakePodAutoscaler:
    """Follows one PodAutoscaler object, as versions from 0.5 on do.

    Parameters
    ----------
    document
        The object.
    api_url
        Base address of the external metrics API.
    replicas
        Of its target, at first; then what it asked for last.
    """

    def __init__(self, document: Mapping[str, Any], api_url: str, replicas: int) -> None:
        self.replicas = replicas
        self._namespace = document["metadata"]["namespace"]
        self._metric = document["spec"]["metricsSources"][0]["targetMetric"]
        self._api_url = api_url
        self._rules = KpaAutoscaler(read_settings(document))

    async def tick(self, session: aiohttp.ClientSession, time_s: float) -> int:
        """Look once at `time_s` [s] and return the replicas asked for."""
        value = await fetch_external_metric(session, self._api_url, self._namespace, self._metric)
        self.replicas = self._rules.tick(time_s, self.replicas, None if value is None else [value])
        return self.replicas


class OldFakePodAutoscaler:
    """Follows one PodAutoscaler object, as version 0.4 does; every replica is ready at once."""

    def __init__(self, document: Mapping[str, Any], replicas: int) -> None:
        self.replicas = replicas
        (source,) = document["spec"]["metricsSources"]
        self._url = f"{source['protocolType']}://{source['endpoint']}{source['path']}"
        self._metric = source["targetMetric"]
        self._rules = OldKpaAutoscaler(read_old_settings(document), replicas)

    async def tick(self, session: aiohttp.ClientSession, time_s: float) -> int:
        """Look once at `time_s` [s] and return the replicas asked for."""
        value = await fetch_page_value(session, self._url, self._metric)
        self.replicas = self._rules.tick(time_s, self.replicas, self.replicas, None if value is None else [value])
        return self.replicas
