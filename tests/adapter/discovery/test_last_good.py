"""Discovery that survives its source."""

from __future__ import annotations

from collections.abc import Iterable

from adapter.discovery import LastGoodDiscovery
from adapter.errors import AdapterError, BadDocument, Unreachable
from adapter.inventory import Inventory
from optimizer.domain import Reason, ReasonCode
from tests.builders.captured_log import capture_log
from tests.builders.inventories import make_inventory, make_pod_entry

ONE = make_inventory(a=[make_pod_entry("a-0", "http://x")])
TWO = make_inventory(a=[], b=[])


class FakeSource:
    """Says what it was told to, one after the other."""

    def __init__(self, answers: Iterable[Inventory | AdapterError]) -> None:
        self._answers = iter(answers)

    async def fetch_inventory(self) -> Inventory:
        answer = next(self._answers)
        if isinstance(answer, AdapterError):
            raise answer
        return answer


def make_stale(inventory: Inventory, why: str) -> Inventory:
    return Inventory(inventory.workloads, Reason(ReasonCode.STALE, f"inventory not renewed: {why}"))


async def test_last_good_inventory_stays_in_force_with_the_reason() -> None:
    answers: list[Inventory | AdapterError] = [ONE, Unreachable("gone"), BadDocument("odd"), TWO, Unreachable("gone")]
    discovery = LastGoodDiscovery(FakeSource(answers))
    assert [await discovery.fetch_inventory() for _ in answers] == [
        ONE,
        make_stale(ONE, "gone"),
        make_stale(ONE, "odd"),
        TWO,
        make_stale(TWO, "gone"),
    ]


async def test_before_the_first_answer_nothing_is_known_and_that_is_said() -> None:
    discovery = LastGoodDiscovery(FakeSource([Unreachable("gone")]))
    assert await discovery.fetch_inventory() == make_stale(Inventory(()), "gone")


async def test_failure_is_logged_when_it_begins_changes_and_ends() -> None:
    answers: list[Inventory | AdapterError] = [Unreachable("gone"), Unreachable("gone"), BadDocument("odd"), ONE, ONE]
    discovery = LastGoodDiscovery(FakeSource(answers))
    with capture_log() as log:
        for _ in answers:
            await discovery.fetch_inventory()
    assert [line["error"] for line in log.read("inventory_failed")] == ["gone", "odd"]
    assert [line["workloads"] for line in log.read("inventory_renewed")] == [1]
