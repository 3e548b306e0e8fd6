from __future__ import annotations

import itertools
from random import Random

from adapter.cluster import Dialect
from adapter.kube.discovery.claims import (
    Claimed,
    LabelClaim,
    WorkloadClaim,
    choose_claim,
    refuse_parts,
    settle_names,
)
from optimizer.domain import ReasonCode, WorkloadRef

REF = WorkloadRef("prod", "llama")
OURS = LabelClaim(Dialect.OURS, "a", "variant-autoscaler.io/model")
AIBRIX = LabelClaim(Dialect.AIBRIX, "b", "model.aibrix.ai/name")


def test_nobody_claims_nothing() -> None:
    assert choose_claim(REF, (), ()) is None
    assert choose_claim(REF, (), (), "a") is None


def test_claims_that_agree_are_one() -> None:
    choice = choose_claim(REF, [WorkloadClaim(REF, "a", "x")], [OURS, LabelClaim(Dialect.AIBRIX, "a", "k")])
    assert choice is not None
    assert (choice.model_id, choice.dialect, choice.troubles) == ("a", Dialect.OURS, ())
    assert choice.configured == WorkloadClaim(REF, "a", "x")


def test_of_two_labels_the_first_dialect_counts_and_the_other_is_told() -> None:
    choice = choose_claim(REF, (), [OURS, AIBRIX])
    assert choice is not None
    assert (choice.model_id, choice.dialect) == ("a", Dialect.OURS)
    (trouble,) = choice.troubles
    assert trouble.workload == REF
    assert trouble.reason.code is ReasonCode.CONFLICTING_CLAIM
    assert trouble.reason.message == (
        "model.aibrix.ai/name says model b, but variant-autoscaler.io/model says a: it stays with a"
    )
    assert "model.aibrix.ai/name" in trouble.remedy
    assert not trouble.is_claim_refused  # the workload itself is decided about


def test_the_older_label_keeps_its_workload() -> None:
    choice = choose_claim(REF, (), [OURS, AIBRIX], held="b")
    assert choice is not None
    assert (choice.model_id, choice.dialect) == ("b", Dialect.AIBRIX)
    assert choice.troubles[0].reason.message.startswith("variant-autoscaler.io/model says model a, but model.aibrix.ai")


def test_a_label_that_is_gone_holds_nothing() -> None:
    choice = choose_claim(REF, (), [OURS], held="b")
    assert choice is not None
    assert choice.model_id == "a"
    assert choice.troubles == ()


def test_the_configuration_counts_over_labels_however_old() -> None:
    choice = choose_claim(REF, [WorkloadClaim(REF, "c")], [OURS, AIBRIX], held="a")
    assert choice is not None
    assert (choice.model_id, choice.dialect) == ("c", None)
    assert len(choice.troubles) == 2
    assert all("the configuration says c" in trouble.reason.message for trouble in choice.troubles)


def _claimed(
    name: str, created_s: float, variant: str = "", *, kind: str = "Deployment", is_configured: bool = False
) -> Claimed:
    ref = WorkloadRef("prod", name, kind)
    return Claimed(ref, created_s, "m", variant or name, is_configured=is_configured, is_named=bool(variant))


def test_a_second_workload_of_one_variant_is_refused_and_the_older_one_works_on() -> None:
    old, new = _claimed("z", 1.0, "h100"), _claimed("a", 2.0, "h100")
    for order in itertools.permutations((old, new)):
        kept, (trouble,) = settle_names(order)
        assert kept == (old,)
        assert trouble.workload == new.workload
        assert trouble.is_claim_refused
        assert trouble.reason.code is ReasonCode.CONFLICTING_CLAIM
        assert "Deployment z already is variant h100 of model m" in trouble.reason.message


def test_a_configured_workload_keeps_its_variant_against_older_labels() -> None:
    kept, (trouble,) = settle_names([_claimed("a", 1.0, "h100"), _claimed("b", 2.0, "h100", is_configured=True)])
    assert [entry.workload.name for entry in kept] == ["b"]
    assert trouble.workload.name == "a"


def test_a_deployment_and_a_stateful_set_of_one_name_are_two_variants() -> None:
    one, other = _claimed("llama", 1.0), _claimed("llama", 2.0, kind="StatefulSet")
    for order in itertools.permutations((one, other)):
        kept, troubles = settle_names(order)
        assert {(entry.workload.kind, entry.variant) for entry in kept} == {
            ("Deployment", "llama"),
            ("StatefulSet", "llama-statefulset"),
        }
        assert troubles == ()


def test_workloads_of_other_models_and_namespaces_may_have_the_name() -> None:
    ref = WorkloadRef("dev", "llama")
    entries = [_claimed("llama", 1.0), Claimed(ref, 2.0, "m", "llama"), Claimed(REF, 3.0, "other", "llama")]
    kept, troubles = settle_names(entries)
    assert len(kept) == 3
    assert troubles == ()


def test_whatever_the_order_every_variant_has_one_workload() -> None:
    random = Random(7)
    entries = [
        _claimed(f"w{i}", random.choice((1.0, 2.0, 3.0)), random.choice(("", "a", "b", "w3")), is_configured=i % 5 == 0)
        for i in range(20)
    ]
    first = settle_names(entries)
    for _ in range(20):
        random.shuffle(entries)
        kept, troubles = settle_names(entries)
        assert (kept, set(troubles)) == (first[0], set(first[1]))
        assert len({entry.variant for entry in kept}) == len(kept)
        assert {entry.workload for entry in kept} | {trouble.workload for trouble in troubles} == {
            entry.workload for entry in entries
        }


def test_a_part_of_a_claimed_workload_is_no_variant_of_its_own() -> None:
    owner, part = _claimed("serving", 1.0, kind="ModelServing"), _claimed("serving-0", 2.0)
    kept, (trouble,) = refuse_parts([owner, part], {part.workload: owner.workload})
    assert kept == (owner,)
    assert trouble.workload == part.workload
    assert trouble.is_claim_refused
    assert refuse_parts([part], {part.workload: owner.workload}) == ((part,), ())
