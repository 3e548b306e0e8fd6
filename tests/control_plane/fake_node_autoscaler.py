"""Stands in for a node autoscaler: some time after a pod found no place, a node comes that has one for it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from adapter.clock import Clock
from adapter.errors import Unreachable
from adapter.kube.client import Json, KubeClient
from adapter.kube.resource import NODES, PODS
from tests.control_plane.fake_kubelet import FakeKubelet
from tests.control_plane.fake_nodes import FakeNode, find_obstacle, place_pods

_LOOK_EVERY_WALL_S = 0.2


class FakeNodeAutoscaler:
    """Adds nodes, and takes none away.

    Parameters
    ----------
    client
        The API.
    kubelet
        Registers the nodes.
    clock
        Measures the delay.
    kinds
        Nodes that can be had; their names get a number.
    delay_s
        From when a pod is first seen without a place to the node [s].
    most_nodes
        It adds no more than these.

    Attributes
    ----------
    added
        Names of the nodes it added.
    """

    def __init__(
        self,
        client: KubeClient,
        kubelet: FakeKubelet,
        clock: Clock,
        kinds: Sequence[FakeNode],
        *,
        delay_s: float = 60.0,
        most_nodes: int = 16,
    ) -> None:
        self.added: list[str] = []
        self._client = client
        self._kubelet = kubelet
        self._clock = clock
        self._kinds = kinds
        self._delay_s = delay_s
        self._most_nodes = most_nodes
        self._since_s: dict[str, float] = {}
        self._numbers = itertools.count(1)

    async def run(self) -> None:
        """Look after pods without a place, for ever."""
        while True:
            with suppress(Unreachable):
                await self.step()
            await asyncio.sleep(_LOOK_EVERY_WALL_S)

    async def step(self) -> None:
        """Look once, and add the nodes that are due."""
        pods: list[Json] = (await self._client.list(PODS))["items"]
        without = {pod["metadata"]["uid"]: pod for pod in pods if is_unschedulable(pod)}
        now_s = self._clock.now_s()
        self._since_s = {uid: self._since_s.get(uid, now_s) for uid in without}
        due = [pod for uid, pod in without.items() if now_s - self._since_s[uid] >= self._delay_s]
        if not due:
            return
        nodes: list[Json] = (await self._client.list(NODES))["items"]
        bound = [pod for pod in pods if pod["spec"].get("nodeName")]
        for node in self._choose_nodes(due, nodes, bound):
            await self._kubelet.add_node(node)
            self.added.append(node.name)

    def _choose_nodes(self, due: Sequence[Json], nodes: list[Json], bound: Sequence[Json]) -> Iterator[FakeNode]:
        """Yield new nodes until the pods that are `due` have a place, as far as any kind of node has one for them."""
        for pod in due:
            if pod["metadata"]["uid"] not in place_pods(due, nodes, bound).refusals:
                continue
            kind = next((kind for kind in self._kinds if find_obstacle(pod, kind.to_object(), 0) is None), None)
            if kind is not None and len(self.added) < self._most_nodes:
                node = replace(kind, name=f"{kind.name}-{next(self._numbers)}")
                nodes = [*nodes, node.to_object()]
                yield node


def is_unschedulable(pod: Json) -> bool:
    """Return whether the scheduler said that it has no place for `pod`."""
    conditions: list[Json] = pod["status"].get("conditions", [])
    return not pod["spec"].get("nodeName") and any(
        it["type"] == "PodScheduled" and it["status"] == "False" and it.get("reason") == "Unschedulable"
        for it in conditions
    )
