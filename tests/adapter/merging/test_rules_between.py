"""What binds variants together: classes, bounds of followers, limits of the cluster, overrides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adapter.cluster import AmountKind, ClusterAmount, ClusterView, Dialect, Standstill, VariantFacts
from adapter.inventory import Inventory, PodEntry, WorkloadEntry
from adapter.merging import Merged
from optimizer.domain import (
    Limit,
    LimitKind,
    Override,
    OverrideMode,
    PodKey,
    PodPhase,
    ReasonCode,
    Variant,
    VariantKey,
    WorkloadRef,
)

Data = dict[str, Any]
Join = Callable[..., Merged]
Find = Callable[[Merged, str], Variant]
A, B = WorkloadRef("chat", "a"), WorkloadRef("chat", "b")


def make_view(*facts: VariantFacts, **more: Any) -> ClusterView:
    return ClusterView(variants=facts, **more)


def make_facts(workload: WorkloadRef, **told: Any) -> VariantFacts:
    return VariantFacts(workload, **{"dialect": Dialect.OURS, "model_id": "llama", "accelerator": "L40S", **told})


# --- Service classes --------------------------------------------------------------------------------------------------
def test_the_only_class_needs_no_default(join: Join, data: Data) -> None:
    del data["service_classes"]["relaxed"], data["default_service_class"]
    (model,) = join(make_view(make_facts(A))).settings.models
    assert [entry.name for entry in model.service_classes] == ["interactive"]


def test_without_a_default_among_several_classes_a_model_is_refused_and_no_other(join: Join, data: Data) -> None:
    del data["default_service_class"]
    merged = join(make_view(make_facts(A), make_facts(B, model_id="qwen", service_classes=("relaxed",))))
    assert [model.model_id for model in merged.settings.models] == ["qwen"]
    (trouble,) = merged.troubles
    assert (trouble.workload, trouble.is_claim_refused) == (A, True)
    assert str(trouble.reason) == (
        "Incomplete: the service class of model llama is missing, and the configuration has no default among "
        "interactive, relaxed"
    )


def test_a_class_that_is_not_known_falls_back_to_the_default_and_is_told(join: Join) -> None:
    merged = join(make_view(make_facts(A, service_classes=("relaxd",))))
    (model,) = merged.settings.models
    assert [entry.name for entry in model.service_classes] == ["interactive"]
    (trouble,) = merged.troubles
    assert str(trouble.reason) == "BadAnnotation: service class relaxd is not known; did you mean relaxed?"


def test_the_older_of_two_statements_about_classes_counts(join: Join) -> None:
    old = make_facts(B, created_s=1.0, service_classes=("relaxed",))
    young = make_facts(A, created_s=2.0, service_classes=("interactive",))
    merged = join(make_view(young, old))
    (model,) = merged.settings.models
    assert [entry.name for entry in model.service_classes] == ["relaxed"]
    assert [(entry.workload, entry.reason.code) for entry in merged.troubles] == [(A, ReasonCode.CONFLICTING_CLAIM)]


def test_classes_that_cannot_be_told_apart_refuse_their_model(join: Join) -> None:
    merged = join(make_view(make_facts(A, service_classes=("interactive", "relaxed"))))
    assert merged.settings.models == ()
    assert "cannot be told apart" in merged.troubles[0].reason.message
    assert merged.troubles[0].is_claim_refused


# --- Bounds of followers ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "own, followers, bounds, is_told",
    [
        ((None, None), (1, 8), (1, 8), False),
        ((2, 5), (1, 8), (2, 5), False),
        ((2, 9), (3, 8), (3, 8), False),
        ((4, None), (1, 3), (3, 3), True),
        ((0, 1), (2, 8), (2, 2), True),
        ((0, 4), (0, None), (0, 4), False),
    ],
)
def test_a_plan_keeps_to_the_bounds_of_followers_and_to_its_own_within_them(
    own: tuple[int | None, int | None],
    followers: tuple[int, int | None],
    bounds: tuple[int, int | None],
    is_told: bool,
    join: Join,
) -> None:
    merged = join(make_view(make_facts(A, min_replicas=own[0], max_replicas=own[1])), bounds={A: followers})
    ((variant,),) = (model.variants for model in merged.settings.models)
    assert (variant.min_replicas, variant.max_replicas) == bounds
    assert [entry.reason.code for entry in merged.troubles] == [ReasonCode.BOUND_BINDS] * is_told


# --- Limits of the cluster --------------------------------------------------------------------------------------------
def get_limits(merged: Merged) -> dict[str, Limit]:
    return {limit.name: limit for limit in merged.settings.limits}


def key(name: str, namespace: str = "chat") -> VariantKey:
    return VariantKey(namespace, "llama", name)


def test_a_quota_counts_devices_of_all_types_in_its_namespace(join: Join) -> None:
    quota = ClusterAmount(AmountKind.QUOTA, "gpus/nvidia.com/gpu", 12.0, "chat", message="ResourceQuota gpus grants 12")
    other = WorkloadRef("search", "c")
    view = make_view(
        make_facts(A, accelerators_per_replica=4),
        make_facts(B, accelerator="H100"),
        make_facts(other),
        amounts=(quota,),
    )
    assert get_limits(join(view)) == {
        "quota chat/gpus/nvidia.com/gpu": Limit(
            "quota chat/gpus/nvidia.com/gpu",
            LimitKind.QUOTA,
            {key("a"): 4.0, key("b"): 1.0},
            12.0,
            ("chat",),
            "ResourceQuota gpus grants 12",
        )
    }


def test_nodes_count_devices_of_one_type_everywhere(join: Join) -> None:
    nodes = ClusterAmount(AmountKind.NODES, "H100", 8.0, accelerator="H100")
    search = WorkloadRef("search", "c")
    view = make_view(
        make_facts(A),
        make_facts(B, accelerator="H100", accelerators_per_replica=2),
        make_facts(search, accelerator="H100"),
        amounts=(nodes,),
    )
    (limit,) = join(view).settings.limits
    assert (limit.name, limit.kind, limit.amount, limit.namespaces) == ("nodes H100", LimitKind.ACCELERATORS, 8.0, None)
    assert limit.coefficients == {key("b"): 2.0, key("c", "search"): 1.0}


def test_the_scheduler_counts_replicas_of_one_workload_and_never_less_than_serve(join: Join) -> None:
    amount = ClusterAmount(AmountKind.SCHEDULER, "a", 2.0, "chat", workload=A)
    pods = tuple(PodEntry(PodKey("chat", f"a-{n}"), "", PodPhase.READY) for n in range(3))
    for serving in (1, 3):
        inventory = Inventory((WorkloadEntry(A, 5, pods[:serving]),))
        view = make_view(
            make_facts(A, accelerators_per_replica=8), make_facts(B), amounts=(amount,), inventory=inventory
        )
        (limit,) = join(view).settings.limits
        assert (limit.coefficients, limit.amount) == ({key("a"): 1.0}, float(max(2, serving)))


def test_amounts_that_concern_nobody_are_no_limits_and_those_of_the_file_stay(join: Join, data: Data) -> None:
    data["limits"] = [{"name": "stock", "accelerators": ["L40S"], "amount": 5}]
    amounts = (ClusterAmount(AmountKind.NODES, "H100", 8.0, accelerator="H100"),)
    (limit,) = join(make_view(make_facts(A, accelerators_per_replica=2), amounts=amounts)).settings.limits
    assert (limit.name, limit.coefficients) == ("stock", {key("a"): 2.0})


# --- Workloads that stand still ---------------------------------------------------------------------------------------
def test_what_stands_still_is_counted_as_it_is_where_another_variant_can_move(join: Join) -> None:
    still = {A: Standstill(2, "no autoscaler reads the number of Deployment a")}
    (limit,) = join(make_view(make_facts(A), make_facts(B)), standstills=still).settings.limits
    assert (limit.coefficients, limit.amount, limit.namespaces) == ({key("a"): 1.0}, 2.0, ("chat",))
    assert limit.source == "no autoscaler reads the number of Deployment a"


def test_where_nothing_moves_no_number_is_held_down(join: Join) -> None:
    still = {A: Standstill(2, "none"), B: Standstill(0, "none")}
    assert join(make_view(make_facts(A), make_facts(B)), standstills=still).settings.limits == ()
    assert join(make_view(make_facts(A)), standstills=still).settings.limits == ()


@pytest.mark.parametrize("ends_with_scale, count", [(True, 0), (False, 1)])
def test_where_we_patch_the_scale_ourselves_a_missing_autoscaler_is_none(
    ends_with_scale: bool, count: int, join: Join, data: Data
) -> None:
    data["models"] = [{"name": "llama", "namespace": "chat", "actuation": "scale"}]
    still = {A: Standstill(2, "none", ends_with_scale)}
    assert len(join(make_view(make_facts(A), make_facts(B)), standstills=still).settings.limits) == count


# --- Overrides --------------------------------------------------------------------------------------------------------
PAUSE = Override(OverrideMode.PAUSE, by="ops", source="annotation")


def test_an_annotation_wins_over_the_file_until_it_ends(join: Join, data: Data, find: Find) -> None:
    data["models"] = [{"name": "llama", "namespace": "chat", "override": {"mode": "pin", "replicas": 2}}]
    ending = Override(OverrideMode.SHADOW, until_s=500.0, source="annotation")
    view = make_view(make_facts(A, override=ending), make_facts(B, override=PAUSE))
    for now_s, expected in ((499.0, ending), (500.0, Override(OverrideMode.PIN, 2))):
        merged = join(view, now_s=now_s)
        assert (find(merged, "a").override, find(merged, "b").override) == (expected, PAUSE)


def test_an_override_of_the_file_that_has_ended_is_none(join: Join, data: Data, find: Find) -> None:
    until = {"mode": "pause", "until": "1970-01-01T00:10:00Z"}
    data["models"] = [{"name": "llama", "namespace": "chat", "override": until}]
    view = make_view(make_facts(A))
    assert find(join(view, now_s=599.0), "a").override == Override(OverrideMode.PAUSE, until_s=600.0)
    assert find(join(view, now_s=600.0), "a").override is None
