"""Variants: what labels tell, completed by the file and the file by labels; one bad one stops no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adapter.cluster import ClusterView, Dialect, Trouble, VariantFacts
from adapter.merging import ConfiguredWorkload, Merged
from optimizer.domain import Parallelism, Reason, ReasonCode, Role, Variant, WorkloadRef

Data = dict[str, Any]
Join = Callable[..., Merged]
Find = Callable[[Merged, str], Variant]


def make_facts(name: str, model_id: str | None = "llama", namespace: str = "chat", **told: Any) -> VariantFacts:
    """Return what a labeled Deployment tells; its accelerator is L40S unless told."""
    workload = told.pop("workload", WorkloadRef(namespace, name))
    return VariantFacts(
        workload, **{"dialect": Dialect.OURS, "model_id": model_id, "variant": name, "accelerator": "L40S", **told}
    )


def list_names(merged: Merged) -> list[tuple[str, str, str]]:
    return [(entry.namespace, entry.model_id, entry.name) for m in merged.settings.models for entry in m.variants]


def list_refused(merged: Merged) -> dict[str, str]:
    return {entry.workload.name: str(entry.reason) for entry in merged.troubles if entry.is_claim_refused}


def test_labels_alone_make_models_of_every_namespace(join: Join) -> None:
    view = ClusterView(
        variants=(
            make_facts("b", created_s=2.0),
            make_facts("a", created_s=3.0),
            make_facts("a", namespace="search"),
            make_facts("c", "qwen"),
        )
    )
    merged = join(view)
    assert list_names(merged) == [
        ("chat", "qwen", "c"),
        ("search", "llama", "a"),
        ("chat", "llama", "b"),
        ("chat", "llama", "a"),
    ]
    assert merged.troubles == ()
    assert [model.service_classes[0].name for model in merged.settings.models] == ["interactive"] * 3


def test_everything_that_labels_tell_reaches_the_settings(join: Join, find: Find) -> None:
    facts = make_facts(
        "tp8",
        accelerator="H100",
        accelerators_per_replica=16,
        pods_per_replica=2,
        cost_per_hour=44.0,
        roles=(Role.PREFILL,),
        engine="sglang",
        metrics_path="/v2/metrics",
        min_replicas=1,
        max_replicas=4,
        startup_s=300.0,
        workload=WorkloadRef("chat", "tp8", "LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1"),
    )
    merged = join(ClusterView(variants=(facts,)))
    assert find(merged, "tp8") == Variant(
        "chat",
        "llama",
        "tp8",
        WorkloadRef("chat", "tp8", "LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1"),
        "H100",
        accelerators_per_replica=16,
        engine="sglang",
        nodes_per_replica=2,
        roles=(Role.PREFILL,),
        startup_s=300.0,
        min_replicas=1,
        max_replicas=4,
        cost_per_hour=44.0,
    )
    ((_, _, variant),) = merged.loaded.configuration.iterate_variants()
    assert (variant.engine.value, variant.metrics_path) == ("sglang", "/v2/metrics")


def test_what_nobody_tells_has_the_defaults_of_the_file(join: Join, find: Find) -> None:
    variant = find(join(ClusterView(variants=(make_facts("a"),))), "a")
    assert variant == Variant("chat", "llama", "a", WorkloadRef("chat", "a"), "L40S")


def test_the_file_wins_over_labels_field_by_field(join: Join, find: Find, data: Data) -> None:
    given = {"name": "a", "accelerator": "H100", "startup": "90s", "engine": "vllm", "min_replicas": 0}
    data["models"] = [{"name": "llama", "namespace": "chat", "variants": [given]}]
    facts = make_facts("a", startup_s=10.0, engine="sglang", min_replicas=2, max_replicas=7, metrics_path="/x")
    variant = find(join(ClusterView(variants=(facts,))), "a")
    assert (variant.accelerator, variant.startup_s, variant.engine, variant.min_replicas) == ("H100", 90.0, "vllm", 0)
    assert variant.max_replicas == 7


def test_a_default_of_the_file_gives_way_to_labels(join: Join, find: Find, data: Data) -> None:
    data["models"] = [{"name": "llama", "namespace": "chat", "variants": [{"name": "a"}]}]
    facts = make_facts("a", startup_s=10.0, engine="sglang", accelerators_per_replica=4)
    variant = find(join(ClusterView(variants=(facts,))), "a")
    assert (variant.startup_s, variant.engine, variant.accelerators_per_replica) == (10.0, "sglang", 4)


def test_a_shape_of_the_file_has_at_least_its_own_devices(join: Join, find: Find, data: Data) -> None:
    shaped = {"name": "a", "parallelism": {"tensor": 4}}
    data["models"] = [{"name": "llama", "namespace": "chat", "variants": [shaped]}]
    variant = find(join(ClusterView(variants=(make_facts("a", accelerators_per_replica=1),))), "a")
    assert (variant.accelerators_per_replica, variant.parallelism) == (4, Parallelism(tensor=4))


@pytest.mark.parametrize(
    "named",
    [
        {"deployment": "llama-l40s"},
        {"workload": {"api_version": "apps/v1", "kind": "Deployment", "name": "llama-l40s"}},
    ],
)
def test_a_workload_without_labels_is_claimed_by_the_file_and_completed(
    named: Data, join: Join, find: Find, data: Data
) -> None:
    data["models"] = [{"name": "llama", "namespace": "chat", "variants": [{"name": "small", **named}]}]
    facts = make_facts("llama-l40s", dialect=None, variant="small", accelerators_per_replica=2)
    merged = join(ClusterView(variants=(facts,)))
    assert merged.claims == (ConfiguredWorkload(WorkloadRef("chat", "llama-l40s"), "llama", "small"),)
    assert find(merged, "small").workload == WorkloadRef("chat", "llama-l40s")
    assert find(merged, "small").accelerators_per_replica == 2


def test_a_name_alone_means_the_workload_that_labels_call_so(join: Join, find: Find, data: Data) -> None:
    data["models"] = [{"name": "llama", "namespace": "chat", "variants": [{"name": "small", "startup": "33s"}]}]
    facts = make_facts("llama-l40s", variant="small")
    merged = join(ClusterView(variants=(facts,)))
    assert list_names(merged) == [("chat", "llama", "small")]
    assert (find(merged, "small").workload.name, find(merged, "small").startup_s) == ("llama-l40s", 33.0)


def test_an_object_of_any_kind_keeps_the_name_that_the_inventory_has_for_it(join: Join, find: Find, data: Data) -> None:
    rollout = {"api_version": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "x"}
    data["models"] = [{"name": "llama", "namespace": "chat", "variants": [{"name": "v", "workload": rollout}]}]
    seen = WorkloadRef("chat", "x", "Rollout", "argoproj.io/v1alpha1")
    assert find(join(ClusterView(variants=(make_facts("v", dialect=None, workload=seen),))), "v").workload == seen


def test_labels_add_variants_to_a_model_of_the_file(join: Join, data: Data) -> None:
    data["models"] = [
        {"name": "llama", "namespace": "chat", "max_replicas": 9, "variants": [{"name": "a", "accelerator": "L40S"}]}
    ]
    merged = join(ClusterView(variants=(make_facts("z", created_s=1.0), make_facts("a"), make_facts("y"))))
    assert [entry[2] for entry in list_names(merged)] == ["a", "y", "z"]
    assert merged.settings.models[0].max_replicas == 9


def test_a_model_of_the_file_may_leave_its_variants_to_labels(join: Join, data: Data) -> None:
    data["models"] = [{"name": "llama", "namespace": "chat", "service_classes": ["relaxed"]}, {"name": "absent"}]
    merged = join(ClusterView(variants=(make_facts("a", service_classes=("interactive",)),)))
    (model,) = merged.settings.models
    assert [entry.name for entry in model.service_classes] == ["relaxed"]


def test_a_type_without_a_price_is_refused_and_stops_nobody_else(join: Join) -> None:
    merged = join(ClusterView(variants=(make_facts("a", accelerator="L40"), make_facts("b"))))
    assert [entry[2] for entry in list_names(merged)] == ["b"]
    (trouble,) = merged.troubles
    assert str(trouble.reason) == ("Incomplete: accelerator L40 has no price in the configuration; did you mean L40S?")
    assert "  L40: {cost_per_hour: ...}" in trouble.remedy
    assert trouble.is_claim_refused


def test_a_type_without_a_price_is_no_obstacle_where_the_replica_has_one(join: Join, find: Find) -> None:
    merged = join(ClusterView(variants=(make_facts("a", accelerator="L40", cost_per_hour=2.0),)))
    assert merged.settings.get_replica_cost_per_hour(find(merged, "a")) == 2.0
    (trouble,) = merged.troubles
    assert (trouble.reason.code, trouble.is_claim_refused) == (ReasonCode.INCOMPLETE, False)


def test_a_variant_of_which_nobody_knows_the_type_is_refused_until_it_has_a_price(join: Join) -> None:
    unknown, priced = make_facts("a", accelerator=None), make_facts("b", accelerator=None, cost_per_hour=1.0)
    merged = join(ClusterView(variants=(unknown, priced)))
    assert [entry[2] for entry in list_names(merged)] == ["b"]
    assert list_refused(merged) == {"a": "Incomplete: its accelerator type is not known, nor what a replica costs"}


def test_an_engine_that_nobody_can_read_is_refused_unless_the_file_says_better(
    join: Join, data: Data, find: Find
) -> None:
    view = ClusterView(variants=(make_facts("a", engine="sglan"),))
    assert list_refused(join(view)) == {"a": "BadAnnotation: engine sglan is not known; did you mean sglang?"}
    data["models"] = [{"name": "llama", "namespace": "chat", "variants": [{"name": "a", "engine": "sglang"}]}]
    assert find(join(view), "a").engine == "sglang"


def test_what_the_file_names_and_nobody_finds_is_told(join: Join, data: Data) -> None:
    variants = [{"name": "a"}, {"name": "b", "accelerator": "L40S"}]
    data["models"] = [{"name": "llama", "namespace": "chat", "variants": variants}]
    merged = join(ClusterView())
    assert [entry[2] for entry in list_names(merged)] == ["b"]
    assert [(entry.workload.name, entry.is_claim_refused) for entry in merged.troubles] == [("a", True), ("b", False)]
    assert "was not found" in merged.troubles[0].reason.message


def test_what_others_decide_about_is_left_out(join: Join, data: Data) -> None:
    data["models"] = [{"name": "llama", "namespace": "chat", "variants": [{"name": "c", "accelerator": "L40S"}]}]
    conflict = Trouble(WorkloadRef("chat", "c"), Reason(ReasonCode.CONFLICTING_CLAIM, "taken"), is_claim_refused=True)
    view = ClusterView(variants=(make_facts("a"), make_facts("b")), troubles=(conflict,))
    merged = join(view, refused=frozenset({WorkloadRef("chat", "a")}))
    assert [entry[2] for entry in list_names(merged)] == ["b"]
    assert merged.troubles == (conflict,)


def test_a_claim_that_was_refused_to_one_of_two_leaves_the_workload_to_the_other(join: Join) -> None:
    conflict = Trouble(WorkloadRef("chat", "a"), Reason(ReasonCode.CONFLICTING_CLAIM, "x"), is_claim_refused=True)
    assert list_names(join(ClusterView(variants=(make_facts("a"),), troubles=(conflict,))))


def test_a_name_that_the_file_uses_is_refused_to_a_label(join: Join, data: Data) -> None:
    configured = {"name": "a", "deployment": "x", "accelerator": "L40S"}
    data["models"] = [{"name": "llama", "namespace": "chat", "variants": [configured]}]
    view = ClusterView(variants=(make_facts("x", dialect=None), make_facts("y", variant="a")))
    merged = join(view)
    assert [entry.workload.name for model in merged.settings.models for entry in model.variants] == ["x"]
    assert list_refused(merged) == {"y": "ConflictingClaim: model llama has another variant a"}


def test_what_only_an_older_file_claimed_is_forgotten(join: Join) -> None:
    assert list_names(join(ClusterView(variants=(make_facts("a", dialect=None), make_facts("b", None))))) == []


def test_scaling_by_our_own_hand_is_told_by_workload(join: Join, data: Data) -> None:
    data["models"] = [{"name": "llama", "namespace": "chat", "actuation": "scale"}]
    merged = join(ClusterView(variants=(make_facts("a"), make_facts("b", "qwen"))))
    assert merged.scaled == {WorkloadRef("chat", "a")}


def test_of_contradicting_bounds_those_of_the_file_count(join: Join, find: Find, data: Data) -> None:
    variants = [{"name": "a", "min_replicas": 3}, {"name": "b", "max_replicas": 2}]
    data["models"] = [{"name": "llama", "namespace": "chat", "variants": variants}]
    merged = join(ClusterView(variants=(make_facts("a", max_replicas=1), make_facts("b", min_replicas=5))))
    assert [(entry.min_replicas, entry.max_replicas) for entry in merged.settings.models[0].variants] == [
        (3, 3),
        (2, 2),
    ]


def test_the_same_view_gives_the_same_settings_in_whatever_order(join: Join) -> None:
    facts = tuple(make_facts(name, model, created_s=float(ord(name))) for name in "abc" for model in ("m", "n"))
    one, other = join(ClusterView(variants=facts)), join(ClusterView(variants=facts[::-1]))
    assert {model.key: model for model in one.settings.models} == {model.key: model for model in other.settings.models}
