"""Who decides about a workload that several want: the older claim, through passes, restarts and deaths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapter.kube.decisions import Installation
from adapter.kube.decisions.claims import CLAIM_ENDS_S
from adapter.kube.decisions.installation import get_refusal_name
from adapter.kube.resource import EVENTS, VARIANT_DECISIONS
from optimizer.domain import WorkloadRef
from tests.builders.cluster_replicas import deploy, open_replica, until
from tests.builders.fake_kube_api import FakeKubeApi
from tests.builders.quiet_clock import QuietClock

RIVAL = Installation("other", "rival")
REFUSAL = get_refusal_name(WorkloadRef("prod", "llama"), RIVAL)
LLM_D = {"llm-d.ai/model-id": "older"}


def find(api: FakeKubeApi, name: str) -> dict[str, Any] | None:
    return next((item for item in api.list(VARIANT_DECISIONS) if item["metadata"]["name"] == name), None)


def is_refused(api: FakeKubeApi) -> bool:
    found = find(api, REFUSAL)
    return found is not None and "status" in found


async def test_the_younger_installation_refuses_for_good_and_takes_over_from_the_dead(
    api: FakeKubeApi, clock: QuietClock, tmp_path: Path
) -> None:
    deploy(api, 2, "pin=5")
    async with open_replica(api, clock, tmp_path, "one") as one:
        await until(clock, lambda: one.numbers == {"llama": 5})
        async with open_replica(api, clock, tmp_path, "two", RIVAL) as two:
            await until(clock, lambda: is_refused(api))
            refusal, passes = find(api, REFUSAL), two.passes
            await until(clock, lambda: two.passes >= passes + 10, within_s=300.0)
            assert find(api, REFUSAL) == refusal
            assert (one.numbers, two.numbers) == ({"llama": 5}, {})
            assert [event["reason"] for event in api.list(EVENTS)].count("ConflictingClaim") == 1
            deploy(api, 5, "pin=6")
            await until(clock, lambda: one.numbers == {"llama": 6})
            assert two.numbers == {}

            await one.end()
            await clock.run_to(clock.now_s() + CLAIM_ENDS_S - 30.0)
            assert (two.numbers, find(api, REFUSAL)) == ({}, refusal)
            await until(clock, lambda: two.numbers == {"llama": 6}, within_s=90.0)
            assert find(api, REFUSAL) is None


async def test_whoever_starts_anew_knows_which_label_was_first(
    api: FakeKubeApi, clock: QuietClock, tmp_path: Path
) -> None:
    of_llm_d_alone = {"variant-autoscaler.io/model": "", **LLM_D}
    deploy(api, 2, "pin=5", **of_llm_d_alone)
    async with open_replica(api, clock, tmp_path, "one") as one:
        await until(clock, lambda: one.numbers == {"llama": 5})
    deploy(api, 2, "pin=6", **LLM_D)
    async with open_replica(api, clock, tmp_path, "two") as two:
        await until(clock, lambda: two.numbers == {"llama": 6})
        (model,) = two.store.get().models
        assert model.key.model_id == "older"
