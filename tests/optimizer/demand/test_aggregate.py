from __future__ import annotations

import math
from dataclasses import replace

import pytest

from optimizer.demand import DemandState, LoadShares, aggregate_windows, track_demand
from optimizer.domain import DemandWindow, ModelSnapshot, PodPhase, Reason, ReasonCode, VariantState
from tests.builders.snapshots import (
    make_gateway,
    make_key,
    make_model_snapshot,
    make_pod_key,
    make_state,
    make_window,
)

STALE_AFTER_S = 60.0


def show(
    index: int, arrivals: dict[str, float | None], starting: tuple[str, ...] = (), code: ReasonCode | None = None
) -> ModelSnapshot:
    """Return what pods of one variant show in pass `index`, 15 s after the one before."""
    start_s, end_s = 15.0 * index, 15.0 * index + 15.0
    windows = tuple(make_window(name, count, start_s, end_s, code) for name, count in arrivals.items())
    ready = make_state("fast", tuple(name for name in arrivals if name not in starting))
    pods = [replace(pod, seen_s=end_s) for pod in ready.pods]
    pods += [replace(pod, seen_s=None) for pod in make_state("fast", starting, phase=PodPhase.STARTING).pods]
    return make_model_snapshot((replace(ready, pods=tuple(pods)),), windows)


def play(passes: list[ModelSnapshot]) -> tuple[DemandState, list[tuple[float | None, bool]]]:
    """Return the state after `passes`, and of each the rate and whether it was whole."""
    state, told = DemandState(), []
    for index, snapshot in enumerate(passes):
        now, state = track_demand(state, snapshot, 15.0 * index + 15.0, STALE_AFTER_S)
        told.append((now.rate_per_s.value, now.is_complete))
    return state, told


def is_told(told: tuple[float | None, bool], rate_per_s: float, *, is_whole: bool) -> bool:
    """Whether a pass told this rate, within a percent, and told it as whole or as a lower bound."""
    return told[0] == pytest.approx(rate_per_s, rel=0.01) and told[1] is is_whole


EVEN: dict[str, float | None] = {"a": 75.0, "b": 75.0, "c": 75.0, "d": 75.0}
STEADY = [show(index, EVEN) for index in range(8)]


def test_rates_of_all_pods_add_up() -> None:
    _, told = play([show(0, {"a": 30.0, "b": 60.0})])
    assert is_told(told[0], 6.0, is_whole=True)


def test_a_fresh_gateway_precedes_the_pods() -> None:
    snapshot = replace(show(0, {"a": 30.0}), gateway=make_gateway(90.0, waiting=3.0))
    offered = aggregate_windows(snapshot, LoadShares(), -math.inf, 15.0, STALE_AFTER_S)
    assert offered.rate_per_s.value == pytest.approx(6.0)
    assert offered.is_complete
    assert offered.waiting_requests == 3.0


def test_a_gateway_makes_up_for_every_missing_page() -> None:
    snapshot = replace(show(0, {"a": None, "b": None}), gateway=make_gateway(90.0))
    offered = aggregate_windows(snapshot, LoadShares(), -math.inf, 15.0, STALE_AFTER_S)
    assert offered.is_complete


@pytest.mark.parametrize("gateway", [make_gateway(None), make_gateway(90.0, -100.0, -85.0)])
def test_without_a_fresh_gateway_the_pods_speak(gateway: DemandWindow) -> None:
    snapshot = replace(show(0, {"a": 30.0}), gateway=gateway)
    offered = aggregate_windows(snapshot, LoadShares(), -math.inf, 15.0, STALE_AFTER_S)
    assert offered.rate_per_s.value == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("code", "is_whole"),
    [(ReasonCode.SCRAPE_FAILED, False), (ReasonCode.FROZEN, False), (ReasonCode.METRIC_MISSING, True)],
)
def test_without_the_page_of_the_gateway_the_pods_show_a_lower_bound(code: ReasonCode, is_whole: bool) -> None:
    """A page that is there and has no such series yet hides nothing: series appear with the first request."""
    gateway = replace(make_gateway(None), reason=Reason(code, "gateway gone"))
    cases: list[tuple[dict[str, float | None], float | None]] = [({"a": 30.0}, 2.0), ({}, None)]
    for pods, rate_per_s in cases:
        snapshot = replace(show(0, pods), gateway=gateway)
        offered = aggregate_windows(snapshot, LoadShares(), -math.inf, 15.0, STALE_AFTER_S)
        assert offered.rate_per_s.value == rate_per_s
        assert offered.is_complete == (is_whole and rate_per_s is not None)
        assert (offered.reason is not None and "gateway gone" in offered.reason.message) == (not is_whole)


def test_missing_pods_are_made_up_for_by_their_share_of_the_load() -> None:
    uneven: dict[str, float | None] = {"a": 30.0, "b": 90.0, "c": 60.0}
    passes = [show(index, uneven) for index in range(8)]
    _, told = play([*passes, show(8, {"a": 30.0, "b": None, "c": 60.0})])
    assert is_told(told[-1], 12.0, is_whole=False)


def test_a_doubled_rate_is_seen_whole_through_half_of_the_pages() -> None:
    _, told = play([*STEADY, show(8, {"a": 150.0, "b": 150.0, "c": None, "d": None})])
    assert is_told(told[-1], 40.0, is_whole=False)


def test_shares_of_missing_pods_keep_their_proportion_through_an_outage() -> None:
    outage = [show(8 + index, {"a": 150.0, "b": 150.0, "c": None, "d": None}) for index in range(20)]
    _, told = play([*STEADY, *outage])
    assert told[-1][0] == pytest.approx(40.0, rel=0.01)


@pytest.mark.parametrize("back", ["d", "cd"])
def test_windows_that_reach_over_an_outage_are_a_mean_of_then_and_not_of_now(back: str) -> None:
    hidden: dict[str, float | None] = {**EVEN, **dict.fromkeys(back, None)}
    outage = [show(8 + index, hidden) for index in range(10)]
    returned = show(18, EVEN)
    windows = tuple(
        replace(window, start_s=120.0) if window.pod is not None and window.pod.name in back else window
        for window in returned.windows
    )
    _, told = play([*STEADY, *outage, replace(returned, windows=windows), show(19, EVEN)])
    assert told[-2][1] is False
    assert is_told(told[-1], 20.0, is_whole=True)


def test_a_pod_that_just_came_is_not_made_up_for() -> None:
    grown = show(8, {**EVEN, "e": None}, code=ReasonCode.FIRST_READING)
    pods = tuple(replace(pod, ready_s=130.0) if pod.pod.name == "e" else pod for pod in grown.variants[0].pods)
    _, told = play([*STEADY, replace(grown, variants=(replace(grown.variants[0], pods=pods),))])
    assert is_told(told[-1], 20.0, is_whole=False)


def test_a_pod_that_has_long_served_and_was_never_seen_counts_like_the_others() -> None:
    _, told = play([*STEADY, show(8, {**EVEN, "e": None})])
    assert is_told(told[-1], 25.0, is_whole=False)


def test_a_pod_that_starts_is_not_missed() -> None:
    _, told = play([*STEADY, show(8, EVEN, starting=("e",))])
    assert is_told(told[-1], 20.0, is_whole=True)


def test_a_pod_that_counts_as_starting_because_its_page_is_gone_is_missed() -> None:
    """Where nobody but the page tells readiness, a lost page turns a pod that carries load into a starting one."""
    _, told = play([*STEADY, show(8, {"a": 75.0, "b": 75.0, "c": 75.0}, starting=("d",))])
    assert is_told(told[-1], 20.0, is_whole=False)


def test_a_silent_page_among_busy_ones_is_not_believed() -> None:
    _, told = play([*STEADY, show(8, {**EVEN, "d": 0.0})])
    assert told[-1][1] is False


def test_silence_of_everybody_is_believed() -> None:
    _, told = play([*STEADY, show(8, dict.fromkeys(EVEN, 0.0))])
    assert is_told(told[-1], 0.0, is_whole=True)


def test_a_pod_silent_for_hours_is_believed_in_the_end() -> None:
    silent = [show(8 + index, {**EVEN, "d": 0.0}) for index in range(700)]
    _, told = play([*STEADY, *silent])
    assert is_told(told[8 + 20], 15.0, is_whole=False)
    assert is_told(told[-1], 15.0, is_whole=True)


QUIET: dict[str, float | None] = {"a": 5.0, "b": 5.0, "c": 5.0, "d": 5.0}


@pytest.mark.parametrize("is_changed", [True, False, None])
def test_a_page_that_stands_still_is_doubted_once_enough_requests_were_due(is_changed: bool | None) -> None:
    """Five a window are too few to doubt one window; a page that changed in it says that nothing came."""
    silent = [_stand_still(show(8 + index, {**QUIET, "d": 0.0}), "d", is_changed) for index in range(6)]
    _, told = play([*(show(index, QUIET) for index in range(8)), *silent])
    assert [is_whole for _, is_whole in told[8:]] == [True, True, *[is_changed is not False] * 4]


def test_a_page_that_stands_still_is_believed_where_its_whole_variant_is_silent() -> None:
    """A router in proportion to capacity leaves the slowest variant without work when little is asked."""
    other = make_state("slow", ("d",))
    busy = [_add_variant(show(index, QUIET), other) for index in range(8)]
    quiet = {**QUIET, "d": 0.0}
    silent = [_stand_still(_add_variant(show(8 + index, quiet), other), "d", False) for index in range(20)]
    _, told = play([*busy, *silent])
    assert all(is_whole for _, is_whole in told[8:])


def _stand_still(snapshot: ModelSnapshot, name: str, is_changed: bool | None) -> ModelSnapshot:
    windows = (
        replace(window, is_changed=is_changed) if window.pod == make_pod_key(name) else window
        for window in snapshot.windows
    )
    return replace(snapshot, windows=tuple(windows))


def _add_variant(snapshot: ModelSnapshot, other: VariantState) -> ModelSnapshot:
    """Return `snapshot` with the pods of `other` moved there."""
    names = {pod.pod for pod in other.pods}
    (variant,) = snapshot.variants
    left = tuple(pod for pod in variant.pods if pod.pod not in names)
    return replace(snapshot, variants=(replace(variant, pods=left), other))


def test_nothing_at_all_is_absent_with_a_reason_and_not_zero() -> None:
    now, _ = track_demand(DemandState(), show(0, {"a": None, "b": None}), 15.0, STALE_AFTER_S)
    assert now.rate_per_s.value is None
    assert now.reason is not None
    assert now.reason.code is ReasonCode.SCRAPE_FAILED


def test_no_pods_and_no_gateway_is_absent() -> None:
    now, _ = track_demand(DemandState(), make_model_snapshot((make_state("fast", ()),)), 15.0, STALE_AFTER_S)
    assert now.reason is not None
    assert now.reason.code is ReasonCode.NO_PODS


def test_windows_older_than_allowed_count_as_missing() -> None:
    _, state = track_demand(DemandState(), STEADY[0], 15.0, STALE_AFTER_S)
    now, after = track_demand(state, STEADY[0], 76.0, STALE_AFTER_S)
    assert now.reason is not None
    assert now.reason.code is ReasonCode.STALE
    assert after.history == state.history


def test_the_same_windows_again_are_not_counted_twice() -> None:
    now, state = track_demand(DemandState(), STEADY[0], 15.0, STALE_AFTER_S)
    again, after = track_demand(state, STEADY[0], 30.0, STALE_AFTER_S)
    assert (again.rate_per_s, after) == (now.rate_per_s, state)


def test_a_window_that_reaches_far_back_does_not_lower_anything() -> None:
    passes = [*STEADY, *(show(8 + index, {**EVEN, "d": None}) for index in range(4))]
    state, _ = play(passes)
    back = make_model_snapshot(
        (make_state("fast", tuple(EVEN)),),
        (*(make_window(name, 75.0, 180.0, 195.0) for name in "abc"), make_window("d", 300.0, 120.0, 195.0)),
    )
    now, _ = track_demand(state, back, 195.0, STALE_AFTER_S)
    assert now.is_complete is False


def test_a_variant_whose_pods_cannot_be_listed_makes_the_rest_a_lower_bound() -> None:
    states = (make_state("fast", ("a",)), make_state("cheap", ("b",)))
    windows = (make_window("a", 75.0), make_window("b", 75.0))
    _, state = track_demand(DemandState(), make_model_snapshot(states, windows), 15.0, STALE_AFTER_S)
    lost = VariantState(make_key("cheap"), None, (), Reason(ReasonCode.SCRAPE_FAILED, "discovery does not answer"))
    half = make_model_snapshot((states[0], lost), (make_window("a", 75.0, 15.0, 30.0),))
    now, _ = track_demand(state, half, 30.0, STALE_AFTER_S)
    assert now.is_complete is False


def test_counts_that_turn_out_too_many_are_taken_off() -> None:
    windows = (make_window("a", 90.0), replace(make_window("b", 0.0), overcounted_arrivals=15.0))
    snapshot = make_model_snapshot((make_state("fast", ("a", "b")),), windows)
    offered = aggregate_windows(snapshot, LoadShares(), -math.inf, 15.0, STALE_AFTER_S)
    assert offered.rate_per_s.value == pytest.approx(5.0)


def test_shares_forget_pods_that_are_gone() -> None:
    state, _ = play([*STEADY, show(8, {"a": 75.0})])
    assert set(state.shares.loads) == {"a/"}
    assert state.shares.get(make_pod_key("a")) is not None


def test_silence_is_known_only_while_it_is_watched() -> None:
    quiet: dict[str, float | None] = {"a": 0.0}
    state = DemandState()
    for index in range(10):
        now, state = track_demand(state, show(index, quiet), 15.0 * index + 15.0, STALE_AFTER_S)
    assert now.silent_s == pytest.approx(150.0)
    now, state = track_demand(state, show(30, quiet), 465.0, STALE_AFTER_S)
    assert now.silent_s == pytest.approx(15.0)


def test_a_held_request_ends_a_silence() -> None:
    snapshot = make_model_snapshot((make_state("fast", ()),), gateway=make_gateway(0.0))
    now, state = track_demand(DemandState(), snapshot, 15.0, STALE_AFTER_S)
    assert now.silent_s == pytest.approx(15.0)
    held = make_model_snapshot((make_state("fast", ()),), gateway=make_gateway(0.0, 15.0, 30.0, waiting=1.0))
    now, state = track_demand(state, held, 30.0, STALE_AFTER_S)
    assert (now.silent_s, now.waiting_requests) == (0.0, 1.0)
