"""Whole clusters: where their variants run, what there is for them, what is remembered of them."""

from __future__ import annotations

from random import Random

import pytest

from adapter.cluster import AmountKind, ClusterView, FollowerKind, VariantFacts
from adapter.inventory import WorkloadEntry
from adapter.kube.discovery.memory import OWNER_S, Memory
from adapter.kube.discovery.options import DiscoveryOptions
from adapter.kube.discovery.view import build_view
from adapter.kube.wire_times import render_time
from optimizer.domain import ReasonCode, WorkloadRef
from tests.builders.cluster_objects import (
    NOW_S,
    PREFIX,
    Json,
    gather,
    load,
    look,
    make_node,
    make_pods,
    make_workload,
)


def _the_variant(view: ClusterView) -> VariantFacts:
    (facts,) = view.variants
    return facts


def _the_workload(view: ClusterView) -> WorkloadEntry:
    (entry,) = view.inventory.workloads
    return entry


def _make_hpa(workload: Json, least: int = 1, most: int = 8) -> Json:
    name = workload["metadata"]["name"]
    metric = {"name": "deployment_replicas", "selector": {"matchLabels": {"deployment": name}}}
    target = {"type": "AverageValue", "averageValue": "1"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": f"{name}-hpa", "namespace": workload["metadata"]["namespace"], "uid": "h"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": workload["kind"], "name": name},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [{"type": "External", "external": {"metric": metric, "target": target}}],
        },
    }


# --- Accelerators -----------------------------------------------------------------------------------------------------
def test_the_type_is_seen_on_nodes_and_remembered_at_zero() -> None:
    workload = make_workload("llama", model="llama")
    view, memory = look(workload, *make_pods(workload, 1), make_node("node-a"))
    assert _the_variant(view).accelerator == "H100"
    view, memory = look(workload, make_node("node-a"), memory=memory)
    assert _the_variant(view).accelerator == "H100"
    assert _the_variant(look(workload, make_node("node-a"))[0]).accelerator is None


def test_several_types_are_told() -> None:
    workload = make_workload("llama", model="llama")
    documents = [workload, *make_pods(workload, 2), *make_pods(workload, 1, node="node-b", first=2)]
    nodes = [make_node("node-a"), make_node("node-b", product="NVIDIA-L40S")]
    view, _ = look(*documents, *nodes)
    assert _the_variant(view).accelerator == "H100"
    (trouble,) = view.troubles
    assert trouble.reason.message == (
        "pods of Deployment llama run on several accelerator types: 1 on L40S; it is planned as H100"
    )
    workload["metadata"]["annotations"][f"{PREFIX}accelerator"] = "mixed"
    assert look(*documents, *nodes)[0].troubles == ()


def test_the_catalog_decides_about_the_spelling() -> None:
    workload = make_workload("llama", model="llama", annotations={f"{PREFIX}accelerator": "h100"})
    for catalog, name in (((), "H100"), (("H100-SXM",), "H100-SXM"), (("h100",), "h100")):
        assert _the_variant(look(workload, options=DiscoveryOptions(accelerators=catalog))[0]).accelerator == name


def test_a_slice_is_a_type_of_its_own() -> None:
    workload = make_workload("small", model="small", resource="nvidia.com/mig-3g.40gb")
    pods = make_pods(workload, 1, resource="nvidia.com/mig-3g.40gb")
    view, _ = look(workload, *pods, make_node("node-a", product="NVIDIA-A100-SXM4-80GB"))
    assert (_the_variant(view).accelerator, _the_variant(view).accelerators_per_replica) == ("A100-MIG-3g.40gb", 1)


# --- Followers --------------------------------------------------------------------------------------------------------
def test_followers_of_our_variants_are_told_and_no_others() -> None:
    ours, stranger = make_workload("llama", model="llama"), make_workload("stranger")
    view, _ = look(ours, stranger, _make_hpa(ours, 0, 9), _make_hpa(stranger))
    assert set(view.followers) == {WorkloadRef("prod", "llama")}
    (follower,) = view.followers[WorkloadRef("prod", "llama")]
    assert (follower.kind, follower.name) == (FollowerKind.HPA, "llama-hpa")
    assert (follower.min_replicas, follower.max_replicas) == (0, 9)


# --- Amounts ----------------------------------------------------------------------------------------------------------
def test_quotas_are_told_per_namespace() -> None:
    quota, stranger = load("quota")
    ours = make_workload("llama", model="llama", devices=4)
    documents = [quota, stranger, ours, *make_pods(ours, 2, devices=4)]
    (amount,) = look(*documents)[0].amounts
    assert (amount.kind, amount.amount, amount.namespace) == (AmountKind.QUOTA, 14.0, "prod")
    assert look(*documents, options=DiscoveryOptions(has_quotas=False))[0].amounts == ()
    elsewhere = make_workload("llama", model="llama", namespace="dev")
    assert look(quota, stranger, elsewhere)[0].amounts == ()


def test_what_is_claimed_and_not_decided_about_takes_from_what_there_is() -> None:
    ours, theirs = make_workload("ours", model="a"), make_workload("theirs", model="b")
    waiting = make_pods(theirs, 1, first=3, waiting_since_s=NOW_S - 400.0)
    documents = [load("quota")[0], ours, theirs, *make_pods(ours, 2), *make_pods(theirs, 3), *waiting]
    undecided = frozenset({WorkloadRef("prod", "theirs")})
    for held_back, expected in ((frozenset(), [3, 16]), (undecided, [12])):
        view, _ = build_view(
            gather(documents),
            Memory(),
            claims=(),
            options=DiscoveryOptions(),
            kubernetes_minor=37,
            now_s=NOW_S,
            undecided=held_back,
        )
        assert [amount.amount for amount in view.amounts] == expected
        assert len(view.variants) == 2


def test_nodes_are_told_on_request_and_only_where_all_their_pods_are_seen() -> None:
    ours = make_workload("llama", model="llama")
    documents = [ours, *make_pods(ours, 1), make_node("node-a"), *make_pods(make_workload("x"), 3)]
    assert look(*documents)[0].amounts == ()
    (amount,) = look(*documents, options=DiscoveryOptions(has_nodes=True))[0].amounts
    assert (amount.kind, amount.accelerator, amount.amount) == (AmountKind.NODES, "H100", 5.0)
    assert look(*documents, options=DiscoveryOptions(has_nodes=True, namespaces=("prod",)))[0].amounts == ()
    assert look(*documents[:2], options=DiscoveryOptions(has_nodes=True))[0].amounts == ()


def test_pods_without_a_place_bound_the_plan_only_after_their_time() -> None:
    ours = make_workload("llama", model="llama", replicas=4)
    placed = make_pods(ours, 2)
    for wait_s, expected in ((299.0, 0), (301.0, 1)):
        waiting = make_pods(ours, 2, first=2, waiting_since_s=NOW_S - wait_s)
        view, _ = look(ours, *placed, *waiting)
        assert len(view.amounts) == expected
        assert len(view.troubles) == expected
        assert len(_the_workload(view).pods) == 4
    amount = view.amounts[0]
    assert (amount.kind, amount.workload, amount.amount) == (AmountKind.SCHEDULER, WorkloadRef("prod", "llama"), 2)
    assert view.troubles[0].reason.code is ReasonCode.UNSCHEDULABLE


def test_the_bound_is_remembered_and_lifted() -> None:
    ours = make_workload("llama", model="llama")
    placed, waiting = make_pods(ours, 2), make_pods(ours, 1, first=2, waiting_since_s=NOW_S - 400.0)
    _, memory = look(ours, *placed, *waiting)
    view, memory = look(ours, *placed, memory=memory, now_s=NOW_S + 15.0)
    assert len(view.amounts) == 1
    assert view.troubles == ()  # nothing waits any longer
    view, memory = look(ours, *placed, memory=memory, now_s=NOW_S + 314.0)
    assert len(view.amounts) == 1
    view, memory = look(ours, *placed, memory=memory, now_s=NOW_S + 316.0)
    assert view.amounts == ()


def test_a_group_with_one_pod_without_a_place_was_not_placed() -> None:
    view, _ = look(*load("leader_worker_set"))
    (amount,) = view.amounts
    assert (amount.kind, amount.amount) == (AmountKind.SCHEDULER, 1)


def test_pods_that_could_not_even_be_made_count_as_waiting() -> None:
    ours = make_workload("llama", model="llama", replicas=4)
    refusal = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: gpu"}
    ours["status"]["conditions"] = [{**refusal, "lastTransitionTime": render_time(NOW_S - 600.0)}]
    view, _ = look(ours, *make_pods(ours, 3))
    assert [(amount.kind, amount.amount) for amount in view.amounts] == [(AmountKind.SCHEDULER, 3)]
    assert "1 of 4 replicas" in view.troubles[0].reason.message
    assert "exceeded quota: gpu" in view.troubles[0].reason.message
    assert look(ours, *make_pods(ours, 4))[0].amounts == ()


# --- Memory -----------------------------------------------------------------------------------------------------------
def test_who_declares_replicas_is_remembered_for_a_while() -> None:
    workload = make_workload("llama", model="llama")
    workload["metadata"]["managedFields"] = [
        {"manager": "argocd-controller", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    ]
    view, memory = look(workload)
    assert _the_variant(view).replicas_owner == "argocd-controller"
    del workload["metadata"]["managedFields"]  # a scaler took the field away
    view, memory = look(workload, memory=memory, now_s=NOW_S + OWNER_S - 1.0)
    assert _the_variant(view).replicas_owner == "argocd-controller"
    view, memory = look(workload, memory=memory, now_s=NOW_S + OWNER_S)
    assert _the_variant(view).replicas_owner == ""


def test_nothing_is_remembered_of_what_is_gone() -> None:
    workload = make_workload("llama", model="llama")
    _, memory = look(workload, *make_pods(workload, 1, waiting_since_s=NOW_S - 400.0), make_node("node-a"))
    assert memory != Memory()
    assert look(memory=memory)[1] == Memory()


# --- Whatever the cluster ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(10))
def test_every_pod_of_a_variant_is_in_the_inventory_once_and_no_other(seed: int) -> None:
    random = Random(seed)
    documents: list[Json] = []
    expected: dict[str, WorkloadRef] = {}
    for number in range(12):
        kind, namespace = random.choice(("Deployment", "StatefulSet")), random.choice(("prod", "dev"))
        model = random.choice((None, "a", "b"))
        workload = make_workload(f"w{number % 8}-{number}", kind=kind, namespace=namespace, model=model)
        pods = make_pods(workload, random.randrange(5))
        for pod in pods:
            pod["status"]["phase"] = random.choice(("Running", "Pending", "Failed", "Succeeded"))
            if model is not None and pod["status"]["phase"] in ("Running", "Pending"):
                expected[pod["metadata"]["uid"]] = WorkloadRef(namespace, workload["metadata"]["name"], kind)
        documents += [workload, *pods]
    random.shuffle(documents)
    view, memory = look(*documents)
    found = [(pod.pod.uid, entry.workload) for entry in view.inventory.workloads for pod in entry.pods]
    assert len(found) == len(dict(found))
    assert dict(found) == expected
    random.shuffle(documents)
    again, _ = look(*documents, memory=memory)
    assert again.variants == view.variants
