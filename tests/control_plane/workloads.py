"""What stories do with a workload: make it, override it, scale it, wait for what is said of it. It judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from adapter.kube.client import Json, PatchType
from adapter.kube.decisions.installation import get_object_name
from adapter.kube.resource import DEPLOYMENTS, EVENTS, HORIZONTAL_POD_AUTOSCALERS, VARIANT_DECISIONS, Resource
from optimizer.domain import WorkloadRef
from tests.control_plane.autoscalers import make_autoscaler
from tests.control_plane.cluster import Cluster
from tests.control_plane.pods import make_deployment
from tests.control_plane.product import Product
from tests.control_plane.waiting import PATIENCE_S

PREFIX = "variant-autoscaler.io/"
MODEL = {f"{PREFIX}model": "chat", f"{PREFIX}accelerator": "L40S"}
"""Annotations of a workload that needs nothing from the configuration."""

_REPORTER = "variant-autoscaler.io/controller"
_PASS = '"event": "cycle"'
_LOG_LINES_READ, _LOG_LINES, _LOG_COLUMNS = 400, 20, 250


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment, or whatever `resource` is, which an HPA may follow."""

    cluster: Cluster
    namespace: str
    name: str = "llama"
    resource: Resource = DEPLOYMENTS

    @property
    def ref(self) -> WorkloadRef:
        """Its identity."""
        return WorkloadRef(self.namespace, self.name, self.resource.kind, self.resource.api_version)

    @property
    def autoscaler(self) -> str:
        """Name of its HPA."""
        return self.name if self.resource == DEPLOYMENTS else f"{self.name}-{self.resource.kind.lower()}"

    async def create(
        self, replicas: int = 1, annotations: Mapping[str, str] = MODEL, autoscaler: Json | None = None
    ) -> None:
        """Make it, annotated, and its HPA: the recommended one unless another is given."""
        await self.create_alone(make_deployment(self.name, replicas, annotations=annotations))
        await self.follow(autoscaler)

    async def create_alone(self, body: Json) -> None:
        """Make it without an HPA."""
        await self.cluster.create(self.resource, self.namespace, body)

    async def follow(self, autoscaler: Json | None = None) -> None:
        """Make its HPA, whatever name is in it."""
        body = autoscaler or make_autoscaler(self.name, kind=self.resource.kind)
        named = {**body, "metadata": {"name": self.autoscaler}}
        await self.cluster.create(HORIZONTAL_POD_AUTOSCALERS, self.namespace, named)

    async def annotate(self, **annotations: str | None) -> None:
        """Set annotations of ours, a dash of their names written as a low line; None takes one away."""
        named = {PREFIX + name.replace("_", "-"): value for name, value in annotations.items()}
        await self.patch({"metadata": {"annotations": named}})

    async def pin(self, replicas: int | None) -> None:
        """Pin it by its annotation; None takes the pin away."""
        await self.annotate(override=None if replicas is None else f"pin={replicas}")

    async def patch(self, patch: Json) -> None:
        """Merge `patch` into it."""
        await self.cluster.client.patch(self.resource, self.namespace, self.name, patch, kind=PatchType.MERGE)

    async def patch_autoscaler(self, patch: Json) -> None:
        """Merge `patch` into its HPA."""
        client = self.cluster.client
        await client.patch(HORIZONTAL_POD_AUTOSCALERS, self.namespace, self.autoscaler, patch, kind=PatchType.MERGE)

    async def scale(self, replicas: int) -> None:
        """Scale it, as a person does with kubectl."""
        patch = {"spec": {"replicas": replicas}}
        await self.cluster.client.patch(self.resource, self.namespace, self.name, patch, subresource="scale")

    async def read(self) -> Json:
        """Return it as it is."""
        return await self.cluster.client.get(self.resource, self.namespace, self.name)

    async def read_replicas(self) -> int:
        """Return the replicas that it asks for."""
        return int((await self.read())["spec"]["replicas"])

    async def wait_for_replicas(self, replicas: int) -> None:
        """Return when it asks for that many."""
        await self.wait_for(lambda it: it["spec"]["replicas"] == replicas, what=f"asks for {replicas} replicas")

    async def wait_for_ready(self, replicas: int, *, timeout_s: float = PATIENCE_S) -> None:
        """Return when it asks for that many, and exactly those are there and ready."""

        def is_done(found: Json) -> bool:
            status = found.get("status", {})
            counts = {found["spec"]["replicas"], status.get("replicas", 0), status.get("readyReplicas", 0)}
            return counts == {replicas}

        await self.wait_for(is_done, what=f"has {replicas} ready replicas", timeout_s=timeout_s)

    async def wait_for(self, is_done: Callable[[Json], object], *, what: str, timeout_s: float = PATIENCE_S) -> Json:
        """Return it once `is_done` accepts it."""
        what = f"{self.resource.kind} {self.name} {what}"
        return await self.cluster.wait_for(
            self.resource, self.namespace, self.name, is_done, what=what, timeout_s=timeout_s
        )

    async def wait_for_autoscaler(self, is_done: Callable[[Json], object], *, what: str) -> Json:
        """Return its HPA once `is_done` accepts it."""
        return await self.cluster.wait_for(
            HORIZONTAL_POD_AUTOSCALERS, self.namespace, self.autoscaler, is_done, what=f"HPA {self.autoscaler} {what}"
        )

    async def wait_for_decision(self, is_done: Callable[[Json], object], *, what: str) -> Json:
        """Return the status of its VariantDecision once `is_done` accepts it."""
        found = await self.cluster.wait_for(
            VARIANT_DECISIONS,
            self.namespace,
            get_object_name(self.ref),
            lambda it: "status" in it and is_done(it["status"]),
            what=f"the decision about {self.name}: {what}",
        )
        status: Json = found["status"]
        return status

    async def wait_for_planned(self, replicas: int) -> Json:
        """Return the status of its VariantDecision once it plans that many."""
        return await self.wait_for_decision(
            lambda status: status.get("plannedReplicas") == replicas, what=f"{replicas} planned"
        )

    async def wait_for_condition(self, kind: str, status: str, part: str = "") -> Json:
        """Return the status of its VariantDecision once a condition stands so, with `part` in its message."""

        def is_done(told: Json) -> bool:
            found = get_condition(told, kind)
            return found.get("status") == status and part in found["message"]

        return await self.wait_for_decision(is_done, what=f"{kind}={status} with '{part}'")

    async def wait_for_event(self, reason: str, part: str = "") -> Json:
        """Return an event of ours about it that has `reason`, and `part` in its note."""

        async def look() -> list[Json]:
            found = (await self.cluster.client.list(EVENTS, self.namespace))["items"]
            about = (self.resource.kind, self.name)
            ours = (it for it in found if it.get("reportingController") == _REPORTER)
            return [it for it in ours if (it["regarding"]["kind"], it["regarding"]["name"]) == about]

        def find(events: list[Json]) -> list[Json]:
            return [it for it in events if it["reason"] == reason and part in it["note"]]

        what = f"an event {reason} about {self.name} with '{part}'"
        return find(await self.cluster.wait_until(look, find, what=what))[0]


def get_condition(status: Json, kind: str) -> Json:
    """Return one condition of a status, {} where it has none of that type."""
    conditions = status.get("conditions") or []
    return next((entry for entry in conditions if entry["type"] == kind), {})


def has_decided_upon(number: int) -> Callable[[Json], bool]:
    """Return whether an HPA has read `number`, and taken a decision with it; there must be replicas."""

    def is_read(autoscaler: Json) -> bool:
        status = autoscaler.get("status", {})
        metrics, existing = status.get("currentMetrics") or [], status.get("currentReplicas", 0)
        told = [it["external"]["current"].get("averageValue") for it in metrics if it["type"] == "External"]
        return bool(existing) and told == [render_average(number, existing)]

    return is_read


def render_average(number: int, replicas: int) -> str:
    """Return the average of `number` over `replicas` as the status of an HPA has it."""
    milli = -(-number * 1000 // replicas)
    return f"{milli}m" if milli % 1000 else f"{milli // 1000}"


@contextmanager
def told_of(product: Product) -> Iterator[None]:
    """Show the end of the logs of `product`, but for what every pass says, when what is done within fails."""
    try:
        yield
    except BaseException:
        for adapter in product.adapters:
            lines = [line for line in adapter.process.read_end(_LOG_LINES_READ).splitlines() if _PASS not in line]
            print(f"--- {adapter.name}", *(line[:_LOG_COLUMNS] for line in lines[-_LOG_LINES:]), sep="\n")
        raise
