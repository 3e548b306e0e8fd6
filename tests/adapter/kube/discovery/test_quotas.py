from __future__ import annotations

from typing import Any

import pytest

from adapter.cluster import AmountKind
from adapter.kube.discovery.devices import DeviceCounter
from adapter.kube.discovery.quotas import QuotaUser, read_quota_amounts
from tests.builders.cluster_objects import NOW_S, load, make_pods, make_workload

COUNTER = DeviceCounter()
WORKLOAD = make_workload("llama")
TEMPLATE = WORKLOAD["spec"]["template"]
H100 = QuotaUser((TEMPLATE,), {"nvidia.com/gpu": 4}, "H100")
L40S = QuotaUser((TEMPLATE,), {"nvidia.com/gpu": 1}, "L40S")
AMD = QuotaUser((TEMPLATE,), {"amd.com/gpu": 8}, "MI300X")
UNKNOWN = QuotaUser((TEMPLATE,), {"nvidia.com/gpu": 1}, None)


def _quota(hard: Any = None, **spec: Any) -> Any:
    quota = load("quota")[0]
    quota["spec"] = {"hard": hard or {"requests.nvidia.com/gpu": "16"}, **spec}
    return quota


def _amounts(quota: Any, others: Any = (), users: Any = (H100, L40S)) -> Any:
    return read_quota_amounts(quota, others, users, COUNTER, NOW_S)


def test_a_quota_leaves_what_others_do_not_use_over_all_types() -> None:
    quota, stranger = load("quota")
    (amount,) = _amounts(quota, [stranger])
    assert (amount.kind, amount.name) == (AmountKind.QUOTA, "team-chat/nvidia.com/gpu")
    assert (amount.amount, amount.namespace, amount.accelerator) == (14.0, "prod", None)
    assert amount.message == "ResourceQuota team-chat grants 16 nvidia.com/gpu, pods of others use 2"


def test_others_can_leave_nothing_but_not_less() -> None:
    (amount,) = _amounts(_quota(), make_pods(WORKLOAD, 20))
    assert amount.amount == 0.0


def test_a_quota_of_no_devices_bounds_nothing() -> None:
    assert _amounts(_quota({"pods": "3", "requests.cpu": "1", "count/deployments.apps": "2"})) == ()
    assert _amounts(_quota({"requests.nvidia.com/gpu": "a few"})) == ()


def test_a_quota_nobody_of_us_uses_bounds_nothing() -> None:
    assert _amounts(_quota(), users=[AMD]) == ()
    assert _amounts(_quota(), users=[]) == ()


def test_beside_another_vendor_it_is_told_by_type() -> None:
    amounts = _amounts(_quota({"requests.nvidia.com/gpu": "16", "requests.amd.com/gpu": "8"}), users=[H100, L40S, AMD])
    assert [(amount.accelerator, amount.amount) for amount in amounts] == [("H100", 16), ("L40S", 16), ("MI300X", 8)]
    assert len({amount.name for amount in amounts}) == 3


def test_beside_another_vendor_an_unknown_type_cannot_be_bounded() -> None:
    assert _amounts(_quota(), users=[UNKNOWN, AMD]) == ()
    assert [amount.accelerator for amount in _amounts(_quota(), users=[UNKNOWN, H100])] == [None]


def test_pods_that_have_finished_use_nothing() -> None:
    finished, ending, overdue, running = make_pods(WORKLOAD, 4)
    finished["status"]["phase"] = "Succeeded"
    ending["metadata"]["deletionTimestamp"] = "2026-11-21T05:40:00Z"
    overdue["metadata"]["deletionTimestamp"] = "2026-11-21T05:00:00Z"
    (amount,) = _amounts(_quota(), [finished, ending, overdue, running])
    assert amount.amount == 14.0


def test_a_quota_for_what_runs_without_end_leaves_jobs_out() -> None:
    job, server = make_pods(WORKLOAD, 2)
    job["spec"]["activeDeadlineSeconds"] = 600
    (amount,) = _amounts(_quota(scopes=["NotTerminating"]), [job, server])
    assert amount.amount == 15.0


@pytest.mark.parametrize("scope", ["Terminating", "BestEffort", "NotBestEffort", "CrossNamespacePodAffinity"])
def test_a_quota_that_may_not_mean_us_is_left_out(scope: str) -> None:
    assert _amounts(_quota(scopes=[scope])) == ()


@pytest.mark.parametrize(
    "operator, values, own, is_bound",
    [
        ("In", ["high"], "high", True),
        ("In", ["high"], "low", False),
        ("In", ["high"], None, False),
        ("NotIn", ["high"], "low", True),
        ("NotIn", ["high"], "high", False),
        ("Exists", None, "high", True),
        ("Exists", None, None, False),
        ("DoesNotExist", None, None, True),
    ],
)
def test_a_quota_for_priorities_bounds_those_that_have_them(
    operator: str, values: list[str] | None, own: str | None, is_bound: bool
) -> None:
    template = {"spec": {**TEMPLATE["spec"], **({} if own is None else {"priorityClassName": own})}}
    wanted = {"scopeName": "PriorityClass", "operator": operator, **({} if values is None else {"values": values})}
    user = QuotaUser((template,), {"nvidia.com/gpu": 1}, "H100")
    assert bool(_amounts(_quota(scopeSelector={"matchExpressions": [wanted]}), users=[user])) is is_bound
