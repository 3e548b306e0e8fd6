"""The watch of a whole cluster over real HTTP: what it knows, when it knows it, and what it says when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from adapter.cluster import ClusterView
from adapter.kube.client import KubeClient
from adapter.kube.discovery import ClusterWatch, DiscoveryOptions, WorkloadClaim
from adapter.kube.discovery.scaled import PERIOD_S
from adapter.kube.discovery.watch import BEHIND_S
from adapter.kube.resource import (
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    LEADER_WORKER_SETS,
    NODES,
    POD_AUTOSCALERS,
    PODS,
    REPLICA_SETS,
    RESOURCE_QUOTAS,
    SCALED_OBJECTS,
    STATEFUL_SETS,
    Resource,
)
from optimizer.domain import ReasonCode, WorkloadRef
from tests.builders.cluster_objects import Json, load, make_node, make_pods, make_workload
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.quiet_clock import QuietClock
from tests.builders.stepped_clock import until

ROLLOUTS = Resource("argoproj.io", "v1alpha1", "rollouts", "Rollout")
ROLLOUT_REF = WorkloadRef("prod", "mistral", "Rollout", "argoproj.io/v1alpha1")
LLAMA_REF = WorkloadRef("prod", "llama")
_RESOURCES = {
    resource.kind: resource
    for resource in (
        *(DEPLOYMENTS, STATEFUL_SETS, LEADER_WORKER_SETS, REPLICA_SETS, PODS, NODES, RESOURCE_QUOTAS),
        *(HORIZONTAL_POD_AUTOSCALERS, SCALED_OBJECTS, POD_AUTOSCALERS, ROLLOUTS),
    )
}


def _put(api: FakeKubeApi, *documents: Json) -> None:
    for document in documents:
        body = {**document, "metadata": {**document["metadata"]}}
        body["metadata"].pop("resourceVersion", None)
        api.put(_RESOURCES[document["kind"]], body)


@asynccontextmanager
async def _running(watch: ClusterWatch) -> AsyncIterator[ClusterWatch]:
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        done = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(done[0], asyncio.CancelledError), done


async def _step_until(clock: QuietClock, condition: Callable[[], bool], longest_s: float = 120.0) -> None:
    end_s = clock.now_s() + longest_s
    while not condition():
        assert clock.now_s() < end_s, "it did not come about in time"
        await clock.run_to(clock.now_s() + 0.5)


def _get_names(view: ClusterView) -> list[str]:
    return [facts.workload.name for facts in view.variants]


def _count_pods(view: ClusterView, ref: WorkloadRef = LLAMA_REF) -> int:
    entry = view.inventory.get(ref)
    assert entry is not None
    return len(entry.pods)


async def test_before_it_is_known_the_cluster_is_not_empty_but_unknown(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    workload = make_workload("llama", model="llama", replicas=2)
    _put(kube_api, workload, *make_pods(workload, 2))
    watch = ClusterWatch(kube_client, quiet_clock)
    view = watch.get_view()
    assert view.inventory.reason is not None
    assert view.inventory.reason.code is ReasonCode.STALE
    assert "not known yet" in view.inventory.reason.message
    assert "pods" in view.inventory.reason.message
    async with _running(watch):
        await until(lambda: watch.is_synced)
        view = watch.get_view()
        assert view.inventory.reason is None
        assert (_get_names(view), _count_pods(view)) == (["llama"], 2)
        assert watch.failures == ()


async def test_what_is_missing_at_the_start_is_named(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    kube_api.deny("list", "pods")
    watch = ClusterWatch(kube_client, quiet_clock)
    async with _running(watch):
        await until(lambda: bool(watch.failures))
        await quiet_clock.run_to(quiet_clock.now_s() + 5.0)
        assert not watch.is_synced
        reason = watch.get_view().inventory.reason
        assert reason is not None
        assert reason.message.startswith("the cluster is not known yet: pods; the right to list pods is missing")
        kube_api.heal()
        await _step_until(quiet_clock, lambda: watch.is_synced)
        assert watch.get_view().inventory.reason is None


async def test_changes_are_followed(kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock) -> None:
    workload = make_workload("llama", model="llama")
    watch = ClusterWatch(kube_client, quiet_clock)
    async with _running(watch):
        await until(lambda: watch.is_synced)
        assert watch.get_view() == ClusterView()
        _put(kube_api, workload, *make_pods(workload, 3), make_node("node-a"))
        await until(lambda: _get_names(watch.get_view()) == ["llama"] and _count_pods(watch.get_view()) == 3)
        await until(lambda: watch.get_view().variants[0].accelerator == "H100")
        kube_api.change(DEPLOYMENTS, "prod", "llama", {"spec": {"replicas": 5}})
        await until(lambda: watch.get_view().inventory.workloads[0].requested_replicas == 5)
        kube_api.remove(PODS, "prod", "llama-0")
        await until(lambda: _count_pods(watch.get_view()) == 2)
        kube_api.remove(DEPLOYMENTS, "prod", "llama")
        await until(lambda: watch.get_view().variants == ())


async def test_while_the_api_is_away_the_last_view_stays_with_the_reason(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    workload = make_workload("llama", model="llama")
    _put(kube_api, workload, *make_pods(workload, 3))
    watch = ClusterWatch(kube_client, quiet_clock)
    async with _running(watch):
        await until(lambda: watch.is_synced)
        before = watch.get_view()
        await kube_api.stop()
        await _step_until(quiet_clock, lambda: watch.get_view().inventory.reason is not None)
        view = watch.get_view()
        assert replace(view, inventory=replace(view.inventory, reason=None)) == before
        assert view.inventory.reason is not None
        assert view.inventory.reason.code is ReasonCode.STALE
        assert " are those of 1970-01-12T" in view.inventory.reason.message
        later = watch.get_view().inventory.reason
        assert later == view.inventory.reason  # it does not change with time
        await kube_api.start()
        await _step_until(quiet_clock, lambda: watch.get_view().inventory.reason is None)
        assert watch.get_view() == before


async def test_a_watch_that_breaks_for_a_moment_is_no_reason(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    _put(kube_api, make_workload("llama", model="llama"))
    watch = ClusterWatch(kube_client, quiet_clock)
    async with _running(watch):
        await until(lambda: watch.is_synced and kube_api.get_watches() >= 10)
        kube_api.drop_watches()
        end_s = quiet_clock.now_s() + BEHIND_S
        while quiet_clock.now_s() < end_s:
            assert watch.get_view().inventory.reason is None
            await quiet_clock.run_to(quiet_clock.now_s() + 0.5)
        assert watch.get_view().inventory.reason is None


async def test_kinds_that_the_cluster_does_not_have_are_none_of_our_business(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    for resource in (LEADER_WORKER_SETS, SCALED_OBJECTS, POD_AUTOSCALERS):
        kube_api.uninstall(resource)
    for plural in ("nodes", "resourcequotas"):
        kube_api.deny("list", plural)
    workload = make_workload("llama", model="llama")
    _put(kube_api, workload, *make_pods(workload, 1), make_node("node-a"), *load("quota"))
    watch = ClusterWatch(kube_client, quiet_clock, DiscoveryOptions(has_nodes=True))
    async with _running(watch):
        await until(lambda: watch.is_synced)
        view = watch.get_view()
        assert view.inventory.reason is None
        assert _count_pods(view) == 1
        assert view.variants[0].accelerator is None
        assert view.amounts == ()  # unknown, neither none nor all
        assert len(watch.failures) == 2


async def test_a_right_that_is_taken_away_does_not_make_the_fleet_vanish(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    _put(kube_api, *load("leader_worker_set"))
    watch = ClusterWatch(kube_client, quiet_clock)
    async with _running(watch):
        await until(lambda: watch.is_synced)
        assert _get_names(watch.get_view()) == ["deepseek-r1"]
        kube_api.deny("list", "leaderworkersets")
        kube_api.deny("watch", "leaderworkersets")
        kube_api.drop_watches()
        await _step_until(quiet_clock, lambda: watch.get_view().inventory.reason is not None)
        view = watch.get_view()
        assert _get_names(view) == ["deepseek-r1"]
        assert view.inventory.reason is not None
        assert "leader_worker_sets are no longer known: the right to" in view.inventory.reason.message
        kube_api.heal()
        await _step_until(quiet_clock, lambda: watch.get_view().inventory.reason is None)
        assert _get_names(watch.get_view()) == ["deepseek-r1"]


async def test_with_rights_in_some_namespaces_only_those_are_asked_for(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    for namespace in ("a", "b", "c"):
        workload = make_workload("llama", model="llama", namespace=namespace)
        _put(kube_api, workload, *make_pods(workload, 2))
    watch = ClusterWatch(kube_client, quiet_clock, DiscoveryOptions(namespaces=("a", "c")))
    async with _running(watch):
        await until(lambda: watch.is_synced)
        view = watch.get_view()
        assert [facts.workload.namespace for facts in view.variants] == ["a", "c"]
        assert [len(entry.pods) for entry in view.inventory.workloads] == [2, 2]
    asked = {(call.plural, call.namespace) for call in kube_api.calls if call.plural != "nodes"}
    assert {namespace for _, namespace in asked} == {"a", "c"}
    assert ("nodes", None) in {(call.plural, call.namespace) for call in kube_api.calls}


async def test_quotas_are_not_watched_where_they_do_not_count(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    watch = ClusterWatch(kube_client, quiet_clock, DiscoveryOptions(has_quotas=False))
    async with _running(watch):
        await until(lambda: watch.is_synced)
        assert watch.get_view() == ClusterView()
    assert kube_api.count("list", "resourcequotas") == 0


async def test_a_view_of_a_moment_ago_will_do_where_somebody_says_so(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    watch = ClusterWatch(kube_client, quiet_clock)
    async with _running(watch):
        await until(lambda: watch.is_synced)
        first = watch.get_view(max_age_s=5.0)
        _put(kube_api, make_workload("llama", model="llama"))
        await until(lambda: len(watch.get_view().variants) == 1)
        kube_api.remove(DEPLOYMENTS, "prod", "llama")
        await until(lambda: watch.get_view() == first)
        _put(kube_api, make_workload("llama", model="llama"))
        await quiet_clock.run_to(quiet_clock.now_s() + 4.0)
        assert watch.get_view(max_age_s=5.0) is await watch.fetch_view(max_age_s=5.0)
        await quiet_clock.run_to(quiet_clock.now_s() + 1.0)
        assert _get_names(watch.get_view(max_age_s=5.0)) == ["llama"]


async def test_a_view_is_the_same_wherever_it_is_made(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    _put(kube_api, *load("ours"), *load("llm_d"), *load("leader_worker_set"), *load("nodes"), *load("quota"))
    watch = ClusterWatch(kube_client, quiet_clock)
    assert (await watch.fetch_view()).inventory.reason is not None
    async with _running(watch):
        await until(lambda: watch.is_synced)
        assert watch.kubernetes_minor == 37
        assert await watch.fetch_view() == watch.get_view()
        one, other = await asyncio.gather(watch.fetch_view(), watch.fetch_view())
        assert one == other


async def test_nothing_is_ever_written(kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock) -> None:
    _put(kube_api, *load("ours"), *load("llm_d"), *load("leader_worker_set"), *load("nodes"), *load("quota"))
    watch = ClusterWatch(kube_client, quiet_clock)
    async with _running(watch):
        await until(lambda: watch.is_synced)
        assert len(watch.get_view().variants) == 4
        await until(lambda: kube_api.get_watches() == 10)
    assert not kube_api.count_writes()
    assert {call.verb for call in kube_api.calls} == {"list", "watch"}


@pytest.fixture
def rollout_api(kube_api: FakeKubeApi) -> FakeKubeApi:
    kube_api.install(ROLLOUTS, has_scale=True)
    rollout, scale, *pods = load("rollout")
    rollout["status"] = {"replicas": 1, "selector": scale["status"]["selector"]}
    _put(kube_api, rollout, *pods)
    return kube_api


async def test_objects_of_further_kinds_are_read_with_their_scale(
    rollout_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    watch = ClusterWatch(kube_client, quiet_clock)
    async with _running(watch):
        await until(lambda: watch.is_synced)
        assert watch.get_view().variants == ()
        watch.claim([WorkloadClaim(ROLLOUT_REF, "mistral", "l40s")], ["l40s"])
        await until(lambda: _get_names(watch.get_view()) == ["mistral"])
        view = watch.get_view()
        assert (view.variants[0].accelerator, view.variants[0].variant) == ("l40s", "l40s")
        entry = view.inventory.get(ROLLOUT_REF)
        assert entry is not None
        assert (entry.requested_replicas, len(entry.pods)) == (4, 1)
        rollout_api.change(ROLLOUTS, "prod", "mistral", {"spec": {"replicas": 6}})
        await quiet_clock.run_to(quiet_clock.now_s() + PERIOD_S + 1.0)
        assert watch.get_view().inventory.workloads[0].requested_replicas == 6
        watch.claim([])
        assert watch.get_view().variants == ()


async def test_an_object_that_cannot_be_read_now_is_as_it_was_last(
    rollout_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    watch = ClusterWatch(kube_client, quiet_clock)
    watch.claim([WorkloadClaim(ROLLOUT_REF, "mistral")])
    async with _running(watch):
        await until(lambda: watch.is_synced and _get_names(watch.get_view()) == ["mistral"])
        rollout_api.fail(403, verb="get", plural="rollouts", message="no")
        await quiet_clock.run_to(quiet_clock.now_s() + PERIOD_S + 1.0)
        view = watch.get_view()
        assert _get_names(view) == ["mistral"]
        (trouble,) = view.troubles
        assert trouble.workload == ROLLOUT_REF
        assert "cannot be read" in trouble.reason.message
        rollout_api.heal()
        await quiet_clock.run_to(quiet_clock.now_s() + PERIOD_S + 1.0)
        assert watch.get_view().troubles == ()
        rollout_api.remove(ROLLOUTS, "prod", "mistral")
        await quiet_clock.run_to(quiet_clock.now_s() + PERIOD_S + 1.0)
        view = watch.get_view()
        assert view.variants == ()
        assert len(view.troubles) == 1


async def test_a_claimed_kind_that_the_cluster_does_not_have_is_told(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    watch = ClusterWatch(kube_client, quiet_clock)
    watch.claim([WorkloadClaim(ROLLOUT_REF, "mistral")])
    async with _running(watch):
        await until(lambda: watch.is_synced and bool(watch.get_view().troubles))
        (trouble,) = watch.get_view().troubles
        assert trouble.reason.code is ReasonCode.NO_DATA
        assert "Rollout mistral cannot be read" in trouble.reason.message


async def test_a_scaler_of_llm_d_claims_objects_of_further_kinds(
    rollout_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock
) -> None:
    hpa = load("llm_d")[2]
    hpa["metadata"] = {**hpa["metadata"], "namespace": "prod"}
    hpa["spec"]["scaleTargetRef"] = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "mistral"}
    _put(rollout_api, hpa)
    watch = ClusterWatch(kube_client, quiet_clock)
    async with _running(watch):
        await until(lambda: watch.is_synced and _get_names(watch.get_view()) == ["mistral"])
        assert watch.get_view().variants[0].model_id == "Qwen/Qwen3-32B"


@pytest.mark.parametrize("held, expected", [(None, "ours"), ("theirs", "theirs"), ("gone", "ours")])
async def test_what_was_decided_by_another_replica_decides_between_labels(
    kube_api: FakeKubeApi, kube_client: KubeClient, quiet_clock: QuietClock, held: str | None, expected: str
) -> None:
    _put(kube_api, make_workload("llama", model="ours", labels={"model.aibrix.ai/name": "theirs"}))
    watch = ClusterWatch(kube_client, quiet_clock)
    async with _running(watch):
        await until(lambda: watch.is_synced)
        assert watch.get_view().variants[0].model_id == "ours"  # what a standby would decide
        watch.recall({} if held is None else {LLAMA_REF: held})
        assert watch.get_view().variants[0].model_id == expected
        assert watch.get_view().variants[0].model_id == expected
