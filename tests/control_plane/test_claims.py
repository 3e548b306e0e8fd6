"""Several claims on one workload, by labels or by whole installations: the older one works, the younger says why not.

The clock of two installations runs fast, so that the minutes after which the dead lose their claims are seconds.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from adapter.errors import NotFound
from adapter.kube.client import Json
from adapter.kube.decisions import Installation
from adapter.kube.decisions.installation import get_object_name, get_refusal_name
from adapter.kube.resource import DEPLOYMENTS, VARIANT_DECISIONS
from tests.control_plane.asking import ask_number, count_passes, read_page
from tests.control_plane.cluster import Cluster
from tests.control_plane.pods import make_deployment
from tests.control_plane.product import NAME, Product, open_product
from tests.control_plane.quick_clock import QuickClock
from tests.control_plane.sampling import sampling
from tests.control_plane.waiting import PATIENCE_S
from tests.control_plane.workloads import MODEL, PREFIX, Workload, get_condition, told_of
from tests.deploy.chart import Helm

CLOCK = QuickClock(5.0, behind_s=150.0)
CLAIM_ENDS_S = 240.0
"""Some times as long as it takes with such a clock until the dead have no claims any more [s]."""
LLM_D = "llm-d.ai/model-id"


async def test_of_two_installations_the_older_one_decides_until_it_is_dead(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    await llama.create(1)
    await llama.pin(4)
    clock, quick = CLOCK.make(), CLOCK.make_config()
    only_pages = {"config": quick, "apiService": {"create": False}}
    async with (
        open_product(cluster, helm, tmp_path, values={"config": quick}, clock=clock) as older,
        open_product(cluster, helm, tmp_path, values=only_pages, clock=clock, owns_api=False) as younger,
    ):
        with told_of(older), told_of(younger):
            await older.start()
            await llama.wait_for_replicas(4)
            await younger.start()
            await the_younger_says_why_it_does_not_decide(llama, older, younger)
            await the_dead_leave_their_claim(llama, older, younger)
            await a_deleted_decision_ends_a_claim_at_once(llama, older, younger)


async def the_younger_says_why_it_does_not_decide(llama: Workload, older: Product, younger: Product) -> None:
    refused = await wait_for_refusal(llama, younger)
    (accepted,) = refused["status"]["conditions"]
    said = f"installation {older.namespace}/{NAME} decides about it already"
    assert (accepted["type"], accepted["status"], accepted["reason"]) == ("Accepted", "False", "ConflictingClaim")
    assert said in accepted["message"]
    event = await llama.wait_for_event("ConflictingClaim", said)
    assert event["type"] == "Warning"
    assert "uninstall it" in event["note"]

    passes = await count_passes(younger.adapters[0])
    async with sampling(told=partial(ask_number, llama.cluster.client, llama)) as samples:
        await llama.pin(5)
        await llama.wait_for_replicas(5)
        await wait_for_passes(younger, passes + 6)
    assert samples["told"].seen == ["4", "5"]
    again = await wait_for_refusal(llama, younger)
    assert again["metadata"]["resourceVersion"] == refused["metadata"]["resourceVersion"]
    assert await llama.wait_for_event("ConflictingClaim") == event
    assert 'deployment="llama"' not in await read_page(younger.adapters[0], "/metrics")


async def the_dead_leave_their_claim(llama: Workload, older: Product, younger: Product) -> None:
    older.adapters[0].process.kill()
    await wait_for_owner(llama, younger, timeout_s=CLAIM_ENDS_S)
    await llama.pin(6)
    await llama.wait_for_planned(6)
    assert await find_decision(llama, get_refusal_name(llama.ref, to_installation(younger))) is None
    assert 'deployment="llama"' in await read_page(younger.adapters[0], "/metrics")
    assert await llama.read_replicas() == 5  # whoever HPA asks is gone


async def a_deleted_decision_ends_a_claim_at_once(llama: Workload, older: Product, younger: Product) -> None:
    older.adapters[0].process.start()
    refused = await wait_for_refusal(llama, older)
    assert f"{younger.namespace}/{NAME} decides" in refused["status"]["conditions"][0]["message"]
    younger.adapters[0].process.kill()
    await llama.cluster.delete(VARIANT_DECISIONS, llama.namespace, get_object_name(llama.ref))
    await wait_for_owner(llama, older)
    await llama.wait_for_replicas(6)


def to_installation(product: Product) -> Installation:
    return Installation(product.namespace, NAME)


async def wait_for_refusal(workload: Workload, product: Product) -> Json:
    """Return the object by which an installation says that it does not decide about a workload."""
    return await workload.cluster.wait_for(
        VARIANT_DECISIONS,
        workload.namespace,
        get_refusal_name(workload.ref, to_installation(product)),
        lambda it: "status" in it,
        what=f"{product.namespace} says that it may not decide",
    )


async def wait_for_owner(workload: Workload, product: Product, timeout_s: float = PATIENCE_S) -> None:
    """Return when an installation decides about a workload."""
    owner = {"namespace": product.namespace, "name": NAME}
    await workload.cluster.wait_for(
        VARIANT_DECISIONS,
        workload.namespace,
        get_object_name(workload.ref),
        lambda it: it["spec"]["installation"] == owner and "status" in it,
        what=f"{product.namespace} decides",
        timeout_s=timeout_s,
    )


async def find_decision(workload: Workload, name: str) -> Json | None:
    try:
        return await workload.cluster.client.get(VARIANT_DECISIONS, workload.namespace, name)
    except NotFound:
        return None


async def wait_for_passes(product: Product, count: int) -> None:
    await product.cluster.wait_until(
        partial(count_passes, product.adapters[0]), lambda passes: passes >= count, what=f"{count} passes"
    )


async def test_of_two_labels_the_older_one_counts_and_of_two_workloads_under_one_name(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    annotations = {f"{PREFIX}accelerator": "L40S", f"{PREFIX}override": "pin=3", LLM_D: "old"}
    await llama.create(1, annotations)
    async with open_product(cluster, helm, tmp_path) as product:
        with told_of(product):
            await product.start()
            await llama.wait_for_replicas(3)

            await llama.annotate(model="new")
            said = "it stays with old"
            status = await llama.wait_for_condition("Troubled", "True", said)
            assert get_condition(status, "Troubled")["reason"] == "ConflictingClaim"
            assert "Remove" in (await llama.wait_for_event("ConflictingClaim", said))["note"]
            await llama.pin(4)
            await llama.wait_for_replicas(4)
            (adapter,) = product.adapters
            adapter.process.kill()
            adapter.process.start()  # whoever starts anew knows which one was first
            await product.wait_ready()
            await llama.pin(5)
            await llama.wait_for_replicas(5)
            assert await read_model(llama) == "old"

            await a_name_that_is_taken_is_refused(llama)
            await llama.patch({"metadata": {"annotations": {LLM_D: None}}})
            await llama.wait_for_condition("Troubled", "False")
            assert await read_model(llama) == "new"
            assert await product.read_number(llama.namespace, "llama") == 5


async def a_name_that_is_taken_is_refused(llama: Workload) -> None:
    qwen = Workload(llama.cluster, llama.namespace, "qwen")
    same = {**MODEL, f"{PREFIX}model": "old", f"{PREFIX}variant": "llama"}
    await llama.cluster.create(DEPLOYMENTS, qwen.namespace, make_deployment("qwen", 2, annotations=same))
    event = await qwen.wait_for_event("ConflictingClaim", "Deployment llama already is variant llama of model old")
    assert f"Give it a name of its own: {PREFIX}variant" in event["note"]
    items = (await llama.cluster.client.list(VARIANT_DECISIONS, llama.namespace))["items"]
    (refusal,) = [it for it in items if it["spec"]["workloadRef"]["name"] == "qwen"]
    assert get_condition(refusal["status"], "Accepted")["status"] == "False"
    assert await qwen.read_replicas() == 2
    await qwen.annotate(variant="qwen", override="pin=1")
    await qwen.wait_for_planned(1)


async def read_model(workload: Workload) -> str:
    """Return the LLM that a workload is decided for."""
    found = await find_decision(workload, get_object_name(workload.ref))
    assert found is not None
    return str(found["spec"]["modelId"])
