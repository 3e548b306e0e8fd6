"""The idlest pod gets the lowest cost, and a pod is written to only when its load has changed by a factor of two."""

from __future__ import annotations

import random

import pytest

from adapter.kube.actuation.deletion_cost import CostChange, compute_cost, find_cost_changes
from optimizer.domain import PodKey, PodPhase, PodState


def make_pod(name: str, running: float | None, phase: PodPhase = PodPhase.READY, uid: str = "1") -> PodState:
    return PodState(PodKey("prod", name, uid), phase, running_requests=running)


@pytest.mark.parametrize(
    "running, cost", [(0.0, 0), (0.2, 1), (1.0, 1), (2.0, 2), (3.0, 2), (4.0, 3), (255.0, 8), (-1.0, 0)]
)
def test_the_cost_is_the_order_of_magnitude_of_the_running_requests(running: float, cost: int) -> None:
    assert compute_cost(running) == cost


def test_more_requests_never_cost_less() -> None:
    costs = [compute_cost(running / 4) for running in range(4000)]
    assert costs == sorted(costs)


def test_changes_come_with_the_busiest_first() -> None:
    pods = [make_pod("a", 9.0), make_pod("b", 0.0), make_pod("c", 2.0)]
    assert [(change.pod.name, change.cost) for change in find_cost_changes(pods, {})] == [("a", 4), ("c", 2), ("b", 0)]


def test_what_was_written_already_is_not_written_again() -> None:
    pods = [make_pod("a", 9.0), make_pod("b", 0.0)]
    written = {pods[0].pod: 4, pods[1].pod: 0}
    assert find_cost_changes(pods, written) == ()
    assert find_cost_changes([make_pod("a", 15.0), pods[1]], written) == ()
    assert find_cost_changes([make_pod("a", 16.0), pods[1]], written) == (CostChange(pods[0].pod, 5),)


def test_a_pod_of_the_same_name_is_another_pod() -> None:
    pods = [make_pod("a", 9.0, uid="2"), make_pod("b", 0.0)]
    written = {PodKey("prod", "a", "1"): 4, pods[1].pod: 0}
    assert [change.pod.uid for change in find_cost_changes(pods, written)] == ["2"]


def test_pods_that_do_not_serve_are_left_alone() -> None:
    quiet = [make_pod("b", 3.0, PodPhase.STARTING), make_pod("c", 3.0, PodPhase.TERMINATING)]
    assert find_cost_changes([*quiet, make_pod("d", 3.0)], {}) == ()
    assert len(find_cost_changes([*quiet, make_pod("d", 3.0), make_pod("e", 3.0)], {})) == 2


def test_a_pod_that_serves_and_tells_nothing_counts_as_busy_as_the_busiest() -> None:
    pods = [make_pod("silent", None), make_pod("busy", 9.0), make_pod("idle", 0.0)]
    costs = {change.pod.name: change.cost for change in find_cost_changes(pods, {})}
    assert costs == {"silent": 4, "busy": 4, "idle": 0}
    assert find_cost_changes([make_pod("a", None), make_pod("b", None)], {}) == ()


def test_written_in_any_order_the_idlest_pod_has_the_lowest_cost() -> None:
    rng, written = random.Random(7), dict[PodKey, int]()
    for _ in range(50):
        pods = [make_pod(str(index), float(rng.choice([0, 1, 5, 40, 200]))) for index in range(6)]
        written.update({change.pod: change.cost for change in find_cost_changes(pods, written)})
        idlest = min(pods, key=lambda pod: pod.running_requests or 0.0)
        assert written[idlest.pod] == min(written.values())
