from __future__ import annotations

from typing import Any

import pytest

from adapter.kube.discovery.pods import is_replica, read_groups, read_phase, read_single_pods, read_url
from adapter.kube.wire_times import parse_time_s
from optimizer.domain import PodKey, PodPhase
from tests.builders.cluster_objects import load

PODS = load("pods")


@pytest.mark.parametrize(
    "state, phase",
    [
        ("ready", PodPhase.READY),
        ("starting", PodPhase.STARTING),
        ("unready_again", PodPhase.STARTING),
        ("terminating", PodPhase.TERMINATING),
        ("unschedulable", PodPhase.STARTING),
        ("gated", PodPhase.STARTING),
        ("ipv6", PodPhase.READY),
        ("unsent", PodPhase.STARTING),
    ],
)
def test_every_state_of_a_pod_has_its_phase(state: str, phase: PodPhase) -> None:
    (replica,) = read_single_pods([PODS[state]], 8000)
    assert replica.entry.phase is phase


@pytest.mark.parametrize("state", ["evicted", "finished"])
def test_records_of_pods_are_no_replicas(state: str) -> None:
    assert not is_replica(PODS[state])
    assert read_single_pods([PODS[state]], 8000) == ()


def test_ready_pod_tells_when_and_where() -> None:
    (replica,) = read_single_pods([PODS["ready"]], 8080)
    assert replica.entry.pod == PodKey("prod", "p", "u1")
    assert replica.entry.url == "http://10.0.0.7:8080"
    assert replica.entry.created_s == parse_time_s("2026-11-21T05:00:00Z")
    assert replica.entry.ready_s == parse_time_s("2026-11-21T05:04:00Z")
    assert replica.is_placed
    assert replica.waiting_since_s is None


def test_unready_pod_is_not_ready_since_any_time() -> None:
    for state in ("unready_again", "terminating", "starting"):
        (replica,) = read_single_pods([PODS[state]], 8080)
        assert replica.entry.ready_s is None


def test_addresses_of_the_sixth_version_stand_in_brackets() -> None:
    assert read_url(PODS["ipv6"], 8000) == "http://[fd00:10:244::7]:8000"


def test_pods_without_an_address_have_no_url() -> None:
    assert read_url(PODS["starting"], 8000) == ""


def test_only_the_scheduler_makes_a_pod_wait() -> None:
    (waiting,) = read_single_pods([PODS["unschedulable"]], 8000)
    assert waiting.waiting_since_s == parse_time_s("2026-11-21T05:00:01Z")
    assert waiting.why == "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    assert not waiting.is_placed
    (gated,) = read_single_pods([PODS["gated"]], 8000)
    assert gated.waiting_since_s is None
    assert not gated.is_placed


def test_who_does_not_say_since_when_it_waits_has_waited_since_it_was_made() -> None:
    pod = load("pods")["unschedulable"]
    del pod["status"]["conditions"][0]["lastTransitionTime"]
    (waiting,) = read_single_pods([pod], 8000)
    assert waiting.waiting_since_s == parse_time_s("2026-11-21T05:00:00Z")


@pytest.mark.parametrize("status", [None, {}, {"phase": "Running", "conditions": None, "podIPs": "x"}])
def test_what_a_pod_leaves_out_is_unknown(status: Any) -> None:
    pod = {"metadata": {"name": "p", "namespace": "n"}, "spec": None, "status": status}
    (replica,) = read_single_pods([pod], 8000)
    assert replica.entry.phase is PodPhase.STARTING
    assert replica.entry.created_s is None


def _pods_of_groups() -> list[Any]:
    return [document for document in load("leader_worker_set") if document["kind"] == "Pod"]


def test_a_group_is_one_replica_that_is_heard_through_its_leader() -> None:
    whole, starting, ending = read_groups(_pods_of_groups(), 2, 40000)
    assert whole.entry.pod.name == "deepseek-r1-0"
    assert whole.entry.url == "http://10.4.1.1:40000"
    assert whole.entry.phase is PodPhase.READY
    assert whole.entry.ready_s == parse_time_s("2026-11-20T12:09:30Z")  # its last pod
    assert whole.is_placed
    assert starting.entry.phase is PodPhase.STARTING
    assert starting.waiting_since_s == parse_time_s("2026-11-21T05:00:01Z")
    assert not starting.is_placed
    assert ending.entry.phase is PodPhase.TERMINATING


def test_a_group_without_all_of_its_pods_is_not_ready() -> None:
    leader = _pods_of_groups()[0]
    assert read_phase(leader) is PodPhase.READY
    (replica,) = read_groups([leader], 2, 40000)
    assert replica.entry.phase is PodPhase.STARTING
    assert not replica.is_placed
    del leader["metadata"]["annotations"]["leaderworkerset.sigs.k8s.io/size"]
    assert read_groups([leader], 1, 40000)[0].entry.phase is PodPhase.READY


def test_during_an_update_each_group_has_its_own_size() -> None:
    pods = _pods_of_groups()[:2]
    for pod in pods:
        pod["metadata"]["annotations"]["leaderworkerset.sigs.k8s.io/size"] = "2"
    assert read_groups(pods, 4, 40000)[0].entry.phase is PodPhase.READY


def test_a_group_whose_leader_is_gone_comes_back() -> None:
    worker = _pods_of_groups()[1]
    (replica,) = read_groups([worker], 2, 40000)
    assert replica.entry.pod == PodKey("prod", "deepseek-r1-0")
    assert replica.entry.phase is PodPhase.STARTING
    assert replica.entry.url == ""
    worker["metadata"]["deletionTimestamp"] = "2026-11-21T05:00:00Z"
    assert read_groups([worker], 2, 40000)[0].entry.phase is PodPhase.TERMINATING


def test_a_group_with_a_failed_worker_is_not_whole() -> None:
    leader, worker = _pods_of_groups()[:2]
    worker["status"] = {"phase": "Failed", "reason": "Evicted"}
    (replica,) = read_groups([leader, worker], 2, 40000)
    assert replica.entry.phase is PodPhase.STARTING


def test_groups_come_in_the_order_of_their_numbers() -> None:
    pods = []
    for index in (10, 9, 2):
        pod = _pods_of_groups()[0]
        pod["metadata"]["name"] = f"deepseek-r1-{index}"
        pod["metadata"]["labels"]["leaderworkerset.sigs.k8s.io/group-index"] = str(index)
        pods.append(pod)
    names = [replica.entry.pod.name for replica in read_groups(pods, 1, 40000)]
    assert names == ["deepseek-r1-2", "deepseek-r1-9", "deepseek-r1-10"]
