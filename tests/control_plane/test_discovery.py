"""What discovery makes of a real API server, its controllers, and its rights."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest

from adapter.clock import ScaledClock
from adapter.cluster import AmountKind, ClusterView, VariantFacts
from adapter.errors import Denied
from adapter.inventory import PodEntry, WorkloadEntry
from adapter.kube.client import Json, KubeClient, PatchType
from adapter.kube.discovery import ClusterWatch, DiscoveryOptions, WorkloadClaim
from adapter.kube.resource import (
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    NODES,
    PODS,
    REPLICA_SETS,
    RESOURCE_QUOTAS,
    STATEFUL_SETS,
    Resource,
)
from optimizer.domain import PodPhase, Reason, ReasonCode, WorkloadRef
from tests.control_plane.cluster import Cluster
from tests.control_plane.control_plane import Part
from tests.control_plane.fake_kubelet import FakeKubelet, open_kubelet
from tests.control_plane.fake_nodes import FakeNode
from tests.control_plane.pods import make_deployment, make_pod_template

NODE = FakeNode("discovery-node", "NVIDIA-L40S", 4)
MODEL = {"variant-autoscaler.io/model": "meta-llama/Llama-3.1-8B-Instruct"}
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
SERVINGS = Resource("discovery.test", "v1", "servings", "Serving")

_READ = ["list", "watch"]
RULES: tuple[Json, ...] = (
    {"apiGroups": [""], "resources": ["pods", "nodes", "resourcequotas"], "verbs": _READ},
    {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets", "replicasets"], "verbs": _READ},
    {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": _READ},
    {"apiGroups": ["leaderworkerset.x-k8s.io"], "resources": ["leaderworkersets"], "verbs": _READ},
    {"apiGroups": ["keda.sh"], "resources": ["scaledobjects"], "verbs": _READ},
    {"apiGroups": ["autoscaling.aibrix.ai"], "resources": ["podautoscalers"], "verbs": _READ},
)
"""All that discovery asks for; kinds of other products need their rights only where they are installed."""


@asynccontextmanager
async def _watching(client: KubeClient, namespace: str, **options: object) -> AsyncIterator[ClusterWatch]:
    chosen = DiscoveryOptions(namespaces=(namespace,), **options)  # type: ignore[arg-type]
    watch = ClusterWatch(client, ScaledClock.starting_now(), chosen)
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _wait_for_view(
    cluster: Cluster, watch: ClusterWatch, is_done: Callable[[ClusterView], object], what: str
) -> ClusterView:
    async def look() -> ClusterView:
        return watch.get_view()

    def is_known(view: ClusterView) -> bool:
        return view.inventory.reason is None and bool(is_done(view))

    return await cluster.wait_until(look, is_known, what=what)


def _the_workload(view: ClusterView) -> WorkloadEntry | None:
    return next(iter(view.inventory.workloads), None)


def _the_variant(view: ClusterView) -> VariantFacts:
    (facts,) = view.variants
    return facts


def _list_pods(view: ClusterView, phase: PodPhase = PodPhase.READY) -> list[PodEntry]:
    entry = _the_workload(view)
    return [] if entry is None else [pod for pod in entry.pods if pod.phase is phase]


async def _scale(cluster: Cluster, namespace: str, name: str, replicas: int) -> None:
    await cluster.client.patch(DEPLOYMENTS, namespace, name, {"spec": {"replicas": replicas}}, subresource="scale")


async def test_a_labeled_deployment_is_a_variant_with_its_pods(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    body = make_deployment("llama", 2, accelerators=1, annotations=MODEL, grace_s=45)
    stored = await cluster.create(DEPLOYMENTS, namespace, body)
    async with open_kubelet(FakeKubelet(cluster.client), [NODE]), _watching(cluster.client, namespace) as watch:
        view = await _wait_for_view(cluster, watch, lambda it: len(_list_pods(it)) == 2, "two ready pods")
        facts = _the_variant(view)
        assert facts.workload == WorkloadRef(namespace, "llama")
        assert facts.uid == stored["metadata"]["uid"]
        assert (facts.model_id, facts.variant) == (MODEL["variant-autoscaler.io/model"], "llama")
        assert (facts.accelerator, facts.accelerators_per_replica) == ("L40S", 1)
        assert (facts.metrics_port, facts.termination_grace_s) == (8000, 45.0)
        for pod in _list_pods(view):
            assert pod.url.startswith("http://127.")
            assert pod.url.endswith(":8000")
            assert pod.created_s is not None
            assert pod.ready_s is not None
            assert pod.ready_s >= pod.created_s
        await _scale(cluster, namespace, "llama", 1)
        await _wait_for_view(cluster, watch, lambda it: len(_list_pods(it)) == 1, "one ready pod")
        entry = _the_workload(watch.get_view())
        assert entry is not None
        assert entry.requested_replicas == 1
        await cluster.delete(DEPLOYMENTS, namespace, "llama")
        await _wait_for_view(cluster, watch, lambda it: not it.variants, "no variant")


async def test_a_rolling_update_with_surge_does_not_inflate_what_is_asked_for(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    body = make_deployment("llama", 2, accelerators=1, annotations=MODEL, strategy=strategy)
    await cluster.create(DEPLOYMENTS, namespace, body)
    kubelet = FakeKubelet(cluster.client)
    async with open_kubelet(kubelet, [NODE]), _watching(cluster.client, namespace) as watch:
        view = await _wait_for_view(cluster, watch, lambda it: len(_list_pods(it)) == 2, "two ready pods")
        old = {pod.pod for pod in _list_pods(view)}
        kubelet.startup_s = 10.0
        change = {"spec": {"template": {"metadata": {"annotations": {"again": "1"}}}}}
        await cluster.client.patch(DEPLOYMENTS, namespace, "llama", change)
        view = await _wait_for_view(
            cluster, watch, lambda it: len(_list_pods(it, PodPhase.STARTING)) == 1, "a pod of the new template"
        )
        seen = set()

        def is_renewed(view: ClusterView) -> bool:
            entry = _the_workload(view)
            assert entry is not None
            seen.add(entry.requested_replicas)
            return len(_list_pods(view)) == 2 and not old & {pod.pod for pod in entry.pods}

        kubelet.startup_s = 0.0
        await _wait_for_view(cluster, watch, is_renewed, "both pods renewed")
        assert seen == {2}


async def test_pods_without_a_place_bound_the_plan_until_there_is_one(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    await cluster.create(DEPLOYMENTS, namespace, make_deployment("llama", 3, accelerators=2, annotations=MODEL))
    kubelet = FakeKubelet(cluster.client)
    async with (
        open_kubelet(kubelet, [NODE]),
        _watching(cluster.client, namespace, unschedulable_after_s=1.0) as watch,
    ):
        view = await _wait_for_view(cluster, watch, lambda it: it.amounts, "a bound")
        (amount,) = view.amounts
        assert (amount.kind, amount.workload, amount.amount) == (
            AmountKind.SCHEDULER,
            WorkloadRef(namespace, "llama"),
            2,
        )
        (trouble,) = view.troubles
        assert trouble.reason.code is ReasonCode.UNSCHEDULABLE
        await kubelet.add_node(FakeNode("discovery-node-2", "NVIDIA-L40S", 4))
        await _wait_for_view(
            cluster,
            watch,
            lambda it: len(_list_pods(it)) == 3 and not it.amounts and not it.troubles,
            "three ready pods and no bound",
        )


async def test_an_evicted_pod_is_no_replica(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    await cluster.create(DEPLOYMENTS, namespace, make_deployment("llama", 1, accelerators=1, annotations=MODEL))
    kubelet = FakeKubelet(cluster.client)
    async with open_kubelet(kubelet, [NODE]), _watching(cluster.client, namespace) as watch:
        view = await _wait_for_view(cluster, watch, lambda it: len(_list_pods(it)) == 1, "a ready pod")
        (evicted,) = _list_pods(view)
        await kubelet.evict(namespace, evicted.pod.name)

        def is_replaced(view: ClusterView) -> bool:
            entry = _the_workload(view)
            return entry is not None and [pod.phase for pod in entry.pods] == [PodPhase.READY]

        view = await _wait_for_view(cluster, watch, lambda it: is_replaced(it) and evicted not in _list_pods(it), "new")
        found = await cluster.client.get(PODS, namespace, evicted.pod.name)
        assert found["status"]["phase"] == "Failed"


async def test_a_quota_and_the_nodes_tell_what_is_left(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    hard = {"requests.nvidia.com/gpu": "3"}
    await cluster.create(RESOURCE_QUOTAS, namespace, {"metadata": {"name": "gpus"}, "spec": {"hard": hard}})
    await cluster.create(DEPLOYMENTS, namespace, make_deployment("stranger", 1, accelerators=1))
    await cluster.create(DEPLOYMENTS, namespace, make_deployment("llama", 1, accelerators=1, annotations=MODEL))
    async with open_kubelet(FakeKubelet(cluster.client), [NODE]), _watching(cluster.client, namespace) as watch:

        def is_whole(view: ClusterView) -> bool:
            return len(_list_pods(view)) == 1 and [amount.amount for amount in view.amounts] == [2.0]

        view = await _wait_for_view(cluster, watch, is_whole, "a quota with two devices left")
        (amount,) = view.amounts
        assert (amount.kind, amount.namespace) == (AmountKind.QUOTA, namespace)


async def test_same_names_of_two_kinds_and_labels_of_two_products(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    await cluster.create(DEPLOYMENTS, namespace, make_deployment("llama", 1, annotations=MODEL))
    template = make_pod_template({"set": "llama"})
    spec = {"replicas": 2, "serviceName": "x", "selector": {"matchLabels": {"set": "llama"}}, "template": template}
    labels = {"model.aibrix.ai/name": "other"}
    about = {"name": "llama", "annotations": MODEL, "labels": labels}
    await cluster.create(STATEFUL_SETS, namespace, {"metadata": about, "spec": spec})
    async with _watching(cluster.client, namespace) as watch:
        view = await _wait_for_view(cluster, watch, lambda it: len(it.variants) == 2, "two variants")
        assert {(facts.workload.kind, facts.variant) for facts in view.variants} in (
            {("Deployment", "llama"), ("StatefulSet", "llama-statefulset")},
            {("Deployment", "llama-deployment"), ("StatefulSet", "llama")},
        )
        (trouble,) = view.troubles
        assert trouble.reason.code is ReasonCode.CONFLICTING_CLAIM
        assert trouble.workload.kind == "StatefulSet"


async def test_who_declares_replicas_is_found_in_managed_fields(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    body = {**make_deployment("llama", 1, annotations=MODEL), "apiVersion": "apps/v1", "kind": "Deployment"}
    path = DEPLOYMENTS.get_path(namespace, "llama")
    async with _watching(cluster.client, namespace) as watch:
        query = {"fieldManager": "argocd-controller", "force": "true"}
        await cluster.client.request("PATCH", path, query=query, body=body, content_type=PatchType.APPLY.value)
        view = await _wait_for_view(cluster, watch, lambda it: it.variants, "a variant")
        assert _the_variant(view).replicas_owner == "argocd-controller"
        # A scaler takes the field away; until the next sync nobody else sees that somebody will want it back.
        await _scale(cluster, namespace, "llama", 2)
        stored = await cluster.client.get(DEPLOYMENTS, namespace, "llama")
        owners = {
            entry["manager"]
            for entry in stored["metadata"]["managedFields"]
            if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
        }
        assert owners == {"variant-autoscaler"}
        view = await _wait_for_view(
            cluster, watch, lambda it: it.inventory.workloads[0].requested_replicas == 2, "the step"
        )
        assert _the_variant(view).replicas_owner == "argocd-controller"


async def test_an_hpa_that_reads_our_number_is_a_follower(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    await cluster.create(DEPLOYMENTS, namespace, make_deployment("llama", 1, annotations=MODEL))
    metric = {"name": "deployment_replicas", "selector": {"matchLabels": {"deployment": "llama"}}}
    external = {"metric": metric, "target": {"type": "AverageValue", "averageValue": "1"}}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "llama"},
        "minReplicas": 1,
        "maxReplicas": 7,
        "metrics": [{"type": "External", "external": external}],
    }
    await cluster.create(HORIZONTAL_POD_AUTOSCALERS, namespace, {"metadata": {"name": "llama"}, "spec": spec})
    async with _watching(cluster.client, namespace) as watch:
        view = await _wait_for_view(cluster, watch, lambda it: it.followers, "a follower")
        (follower,) = view.followers[WorkloadRef(namespace, "llama")]
        assert (follower.min_replicas, follower.max_replicas) == (1, 7)


@pytest.fixture
async def servings(cluster: Cluster) -> AsyncIterator[Resource]:
    """A kind of object that nobody knew beforehand, with a scale at paths of its own."""
    fields = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    scale = {
        "specReplicasPath": ".spec.size",
        "statusReplicasPath": ".status.size",
        "labelSelectorPath": ".status.chosen",
    }
    version = {
        "name": SERVINGS.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": fields, "status": fields}}},
        "subresources": {"status": {}, "scale": scale},
    }
    names = {"plural": SERVINGS.plural, "singular": "serving", "kind": SERVINGS.kind}
    spec = {"group": SERVINGS.group, "scope": "Namespaced", "names": names, "versions": [version]}
    name = f"{SERVINGS.plural}.{SERVINGS.group}"
    await cluster.create(CRDS, None, {"metadata": {"name": name}, "spec": spec})

    def is_established(crd: Json) -> bool:
        conditions = crd.get("status", {}).get("conditions") or []
        return any(entry["type"] == "Established" and entry["status"] == "True" for entry in conditions)

    await cluster.wait_for(CRDS, None, name, is_established, what="the kind is served")
    yield SERVINGS
    await cluster.delete(CRDS, None, name)


async def test_any_object_with_a_scale_may_be_a_variant(cluster: Cluster, servings: Resource) -> None:
    namespace = await cluster.create_namespace()
    ref = WorkloadRef(namespace, "mistral", servings.kind, servings.api_version)
    await cluster.create(servings, namespace, {"metadata": {"name": "mistral"}, "spec": {"size": 3}})
    body = {"status": {"size": 1, "chosen": "app=mistral,tier notin (canary)"}}
    await cluster.client.patch(servings, namespace, "mistral", body, subresource="status")
    for name, labels in (("one", {"app": "mistral"}), ("two", {"app": "mistral", "tier": "canary"})):
        template = make_pod_template(labels, accelerators=1)
        await cluster.create(PODS, namespace, {**template, "metadata": {"name": name, "labels": labels}})
    async with open_kubelet(FakeKubelet(cluster.client), [NODE]), _watching(cluster.client, namespace) as watch:
        watch.claim([WorkloadClaim(ref, "mistral", "l40s")])
        view = await _wait_for_view(cluster, watch, lambda it: len(_list_pods(it)) == 1, "its ready pod")
        entry = view.inventory.get(ref)
        assert entry is not None
        assert (entry.requested_replicas, entry.pods[0].pod.name) == (3, "one")
        assert (_the_variant(view).variant, _the_variant(view).accelerator) == ("l40s", "L40S")


async def test_nothing_vanishes_while_the_api_server_restarts(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    await cluster.create(DEPLOYMENTS, namespace, make_deployment("llama", 2, annotations=MODEL))
    async with _watching(cluster.client, namespace) as watch:
        starting = PodPhase.STARTING
        await _wait_for_view(cluster, watch, lambda it: len(_list_pods(it, starting)) == 2, "two pods")
        restart = asyncio.create_task(cluster.control_plane.restart(Part.API_SERVER))
        reasons: list[Reason | None] = []
        while not restart.done():
            view = watch.get_view()
            reasons.append(view.inventory.reason)
            assert len(_list_pods(view, starting)) == 2
            await asyncio.sleep(0.05)
        await restart
        await _scale(cluster, namespace, "llama", 3)
        await _wait_for_view(cluster, watch, lambda it: len(_list_pods(it, starting)) == 3, "three pods")
        assert all(reason is None or reason.code is ReasonCode.STALE for reason in reasons)


async def _grant(cluster: Cluster, namespace: str, rules: tuple[Json, ...]) -> None:
    """Let the account ``reader`` of `namespace` do what `rules` say, and nothing else, in the whole cluster."""
    name = f"discovery-{namespace}"
    await cluster.apply(CLUSTER_ROLES, None, {"metadata": {"name": name}, "rules": list(rules)})
    role = {"apiGroup": CLUSTER_ROLES.group, "kind": "ClusterRole", "name": name}
    subject = {"kind": "ServiceAccount", "namespace": namespace, "name": "reader"}
    binding = {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
    await cluster.apply(CLUSTER_ROLE_BINDINGS, None, binding)


async def _may_list(client: KubeClient, resource: Resource) -> bool:
    try:
        await client.list(resource)
    except Denied:
        return False
    return True


async def test_the_rights_that_are_documented_suffice_and_each_is_needed(cluster: Cluster) -> None:
    namespace = await cluster.create_namespace()
    await cluster.create(DEPLOYMENTS, namespace, make_deployment("llama", 1, annotations=MODEL))
    client = await cluster.open_client(await cluster.write_service_account_kubeconfig(namespace, "reader"))
    await _grant(cluster, namespace, RULES)
    clock = ScaledClock.starting_now()

    async def find_failures(is_known: Callable[[ClusterWatch], bool]) -> tuple[str, ...]:
        watch = ClusterWatch(client, clock)
        task = asyncio.create_task(watch.run())

        async def look() -> ClusterWatch:
            return watch

        try:
            await cluster.wait_until(look, is_known, what="the watch knows, or says what it may not")
            return watch.failures
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    assert await find_failures(lambda it: it.is_synced and bool(it.get_view().variants)) == ()
    for resource in (PODS, NODES, RESOURCE_QUOTAS, DEPLOYMENTS, STATEFUL_SETS, REPLICA_SETS):
        plural = resource.plural
        fewer = tuple({**rule, "resources": [name for name in rule["resources"] if name != plural]} for rule in RULES)
        await _grant(cluster, namespace, tuple(rule for rule in fewer if rule["resources"]))
        await cluster.wait_until(
            partial(_may_list, client, resource), lambda may: not may, what=f"no right to {plural}"
        )
        failures = await find_failures(lambda it: bool(it.failures))
        assert all(failure.startswith(f"the right to list {plural}") for failure in failures)
    await cluster.delete(CLUSTER_ROLE_BINDINGS, None, f"discovery-{namespace}")
    await cluster.delete(CLUSTER_ROLES, None, f"discovery-{namespace}")
