"""Whole clusters, from their objects to what we make of them."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from adapter.cluster import AmountKind, ClusterView, Dialect, FollowerKind, VariantFacts
from adapter.inventory import WorkloadEntry
from adapter.kube.discovery.claims import WorkloadClaim
from adapter.kube.discovery.memory import OWNER_S, Memory
from adapter.kube.discovery.options import DiscoveryOptions, ScaledObject
from adapter.kube.discovery.view import build_view
from adapter.kube.wire_times import parse_time_s, render_time
from optimizer.domain import OverrideMode, PodPhase, ReasonCode, Role, WorkloadRef
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


def _count(entry: WorkloadEntry) -> dict[PodPhase, int]:
    return {phase: sum(pod.phase is phase for pod in entry.pods) for phase in PodPhase}


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


# --- One workload of each dialect -------------------------------------------------------------------------------------
def test_a_deployment_with_our_annotations_tells_everything() -> None:
    view, _ = look(*load("ours"), make_node("gpu-h100-0"))
    facts = _the_variant(view)
    assert facts.workload == WorkloadRef("prod", "llama-70b-h100")
    assert facts.uid == "6f6ee6c0-0b5c-4f1a-9a56-5f0e3b4f0001"
    assert facts.created_s == parse_time_s("2026-11-20T08:00:00Z")
    assert facts.dialect is Dialect.OURS
    assert (facts.model_id, facts.variant) == ("meta-llama/Llama-3.3-70B-Instruct", "h100-tp4")
    assert (facts.accelerator, facts.accelerators_per_replica, facts.pods_per_replica) == ("H100", 4, 1)
    assert facts.cost_per_hour == 11.8
    assert facts.service_classes == ("interactive", "batch")  # the annotation wins over the label
    assert (facts.engine, facts.metrics_port) == ("vllm", 8080)  # of the container with devices
    assert (facts.min_replicas, facts.max_replicas, facts.startup_s) == (1, 12, 270.0)
    assert (facts.termination_grace_s, facts.has_pre_stop, facts.replicas_owner) == (180.0, True, "")
    assert view.troubles == ()
    assert view.inventory.reason is None


def test_a_rolling_update_with_surge_does_not_inflate_what_is_asked_for() -> None:
    view, _ = look(*load("ours"))
    entry = _the_workload(view)
    assert entry.requested_replicas == 2
    assert _count(entry) == {PodPhase.READY: 2, PodPhase.STARTING: 1, PodPhase.TERMINATING: 0}
    assert {pod.url for pod in entry.pods} == {"http://10.4.0.17:8080", ""}


def test_pods_count_though_their_replica_set_was_not_heard_of_yet() -> None:
    documents = [document for document in load("ours") if document["kind"] != "ReplicaSet"]
    assert len(_the_workload(look(*documents)[0]).pods) == 3


def test_a_deployment_of_aibrix_is_a_variant() -> None:
    facts = _the_variant(look(load("aibrix"))[0])
    assert (facts.dialect, facts.model_id) == (Dialect.AIBRIX, "deepseek-coder-7b")
    assert facts.variant == "deepseek-coder-7b-v100"
    assert (facts.accelerator, facts.accelerators_per_replica) == ("V100", 1)
    assert (facts.engine, facts.metrics_port, facts.min_replicas) == ("sglang", 8010, 1)


def test_prefill_and_decode_of_llm_d_are_two_variants_of_one_model() -> None:
    view, _ = look(*load("llm_d"))
    decode, prefill = view.variants
    assert (decode.model_id, prefill.model_id) == ("Qwen/Qwen3-32B", "Qwen/Qwen3-32B")
    assert (decode.roles, prefill.roles) == ((Role.DECODE,), (Role.PREFILL,))
    assert decode.dialect is Dialect.LLM_D
    assert decode.cost_per_hour == 14.0  # the ScaledObject's, which wins over the HPA's
    assert (decode.metrics_port, decode.engine) == (8200, "vllm")  # not the routing sidecar's
    assert decode.accelerators_per_replica == 2
    assert prefill.metrics_port is None
    assert view.inventory.get(prefill.workload) == WorkloadEntry(prefill.workload, 1, ())  # absent replicas are one


def test_a_group_is_one_replica_of_all_its_devices() -> None:
    view, _ = look(*load("leader_worker_set"))
    facts, entry = _the_variant(view), _the_workload(view)
    assert facts.workload == WorkloadRef("prod", "deepseek-r1", "LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1")
    assert (facts.accelerator, facts.accelerators_per_replica, facts.pods_per_replica) == ("H200", 16, 2)
    assert (facts.engine, facts.metrics_port, facts.termination_grace_s) == ("sglang", 40000, 60.0)
    assert entry.requested_replicas == 2
    assert _count(entry) == {PodPhase.READY: 1, PodPhase.STARTING: 1, PodPhase.TERMINATING: 1}
    assert [pod.url for pod in entry.pods if pod.phase is PodPhase.READY] == ["http://10.4.1.1:40000"]


def test_any_object_with_a_scale_may_be_a_variant() -> None:
    rollout, scale, *pods = load("rollout")
    ref = WorkloadRef("prod", "mistral", "Rollout", "argoproj.io/v1alpha1")
    scaled = ScaledObject(ref, rollout, scale["spec"]["replicas"], scale["status"]["selector"])
    objects = replace(gather(pods), scaled=(scaled,))
    options, claims = DiscoveryOptions(), [WorkloadClaim(ref, "mistral", "l40s")]
    view, _ = build_view(objects, Memory(), claims=claims, options=options, kubernetes_minor=37, now_s=NOW_S)
    facts, entry = _the_variant(view), _the_workload(view)
    assert (facts.workload, facts.dialect, facts.model_id, facts.variant) == (ref, None, "mistral", "l40s")
    assert (facts.accelerator, facts.accelerators_per_replica) == ("L40S", 1)
    assert (entry.requested_replicas, [pod.pod.name for pod in entry.pods]) == (4, ["mistral-6c4-x"])


@pytest.mark.parametrize("selector", ["", "app in ("])
def test_pods_that_cannot_be_found_are_unknown_and_not_none(selector: str) -> None:
    ref = WorkloadRef("prod", "mistral", "Rollout", "argoproj.io/v1alpha1")
    objects = replace(gather([]), scaled=(ScaledObject(ref, load("rollout")[0], 4, selector),))
    view, _ = build_view(
        objects,
        Memory(),
        claims=[WorkloadClaim(ref, "mistral")],
        options=DiscoveryOptions(),
        kubernetes_minor=37,
        now_s=NOW_S,
    )
    assert view.inventory.workloads == ()
    assert len(view.variants) == 1
    (trouble,) = view.troubles
    assert trouble.reason.code is ReasonCode.NO_DATA
    assert "cannot be found" in trouble.reason.message


def test_workloads_nobody_claims_are_not_ours() -> None:
    stranger = make_workload("stranger", labels={"app": "x"}, annotations={"llm-d.ai/managed": "true"})
    assert look(stranger, *make_pods(stranger, 3))[0] == ClusterView()


def test_a_workload_that_is_being_deleted_is_gone() -> None:
    workload = make_workload("llama", model="llama")
    workload["metadata"]["deletionTimestamp"] = "2026-11-21T05:00:00Z"
    assert look(workload)[0].variants == ()


def test_dialects_that_do_not_count_claim_nothing_and_overrides_are_heard_all_the_same() -> None:
    options = DiscoveryOptions(dialects=())
    ours = make_workload("llama", model="llama", annotations={f"{PREFIX}override": "shadow"})
    assert look(ours, load("aibrix"), *load("llm_d"), options=options)[0].variants == ()
    claim = WorkloadClaim(WorkloadRef("prod", "llama"), "other")
    facts = _the_variant(look(ours, claims=[claim], options=options)[0])
    assert (facts.model_id, facts.dialect) == ("other", None)
    assert facts.override is not None
    assert facts.override.mode is OverrideMode.SHADOW


# --- Names and claims -------------------------------------------------------------------------------------------------
def test_the_configuration_claims_and_names_a_workload_without_labels() -> None:
    workload = make_workload("llama", devices=2)
    claim = WorkloadClaim(WorkloadRef("prod", "llama"), "m", "big")
    view, memory = look(workload, *make_pods(workload, 2), claims=[claim])
    facts = _the_variant(view)
    assert (facts.dialect, facts.model_id, facts.variant, facts.accelerators_per_replica) == (None, "m", "big", 2)
    assert len(_the_workload(view).pods) == 2
    assert memory.held == {WorkloadRef("prod", "llama"): "m"}


def test_a_workload_is_called_as_the_configuration_calls_it() -> None:
    ref = WorkloadRef("prod", "deepseek-r1", "LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1alpha1")
    view, _ = look(*load("leader_worker_set"), claims=[WorkloadClaim(ref, "deepseek-ai/DeepSeek-R1")])
    assert _the_variant(view).workload == ref
    assert _the_workload(view).workload == ref


def test_labels_that_disagree_are_told_and_the_older_claim_works_on() -> None:
    workload = load("aibrix")
    _, memory = look(workload)
    workload["metadata"]["annotations"] = {f"{PREFIX}model": "other", f"{PREFIX}cost-per-hour": "2"}
    view, after = look(workload, memory=memory)
    facts = _the_variant(view)
    assert (facts.model_id, facts.cost_per_hour, facts.min_replicas) == ("deepseek-coder-7b", 2.0, 1)
    (trouble,) = view.troubles
    assert trouble.reason.code is ReasonCode.CONFLICTING_CLAIM
    assert after.held == memory.held
    # Nobody remembers: the first dialect counts, and the peer that says otherwise is not heard.
    fresh = _the_variant(look(workload)[0])
    assert (fresh.model_id, fresh.min_replicas) == ("other", None)


def test_of_two_workloads_of_one_variant_the_older_one_is_decided_about() -> None:
    old = make_workload("b", model="m", annotations={f"{PREFIX}variant": "h100"}, created_s=1000.0)
    new = make_workload("a", model="m", annotations={f"{PREFIX}variant": "h100"}, created_s=2000.0)
    view, _ = look(new, old, *make_pods(new, 1), *make_pods(old, 1))
    assert [facts.workload.name for facts in view.variants] == ["b"]
    assert [entry.workload.name for entry in view.inventory.workloads] == ["b"]
    (trouble,) = view.troubles
    assert (trouble.workload.name, trouble.is_claim_refused) == ("a", True)


def test_same_names_in_two_namespaces_do_not_meet() -> None:
    here, there = (make_workload("llama", model="llama", namespace=namespace) for namespace in ("a", "b"))
    view, _ = look(here, there, *make_pods(here, 2), *make_pods(there, 1))
    assert [(facts.workload.namespace, facts.variant) for facts in view.variants] == [("a", "llama"), ("b", "llama")]
    assert [len(entry.pods) for entry in view.inventory.workloads] == [2, 1]


def test_same_names_of_two_kinds_do_not_meet() -> None:
    one, other = (make_workload("llama", model="llama", kind=kind) for kind in ("Deployment", "StatefulSet"))
    view, _ = look(one, other, *make_pods(one, 2), *make_pods(other, 3))
    assert [facts.variant for facts in view.variants] == ["llama", "llama-statefulset"]
    assert [len(entry.pods) for entry in view.inventory.workloads] == [2, 3]


def test_bad_annotations_are_troubles_and_the_rest_of_the_facts_stays() -> None:
    workload = make_workload("llama", model="llama", annotations={f"{PREFIX}port": "http", f"{PREFIX}startup": "5m"})
    view, _ = look(workload)
    assert _the_variant(view).startup_s == 300.0
    (trouble,) = view.troubles
    assert trouble.reason.code is ReasonCode.BAD_ANNOTATION
    assert trouble.reason.message == f"{PREFIX}port must be a port between 1 and 65535, got http"


def test_a_model_that_cannot_be_read_is_told_though_nothing_is_claimed() -> None:
    view, _ = look(make_workload("llama", model=" "))
    assert view.variants == ()
    assert [trouble.reason.code for trouble in view.troubles] == [ReasonCode.BAD_ANNOTATION]


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
