"""Discovery from addresses that somebody wrote down."""

from __future__ import annotations

from adapter.discovery import StaticDiscovery
from adapter.inventory import Inventory, PodEntry, WorkloadEntry
from optimizer.domain import PodKey, PodPhase, WorkloadRef

A, B = WorkloadRef("prod", "a"), WorkloadRef("prod", "b", "StatefulSet")


async def test_every_address_is_a_pod_of_which_nothing_else_is_known() -> None:
    discovery = StaticDiscovery({A: ("http://10.0.0.1:8000", "http://10.0.0.2:8000"), B: ()})
    first, second = (
        PodEntry(PodKey("prod", url), url, PodPhase.READY) for url in ("http://10.0.0.1:8000", "http://10.0.0.2:8000")
    )
    assert await discovery.fetch_inventory() == Inventory(
        (WorkloadEntry(A, None, (first, second)), WorkloadEntry(B, None, ()))
    )


async def test_pods_keep_their_identity_when_the_list_changes() -> None:
    before = await StaticDiscovery({A: ("http://x", "http://y")}).fetch_inventory()
    after = await StaticDiscovery({A: ("http://z", "http://y")}).fetch_inventory()
    assert before.workloads[0].pods[1] == after.workloads[0].pods[1]
