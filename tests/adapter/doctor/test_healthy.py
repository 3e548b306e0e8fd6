"""A cluster in which everything is well: every point is told, and looking changes nothing."""

from __future__ import annotations

from adapter.doctor import Check, Verdict
from tests.builders.doctor_stage import HOME, NAME, DoctorStage

NOT_WHEN_HEALTHY = {Check.YOUR_RIGHTS, Check.WORKLOAD}
REVIEWS = {"subjectaccessreviews"}


async def test_where_nothing_is_wrong_every_point_is_ok(stage: DoctorStage) -> None:
    found = await stage.examine()
    assert found.wrong == found.unknown == set()
    assert found.get_checks(Verdict.OK) == set(Check) - NOT_WHEN_HEALTHY
    assert all(finding.remedy == "" for finding in found.findings)


async def test_looking_writes_nothing_but_reviews(stage: DoctorStage) -> None:
    await stage.examine()
    assert set(stage.api.count_writes()) == REVIEWS


async def test_looking_at_a_broken_cluster_writes_nothing_either(stage: DoctorStage) -> None:
    stage.trust(None)
    stage.set_available("False", "FailedDiscoveryCheck", "connection refused")
    stage.lead(holder="")
    stage.put_hpa(metrics=[])
    stage.change_workload({"metadata": {"annotations": {"variant-autoscaler.io/accelerator": None}}})
    await stage.examine()
    assert set(stage.api.count_writes()) == REVIEWS


async def test_the_service_may_be_named_instead_of_found(stage: DoctorStage) -> None:
    found = await stage.examine(service=(HOME, NAME))
    assert found.get(Check.INSTALLATION).about == f"Service {HOME}/{NAME}"
    assert found.wrong == set()


async def test_points_come_in_the_order_in_which_a_number_travels(stage: DoctorStage) -> None:
    order = list(Check)
    places = [order.index(finding.check) for finding in (await stage.examine()).findings]
    assert places == sorted(places)
