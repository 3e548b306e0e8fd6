"""Whole clusters, from their objects to what we make of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapter.cluster import ClusterView, Dialect, VariantFacts
from adapter.inventory import WorkloadEntry
from adapter.kube.discovery.claims import WorkloadClaim
from adapter.kube.discovery.memory import Memory
from adapter.kube.discovery.options import DiscoveryOptions, ScaledObject
from adapter.kube.discovery.view import build_view
from adapter.kube.wire_times import parse_time_s
from optimizer.domain import OverrideMode, PodPhase, ReasonCode, Role, WorkloadRef
from tests.builders.cluster_objects import (
    NOW_S,
    PREFIX,
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
