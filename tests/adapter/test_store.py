from __future__ import annotations

from dataclasses import replace

from adapter.store import DecisionStore
from optimizer.domain import Observation, Override, OverrideMode, WorkloadRef
from tests.builders.decisions import make_model_decision, make_variant_decision

TOLD = make_model_decision(make_variant_decision("llama-l40s", 3), decided_at_s=100.0)
KNOWN = replace(TOLD, demand_per_s=Observation(4.5), decided_at_s=90.0)


def test_what_everybody_was_told_is_shown_with_the_figures_known_here() -> None:
    store = DecisionStore()
    store.detail((KNOWN,), ())
    assert store.get().series == ()  # nobody was told yet
    store.show((TOLD,))
    assert store.get().models == (replace(KNOWN, decided_at_s=100.0),)


def test_figures_that_belong_to_other_numbers_are_not_shown() -> None:
    store = DecisionStore()
    store.detail((replace(KNOWN, variants=(replace(KNOWN.variants[0], planned_replicas=4),)),), ())
    store.show((TOLD,))
    assert store.get().models == (TOLD,)


def test_an_override_that_ended_here_first_does_not_change_what_everybody_was_told() -> None:
    store = DecisionStore()
    paused = replace(TOLD.variants[0], override=Override(OverrideMode.PAUSE))
    store.detail((KNOWN,), ())
    store.show((replace(TOLD, variants=(paused,)),))
    assert store.get().models[0].variants == (paused,)


def test_passes_are_counted_by_whoever_makes_them_and_showing_counts_as_one() -> None:
    store = DecisionStore()
    store.show((TOLD,), (WorkloadRef("prod", "other"),))
    assert (store.get().passes, store.get().undecided) == (1, (WorkloadRef("prod", "other"),))
    store.detail((KNOWN,), ())
    store.detail((KNOWN,), ())
    assert store.get().passes == 3


def test_only_a_shadow_is_not_to_be_acted_on() -> None:
    store = DecisionStore()
    for mode, is_shadow in ((OverrideMode.SHADOW, True), (OverrideMode.PIN, False), (OverrideMode.PAUSE, False)):
        line = replace(TOLD.variants[0], override=Override(mode))
        store.show((replace(TOLD, variants=(line,)),))
        assert [series.is_shadow for series in store.get().series] == [is_shadow]


def test_what_nobody_may_act_on_is_still_there_to_be_seen() -> None:
    store, obstacle = DecisionStore(), dict[str, str]()
    store.show((TOLD,))
    assert store.find_obstacle() is None
    store.withhold_while(lambda: obstacle.get("why"))
    obstacle["why"] = "cut off"
    assert (store.find_obstacle(), store.get().models) == ("cut off", (TOLD,))
