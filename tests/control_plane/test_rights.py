"""The rights that the chart grants are enough, and none is there that nobody uses: the API server's own record says so.

The product's clock runs fast, so that what it forgets after an hour is forgotten within the test. That its certificates
are then of a day to come, which the API server does not take, makes no difference here.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from adapter.clock import ScaledClock
from adapter.demo.engine_settings import EngineSettings
from adapter.errors import Conflict
from adapter.kube.client import Json, PatchType
from adapter.kube.decisions.installation import get_object_name
from adapter.kube.resource import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    LEADER_WORKER_SETS,
    SECRETS,
    STATEFUL_SETS,
    VARIANT_DECISIONS,
    Resource,
)
from optimizer.domain import IterationLaw, WorkloadRef
from tests.control_plane.audit import AuditedRequest, read_requests
from tests.control_plane.cluster import Cluster
from tests.control_plane.engines import run_engines
from tests.control_plane.fake_kubelet import FakeKubelet
from tests.control_plane.fake_nodes import FakeNode
from tests.control_plane.pods import make_deployment, make_pod_template
from tests.control_plane.product import NAME, Product, open_product
from tests.control_plane.scalable_kinds import FOREIGN_KINDS, ROLLOUTS, make_definition
from tests.control_plane.sweeping import CUSTOM_RESOURCE_DEFINITIONS
from tests.control_plane.waiting import wait_until
from tests.control_plane.workloads import MODEL, PREFIX, Workload, told_of
from tests.deploy.chart import Helm
from tests.deploy.rights import Right, list_rights

SPEED = 120.0
"""The product's seconds in one of the wall."""
SCALED: dict[str, Resource] = {
    "by-deployment": DEPLOYMENTS,
    "by-stateful-set": STATEFUL_SETS,
    "by-group": LEADER_WORKER_SETS,
    "by-rollout": ROLLOUTS,
}
PINNED = 3
CERTIFICATE = f"{NAME}-certificate"
HEARTBEAT = "variant-autoscaler-heartbeat"
ENGINE = EngineSettings("chat", IterationLaw(0.01, 1e-4, 1e-9, 1e-5), kv_capacity_tokens=100_000)
STORY_S = 300.0


def make_values(namespace: str) -> Json:
    """Return values with everything on, and times that fit a fast clock."""
    variants = [
        {
            "name": name,
            "accelerator": "L40S",
            "workload": {"api_version": resource.api_version, "kind": resource.kind, "name": name},
        }
        for name, resource in SCALED.items()
    ]
    pinned = {"mode": "pin", "replicas": PINNED}
    model = {"name": "scaled", "namespace": namespace, "actuation": "scale", "override": pinned, "variants": variants}
    return {
        "discover": {"otherKinds": [{"group": ROLLOUTS.group, "resource": ROLLOUTS.plural}]},
        "actuation": {"scale": True, "podDeletionCost": True},
        "config": {
            "decision": {"period": "120s", "stale_after": "20m", "actuation_delay": "120s"},
            "publishing": {"max_decision_age": "1h"},
            "kubernetes": {"leader_election": {"lease": "1200s", "renew": "800s", "retry": "60s"}},
            "models": [model],
        },
    }


@asynccontextmanager
async def open_everything(cluster: Cluster, helm: Helm, folder: Path, namespace: str) -> AsyncIterator[Product]:
    """Yield the product in a cluster that has every kind it may meet."""
    for resource in FOREIGN_KINDS:
        await cluster.apply(CUSTOM_RESOURCE_DEFINITIONS, None, make_definition(resource))
    for name, resource in SCALED.items():
        body: Json = {"metadata": {"name": name}, "spec": {"replicas": 1}}
        if resource.group == "apps":
            template = {"selector": {"matchLabels": {"app": name}}, "template": make_pod_template({"app": name})}
            body["spec"] |= template
        await _create_when_served(cluster, resource, namespace, body)
        if resource.group != "apps":  # what the controllers of these kinds would tell
            status = {"status": {"replicas": 1, "selector": f"app={name}"}}
            await cluster.client.patch(resource, namespace, name, status, subresource="status")
    clock = f"{time.time()},{SPEED},{time.monotonic()}"
    values = make_values(namespace)
    async with open_product(cluster, helm, folder, values=values, clock=clock) as product, _run_pods(cluster):
        with told_of(product):
            # An empty Secret of this name is filled; when it is gone, another one is made.
            await cluster.create(SECRETS, product.namespace, {"metadata": {"name": CERTIFICATE}})
            await _start(product)
            yield product


async def _start(product: Product) -> None:
    """Start it, and return when it is ready, whether the API server reaches it or not."""
    for adapter in product.adapters:
        adapter.process.start()
    await product.wait_ready()


async def _create_when_served(cluster: Cluster, resource: Resource, namespace: str, body: Json) -> None:
    async def attempt() -> bool:
        with suppress(Conflict):
            await cluster.create(resource, namespace, body)
        return True

    await cluster.wait_until(attempt, bool, what=f"{resource.kind} is served")  # NotFound until it is


@asynccontextmanager
async def _run_pods(cluster: Cluster) -> AsyncIterator[None]:
    clock = ScaledClock.starting_now()
    kubelet = FakeKubelet(cluster.client, clock, make_server=run_engines(clock, lambda _: ENGINE))
    await kubelet.add_node(FakeNode("node-1"))
    running = asyncio.create_task(kubelet.run())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await kubelet.close()


async def test_every_right_is_used_and_none_is_missing(cluster: Cluster, helm: Helm, tmp_path: Path) -> None:
    namespace = await cluster.create_namespace("chat")
    async with open_everything(cluster, helm, tmp_path, namespace) as product:
        granted = list_rights(product.rendered)
        story = Story(cluster, product, namespace)
        await story.begin()

        async def look() -> list[str]:
            await story.go_on()
            return sorted(map(str, granted - list_used(story.read_requests(), granted)))

        await wait_until(look, lambda unused: not unused, what="every right that is granted is used", timeout_s=STORY_S)
        assert find_denied(story.read_requests()) == []


@pytest.mark.parametrize("values", [{}, {"apiService": {"create": False}}], ids=["with the API", "pages only"])
async def test_one_namespace_can_be_served_without_rights_on_others(
    cluster: Cluster, helm: Helm, tmp_path: Path, values: Json
) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    stranger = Workload(cluster, await cluster.create_namespace("strangers"))
    async with open_product(cluster, helm, tmp_path, values={**values, "namespaces": [llama.namespace]}) as product:
        with told_of(product):
            for workload in (stranger, llama):
                await workload.create()
            await llama.pin(PINNED)
            await _start(product)
            await llama.wait_for_planned(PINNED)
            if not values:
                await llama.wait_for_replicas(PINNED)
    assert not (await cluster.client.list(VARIANT_DECISIONS, stranger.namespace))["items"]
    denied = find_denied(read_requests(cluster.control_plane.folder, product.namespace, NAME))
    # Nodes are of no namespace: they are asked for, and done without.
    assert {(request.resource, request.verb) for request in denied} <= {("nodes", "list")}


class Story:
    """Things that happen to workloads, again and again, until the product has used every right it has."""

    def __init__(self, cluster: Cluster, product: Product, namespace: str) -> None:
        self._cluster, self._product, self._namespace = cluster, product, namespace
        self._steps = itertools.count()
        self._llama = Workload(cluster, namespace)
        self._gone = Workload(cluster, namespace, "gone")

    def read_requests(self) -> list[AuditedRequest]:
        """Return what the product asked of the API server so far."""
        return list(read_requests(self._cluster.control_plane.folder, self._product.namespace, NAME))

    async def begin(self) -> None:
        """Have a workload with two pods, one that will not stay, and one that somebody else decides about."""
        for workload, model in ((self._llama, "chat"), (self._gone, "gone")):
            annotations = {**MODEL, f"{PREFIX}model": model}
            await self._cluster.create(
                DEPLOYMENTS, self._namespace, make_deployment(workload.name, 2, annotations=annotations)
            )
        await self._llama.wait_for_decision(bool, what="there is one")
        await self._gone.wait_for_decision(bool, what="there is one")
        await self._gone.annotate(model=None)
        await self._claim_for_somebody_else("claimed")
        await self._cluster.delete(SECRETS, self._product.namespace, CERTIFICATE)
        (adapter,) = self._product.adapters
        adapter.process.stop()  # whoever starts anew finds a lease, and what was remembered
        adapter.process.start()
        await self._product.wait_ready()

    async def go_on(self) -> None:
        """Change the number and the accelerator of the first workload, and write over its decision meanwhile."""
        step = next(self._steps)
        await self._llama.annotate(override=f"pin={2 + step % 2}", accelerator=("L40S", "A100")[step // 2 % 2])
        deadline_s = time.monotonic() + 1.0
        while time.monotonic() < deadline_s:
            patch = {"metadata": {"annotations": {"example.com/touched": str(time.monotonic_ns())}}}
            await self._cluster.client.patch(
                VARIANT_DECISIONS, self._namespace, get_object_name(self._llama.ref), patch, kind=PatchType.MERGE
            )

    async def _claim_for_somebody_else(self, name: str) -> None:
        """Make a Deployment whose decision belongs to an installation that has not been heard of for long."""
        client = self._cluster.client
        elsewhere = await self._cluster.create_namespace("elsewhere")
        await self._cluster.create(CONFIG_MAPS, elsewhere, {"metadata": {"name": HEARTBEAT}})
        await self._cluster.create(DEPLOYMENTS, self._namespace, make_deployment(name, 1))
        found = await client.get(VARIANT_DECISIONS, self._namespace, get_object_name(self._llama.ref))
        spec = {**found["spec"], "installation": {"namespace": elsewhere, "name": "other"}}
        spec["workloadRef"] = {**spec["workloadRef"], "name": name}
        claim = {"metadata": {"name": get_object_name(WorkloadRef(self._namespace, name))}, "spec": spec}
        await self._cluster.create(VARIANT_DECISIONS, self._namespace, claim)
        await Workload(self._cluster, self._namespace, name).annotate(model="chat", accelerator="L40S")


def find_denied(requests: Iterable[AuditedRequest]) -> list[AuditedRequest]:
    """Return what was asked without the right to."""
    return [request for request in requests if request.code in (401, 403)]


def list_used(requests: Iterable[AuditedRequest], granted: Iterable[Right]) -> set[Right]:
    """Return which of the rights `granted` somebody has used with success; what is not there tells nothing."""
    done = {request for request in requests if 200 <= request.code < 300}
    return {right for right in granted if any(_is_use(right, request) for request in done)}


def _is_use(right: Right, request: AuditedRequest) -> bool:
    return (
        (right.group, right.resource, right.verb) == (request.group, request.resource, request.verb)
        and right.scope in ("*", request.namespace)
        and right.name in ("", request.name)
    )
