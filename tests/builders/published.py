"""What the adapter shows over HTTP at one moment: every surface read, and held against the others."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import aiohttp
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

_REPLICAS = re.compile(r'^deployment_replicas\{.*deployment="([^"]+)".*\} (\S+)$', re.MULTILINE)
API_PATH = "/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/deployment_replicas"


@dataclass(frozen=True)
class Published:
    """Everything published about one LLM after one pass.

    Attributes
    ----------
    passes
        Passes finished.
    model
        Its entry in ``/v1/decisions``.
    metrics
        The page ``/metrics``.
    pages
        The number on ``/metrics/{namespace}/{deployment}``, by deployment.
    answers
        Status and body of the external metrics API, by deployment.
    """

    passes: int
    model: Mapping[str, Any]
    metrics: str
    pages: Mapping[str, int]
    answers: Mapping[str, tuple[int, Mapping[str, Any]]]

    @property
    def numbers(self) -> dict[str, int]:
        """Replicas by deployment."""
        return {entry["deployment"]: entry["planned_replicas"] for entry in self.model["variants"]}

    @property
    def capacity_per_s(self) -> float:
        """What all published replicas carry within the SLO, as far as known [1/s]."""
        lines = self.model["variants"]
        return math.fsum(line["planned_replicas"] * (line["capacity_per_s"]["value"] or 0.0) for line in lines)

    @property
    def demand_per_s(self) -> float | None:
        value: float | None = self.model["demand_per_s"]["value"]
        return value

    @property
    def page_reasons(self) -> dict[str, str | None]:
        """Why the page of each pod cannot be used, None where it can."""
        pods = [pod for variant in self.model["observed"]["variants"] for pod in variant["pods"]]
        return {pod["name"]: pod["reason"] and pod["reason"]["code"] for pod in pods}

    @property
    def fresh(self) -> Mapping[str, Any]:
        """The condition that says whether the data are fresh and whole."""
        return next(entry for entry in self.model["conditions"] if entry["type"] == "Fresh")

    @property
    def statuses(self) -> set[int]:
        """What the external metrics API answered with."""
        return {status for status, _ in self.answers.values()}

    @cached_property
    def _families(self) -> list[Metric]:
        return list(text_string_to_metric_families(self.metrics))

    def get_sample(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of ``/metrics`` that carry `labels`."""
        return math.fsum(
            sample.value
            for family in self._families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def check_agreement(self) -> None:
        """Fail unless every surface shows the same numbers, the external metrics API with the decision's time."""
        assert {name: float(value) for name, value in _REPLICAS.findall(self.metrics)} == self.numbers
        assert self.pages == self.numbers
        for name, (status, body) in self.answers.items():
            if status == 200:
                (item,) = body["items"]
                decided_at_s = datetime.fromisoformat(item["timestamp"]).timestamp()
                assert (int(item["value"]), decided_at_s) == (self.numbers[name], int(self.model["decided_at_s"]))


async def read_published(
    session: aiohttp.ClientSession, addresses: Mapping[str, str], namespace: str, *deployments: str
) -> Published:
    """Return what is published now, all of it from one pass."""
    pages, api = addresses["pages"], addresses["external_metrics_http"] + API_PATH.format(namespace)
    while True:
        document = await _get_json(session, f"{pages}/v1/decisions")
        published = Published(
            passes=document["passes"],
            model=document["models"][0],
            metrics=(await _get(session, f"{pages}/metrics"))[1].decode(),
            pages={name: await _get_number(session, f"{pages}/metrics/{namespace}/{name}") for name in deployments},
            answers={
                name: await _get_answer(session, f"{api}?labelSelector=deployment%3D{name}") for name in deployments
            },
        )
        if (await _get_json(session, f"{pages}/v1/decisions"))["passes"] == published.passes:
            published.check_agreement()
            return published


async def _get(session: aiohttp.ClientSession, url: str) -> tuple[int, bytes]:
    async with session.get(url) as response:
        return response.status, await response.read()


async def _get_json(session: aiohttp.ClientSession, url: str) -> Any:
    async with session.get(url) as response:
        return await response.json()


async def _get_number(session: aiohttp.ClientSession, url: str) -> int:
    status, page = await _get(session, url)
    assert status == 200, page
    return int(page.split()[-1])


async def _get_answer(session: aiohttp.ClientSession, url: str) -> tuple[int, Mapping[str, Any]]:
    async with session.get(url) as response:
        return response.status, await response.json()
