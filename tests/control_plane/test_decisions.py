"""Decisions as objects of a real API server: its schema, its table, its garbage collector, its conflicts and rights."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest

from adapter.clock import ScaledClock
from adapter.cluster import ClusterView, Obstacle, VariantFacts
from adapter.errors import Conflict, Denied, Refused
from adapter.inventory import Inventory
from adapter.kube.client import Json, KubeClient
from adapter.kube.decisions import (
    HEARTBEAT_NAME,
    DecisionReader,
    DecisionWatch,
    DecisionWriter,
    Installation,
    WriteReport,
)
from adapter.kube.events import EventWriter
from adapter.kube.resource import CONFIG_MAPS, DEPLOYMENTS, EVENTS, VARIANT_DECISIONS
from adapter.kube.state_store import KubeStateStore, get_state_name
from optimizer import State
from optimizer.domain import (
    Hold,
    ModelDecision,
    Override,
    OverrideMode,
    Reason,
    ReasonCode,
    WorkloadRef,
)
from optimizer.state import FleetState, ModelState
from tests.builders.decision_objects import FOLLOWS, Verdict, load_crd
from tests.builders.decisions import make_model_decision, make_variant_decision
from tests.control_plane.cluster import Cluster
from tests.control_plane.control_plane import Part
from tests.control_plane.pods import make_deployment
from tests.control_plane.sweeping import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CUSTOM_RESOURCE_DEFINITIONS,
    ROLE_BINDINGS,
    ROLES,
)

RULES_WHERE_WORKLOADS_ARE: tuple[Json, ...] = (
    {
        "apiGroups": ["variant-autoscaler.io"],
        "resources": ["variantdecisions"],
        "verbs": ["get", "list", "watch", "create", "update", "delete"],
    },
    {"apiGroups": ["variant-autoscaler.io"], "resources": ["variantdecisions/status"], "verbs": ["update"]},
    {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [HEARTBEAT_NAME], "verbs": ["get"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
)
RULES_AT_HOME: tuple[Json, ...] = (
    {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "verbs": ["get", "list", "watch", "create", "patch", "delete"],
    },
)


@dataclass
class Replica:
    """One process of an installation."""

    client: KubeClient
    clock: ScaledClock
    watch: DecisionWatch
    writer: DecisionWriter
    shown: dict[str, tuple[int, float]] = field(default_factory=dict)

    def show(self, models: tuple[ModelDecision, ...]) -> None:
        self.shown = {
            line.workload.name: (line.planned_replicas, model.decided_at_s)
            for model in models
            for line in model.variants
        }

    async def write(
        self, *decisions: ModelDecision, uids: dict[str, str] | None = None, **options: object
    ) -> WriteReport:
        facts = tuple(
            VariantFacts(line.workload, uid=(uids or {}).get(line.workload.name, ""))
            for model in decisions
            for line in model.variants
        )
        view = ClusterView(inventory=Inventory(()), variants=facts)
        return await self.writer.write(decisions, view, now_s=self.clock.now_s(), **options)  # type: ignore[arg-type]


@asynccontextmanager
async def open_replica(client: KubeClient, installation: Installation) -> AsyncIterator[Replica]:
    clock = ScaledClock.starting_now()
    watch = DecisionWatch(client, clock, installation)
    events = EventWriter(client, clock, instance="pod-1")
    replica = Replica(client, clock, watch, DecisionWriter(client, clock, watch, events=events, holder="pod-1"))
    running = asyncio.create_task(DecisionReader(watch, clock, replica.show).run())
    try:
        await watch.wait_synced(120.0)
        yield replica
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def decide(namespace: str, name: str, replicas: int, decided_at_s: float, **fields: object) -> ModelDecision:
    line = make_variant_decision(name, replicas, namespace=namespace, model_id="meta-llama/Llama-3.1-8B")
    return make_model_decision(replace(line, **fields), decided_at_s=decided_at_s)  # type: ignore[arg-type]


async def install_crd(cluster: Cluster) -> None:
    """Install the definition that the chart carries, and wait until its objects can be made."""
    crd = load_crd()
    await cluster.apply(CUSTOM_RESOURCE_DEFINITIONS, None, crd)

    def is_established(found: Json) -> bool:
        conditions = found.get("status", {}).get("conditions") or []
        return any(entry["type"] == "Established" and entry["status"] == "True" for entry in conditions)

    await cluster.wait_for(
        CUSTOM_RESOURCE_DEFINITIONS, None, crd["metadata"]["name"], is_established, what="the definition is served"
    )

    async def look() -> Json:
        return await cluster.client.list(VARIANT_DECISIONS)

    await cluster.wait_until(look, lambda found: "items" in found, what="its objects are listed")


@dataclass(frozen=True)
class World:
    """A cluster with the definition, a namespace of workloads, and one of the adapter."""

    cluster: Cluster
    namespace: str
    ours: Installation

    async def wait_shown(self, replica: Replica, shown: dict[str, tuple[int, float]]) -> None:
        async def look() -> dict[str, tuple[int, float]]:
            return replica.shown

        # The garbage collector of a cluster may need half a minute to learn of a kind that was defined anew.
        await self.cluster.wait_until(look, lambda found: found == shown, what=f"{shown} is shown")

    async def get(self, name: str) -> Json:
        return await self.cluster.client.get(VARIANT_DECISIONS, self.namespace, name)


@pytest.fixture
async def world(cluster: Cluster) -> World:
    await install_crd(cluster)
    namespace, home = [await cluster.create_namespace(prefix) for prefix in ("prod", "autoscaler")]
    return World(cluster, namespace, Installation(home, "variant-autoscaler"))


@pytest.fixture
async def replica(world: World) -> AsyncIterator[Replica]:
    async with open_replica(world.cluster.client, world.ours) as opened:
        yield opened


def now_us(replica: Replica) -> float:
    """Return the present time in whole microseconds, as times are written."""
    return round(replica.clock.now_s(), 6)


async def test_the_table_shows_plan_cost_and_reason(world: World, replica: Replica) -> None:
    await replica.write(decide(world.namespace, "llama-l40s", 3, now_us(replica), replica_cost_per_hour=4.2))
    path = VARIANT_DECISIONS.get_path(world.namespace)
    table = await world.cluster.client.request("GET", path, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    columns = [column["name"] for column in table["columnDefinitions"] if column["priority"] == 0]
    assert [name.upper() for name in columns] == "NAME MODEL VARIANT PLANNED READY COST/H REASON AGE".split()
    cells = dict(zip((column["name"] for column in table["columnDefinitions"]), table["rows"][0]["cells"], strict=True))
    assert (cells["Name"], cells["Model"]) == ("llama-l40s-deployment", "meta-llama/Llama-3.1-8B")
    assert (cells["Variant"], cells["Planned"], cells["Ready"]) == ("llama-l40s", 3, 1)
    assert (cells["Cost/h"], cells["Reason"], cells["Following"]) == (12.6, "ScaleUp", None)


async def test_the_api_server_keeps_every_field_and_gives_the_same_decision_back(
    world: World, replica: Replica
) -> None:
    fields = {
        "hold": Hold(Reason(ReasonCode.CALM_WINDOW, "5/s within the calm window")),
        "override": Override(OverrideMode.PIN, 3, "ada", 1_795_000_000.0, "annotation"),
        "proposed_replicas": 5,
        "replica_cost_per_hour": 2.0,
    }
    model = decide(world.namespace, "llama", 3, now_us(replica), **fields)
    workload = model.variants[0].workload
    verdict = Verdict(False, Reason(ReasonCode.NOT_FOLLOWED, "lost"), (Obstacle("A", "b", "c:\n  d: 0"),))
    report = await replica.write(model, following={workload: verdict}, zeroed_by={workload: "us"})
    assert report.failures == ()
    await world.wait_shown(replica, {"llama": (3, model.decided_at_s)})
    (record,) = await replica.watch.read_records()
    assert record.decision == model.variants[0]
    assert (record.zeroed_by, record.obstacles) == ("us", verdict.obstacles)
    item = await world.get("llama-deployment")
    statuses = {entry["type"]: entry["status"] for entry in item["status"]["conditions"]}
    assert statuses == {"Fresh": "True", "Following": "False", "Accepted": "True", "Troubled": "False"}
    again = await replica.write(model, following={workload: verdict}, zeroed_by={workload: "us"})
    assert (again.unchanged, again.written) == (1, 0)
    assert (await world.get("llama-deployment"))["metadata"]["resourceVersion"] == item["metadata"]["resourceVersion"]


async def test_the_schema_refuses_what_is_no_decision(world: World, replica: Replica) -> None:
    await replica.write(decide(world.namespace, "llama", 3, now_us(replica)))
    for status in ({"plannedReplicas": -1}, {"plannedReplicas": "many"}, {"decidedAt": "soon"}):
        with pytest.raises(Refused):
            await replica.client.patch(
                VARIANT_DECISIONS, world.namespace, "llama-deployment", {"status": status}, subresource="status"
            )
    with pytest.raises(Refused):
        await replica.client.patch(VARIANT_DECISIONS, world.namespace, "llama-deployment", {"spec": {"modelId": None}})


async def test_every_replica_shows_the_same_number_and_its_age_moves_with_the_heartbeat(
    world: World, replica: Replica
) -> None:
    async with open_replica(world.cluster.client, world.ours) as standby:
        for number in (1, 4, 4, 0):
            decided_at_s = now_us(replica)
            await replica.write(decide(world.namespace, "llama", number, decided_at_s))
            for one in (replica, standby):
                await world.wait_shown(one, {"llama": (number, decided_at_s)})


async def test_the_object_goes_when_its_workload_goes(world: World, replica: Replica) -> None:
    stored = await world.cluster.create(DEPLOYMENTS, world.namespace, make_deployment("llama", 0))
    model = decide(world.namespace, "llama", 3, now_us(replica))
    await replica.write(model, uids={"llama": stored["metadata"]["uid"]})
    await world.wait_shown(replica, {"llama": (3, model.decided_at_s)})
    await world.cluster.delete(DEPLOYMENTS, world.namespace, "llama")
    await world.wait_shown(replica, {})
    anew = await world.cluster.create(DEPLOYMENTS, world.namespace, make_deployment("llama", 0))
    report = await replica.write(model, uids={"llama": anew["metadata"]["uid"]})
    assert report.failures == ()
    await world.wait_shown(replica, {"llama": (3, model.decided_at_s)})


async def test_changes_are_events_on_the_workload(world: World, replica: Replica) -> None:
    stored = await world.cluster.create(DEPLOYMENTS, world.namespace, make_deployment("llama", 0))
    uids = {"llama": stored["metadata"]["uid"]}
    workload = WorkloadRef(world.namespace, "llama")
    await replica.write(decide(world.namespace, "llama", 1, now_us(replica)), uids=uids, following={workload: FOLLOWS})
    await replica.write(decide(world.namespace, "llama", 4, now_us(replica)), uids=uids, following={workload: FOLLOWS})
    events = [
        item for item in (await replica.client.list(EVENTS, world.namespace))["items"] if item["reason"] == "ScaleUp"
    ]
    (event,) = [item for item in events if item["reportingController"].startswith("variant-autoscaler.io/")]
    assert event["note"] == "planned replicas 1 -> 4: need 7.5/s"
    assert event["regarding"]["uid"] == uids["llama"]


async def test_a_restart_of_everything_loses_nothing(world: World, replica: Replica) -> None:
    model = decide(world.namespace, "llama", 3, now_us(replica))
    state = State({model.key: ModelState(policy="slo", decision=model)}, FleetState(model.decided_at_s))
    states = KubeStateStore(replica.client, replica.clock, world.ours)
    assert await states.load() == (State(), ())
    await states.save(state)
    await replica.write(model, zeroed_by={model.variants[0].workload: "us"})
    await world.wait_shown(replica, {"llama": (3, model.decided_at_s)})
    await world.cluster.control_plane.restart(Part.API_SERVER)
    assert replica.shown == {"llama": (3, model.decided_at_s)}
    async with AsyncExitStack() as stack:
        client = await world.cluster.open_client(world.cluster.control_plane.admin_kubeconfig)
        late = await stack.enter_async_context(open_replica(client, world.ours))
        await world.wait_shown(late, {"llama": (3, model.decided_at_s)})
        assert await late.watch.get_zeroed_by() == {model.variants[0].workload: "us"}
        assert await KubeStateStore(client, late.clock, world.ours).load() == (state, ())
        name = get_state_name(world.ours, model.key)
        await client.delete(CONFIG_MAPS, world.ours.namespace, name)
        recalled, _ = await KubeStateStore(client, late.clock, world.ours).load()
        remembered = recalled.models[model.key].decision
        assert remembered is not None
        assert (remembered.variants, remembered.decided_at_s) == (model.variants, model.decided_at_s)
        decided_at_s = now_us(late)
        await late.write(decide(world.namespace, "llama", 4, decided_at_s))
        item = await world.get("llama-deployment")
        assert (item["status"]["plannedReplicas"], item["status"]["zeroedBy"]) == (4, "us")
    await world.wait_shown(replica, {"llama": (4, decided_at_s)})  # it watches on


async def test_a_state_that_another_leader_wrote_meanwhile_is_not_written_over(world: World, replica: Replica) -> None:
    old, new = (KubeStateStore(replica.client, replica.clock, world.ours) for _ in range(2))
    models = [decide(world.namespace, "llama", number, now_us(replica)) for number in (1, 5, 2)]
    first, second, third = (State({model.key: ModelState(decision=model)}, FleetState(1.0)) for model in models)
    await old.load()
    await old.save(first)
    await new.load()
    await new.save(second)
    with pytest.raises(Conflict):
        await old.save(third)
    assert (await new.load())[0] == second


async def test_of_two_adapters_the_older_claim_keeps_working(world: World, replica: Replica) -> None:
    rival_home = await world.cluster.create_namespace("rival")
    async with open_replica(world.cluster.client, Installation(rival_home, "rival")) as rival:
        assert (await rival.write(decide(world.namespace, "llama", 3, now_us(rival)))).refused == ()
        report = await replica.write(decide(world.namespace, "llama", 7, now_us(replica)))
        (trouble,) = report.refused
        assert f"installation {rival_home}/rival decides about it already" in trouble.reason.message
        assert (await world.get("llama-deployment"))["status"]["plannedReplicas"] == 3
        items = (await replica.client.list(VARIANT_DECISIONS, world.namespace))["items"]
        (refusal,) = [item for item in items if item["spec"]["installation"]["namespace"] == world.ours.namespace]
        assert refusal["status"]["conditions"][0]["status"] == "False"
        assert replica.shown == {}


async def test_a_whole_life_needs_no_more_rights_than_these(world: World) -> None:
    """Every request that the writer, the readers and the state store make, under an account that may nothing else."""
    cluster, home = world.cluster, world.ours.namespace
    file = await cluster.write_service_account_kubeconfig(home, "adapter")
    await grant(cluster, home)
    client = await cluster.open_client(file)

    async def may_begin() -> bool:
        with suppress(Denied):
            return "items" in await client.list(CONFIG_MAPS, home)
        return False

    await cluster.wait_until(may_begin, bool, what="the rights are known")
    async with open_replica(client, world.ours) as replica:
        states = KubeStateStore(client, replica.clock, world.ours)
        await states.load()
        for number in (1, 2):
            model = decide(world.namespace, "llama", number, now_us(replica))
            await states.save(State({model.key: ModelState(decision=model)}, FleetState(float(number))))
            report = await replica.write(model)
            assert report.failures == ()
        await states.flush()
        await world.wait_shown(replica, {"llama": (2, model.decided_at_s)})
        await replica.writer.record_zeroed(model.variants[0].workload, "us")
        rival = Installation(await cluster.create_namespace("rival"), "rival")
        async with open_replica(cluster.client, rival) as other:
            await other.write(decide(world.namespace, "qwen", 1, now_us(other)))
            report = await replica.write(model, decide(world.namespace, "qwen", 9, now_us(replica)))
            assert "last sign of life" in report.refused[0].reason.message  # the heartbeat of the rival could be read
        assert (await states.load())[1] == ()
        with pytest.raises(Denied):
            await client.list(CONFIG_MAPS, rival.namespace)


async def grant(cluster: Cluster, home: str) -> None:
    subject = {"kind": "ServiceAccount", "name": "adapter", "namespace": home}
    group = "rbac.authorization.k8s.io"
    await cluster.apply(CLUSTER_ROLES, None, {"metadata": {"name": home}, "rules": list(RULES_WHERE_WORKLOADS_ARE)})
    await cluster.apply(
        CLUSTER_ROLE_BINDINGS,
        None,
        {
            "metadata": {"name": home},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": home},
            "subjects": [subject],
        },
    )
    await cluster.apply(ROLES, home, {"metadata": {"name": "own"}, "rules": list(RULES_AT_HOME)})
    await cluster.apply(
        ROLE_BINDINGS,
        home,
        {
            "metadata": {"name": "own"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "own"},
            "subjects": [subject],
        },
    )
