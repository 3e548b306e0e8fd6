"""The pods' pages, and whether requests may end before pods do."""

from __future__ import annotations

import re

import pytest
import yaml

from adapter.doctor import Check, Verdict
from adapter.kube.resource import PODS
from tests.builders.autoscaler_objects import LLAMA
from tests.builders.doctor_stage import CONFIGURATION, MODEL_ID, PAGE_PATH, DoctorStage

POD = f"Pod {LLAMA.namespace}/{LLAMA.name}-0"


async def test_a_pod_whose_port_answers_nobody_is_told(stage: DoctorStage) -> None:
    stage.api.fail(503, verb="get", plural="pods", message="dial tcp 10.0.0.1:8000: connection refused")
    stage.decide(fresh=False)
    found = await stage.examine()
    finding = found.get(Check.ENGINE_PAGE)
    assert (found.wrong, finding.about) == ({Check.ENGINE_PAGE}, POD)
    assert "8000/metrics" in finding.remedy
    assert "variant-autoscaler.io/port=PORT" in finding.remedy
    assert found.get(Check.GRACE).verdict is Verdict.CANNOT_TELL


async def test_a_pod_that_only_the_api_server_cannot_reach_is_no_trouble(stage: DoctorStage) -> None:
    stage.api.fail(503, verb="get", plural="pods", message="dial tcp 10.0.0.1:8000: i/o timeout")
    found = await stage.examine()
    assert found.wrong == set()
    assert "condition Fresh is True" in found.get(Check.ENGINE_PAGE).message


async def test_fresh_data_of_a_gateway_say_nothing_of_pages(stage: DoctorStage) -> None:
    model = f"{{name: {MODEL_ID}, namespace: {LLAMA.namespace}, gateway: {{url: 'http://gateway:9090'}}}}"
    stage.configure(CONFIGURATION + f"models: [{model}]\n")
    stage.api.fail(503, verb="get", plural="pods", message="connection refused")
    assert (await stage.examine()).wrong == {Check.ENGINE_PAGE}


async def test_a_page_that_is_none_is_told(stage: DoctorStage) -> None:
    stage.api.pages[PAGE_PATH] = b"<html>hello</html>"
    found = await stage.examine()
    assert found.wrong == {Check.ENGINE_PAGE}
    assert "--disable-log-stats" in found.get(Check.ENGINE_PAGE).remedy


async def test_a_page_is_looked_for_where_annotations_and_configuration_say(stage: DoctorStage) -> None:
    page = stage.api.pages.pop(PAGE_PATH)
    stage.api.pages[PAGE_PATH.replace("8000", "9000").replace("/metrics", "/stats")] = page
    stage.change_workload({"metadata": {"annotations": {"variant-autoscaler.io/port": "9000"}}})
    variant = f"{{name: v, deployment: {LLAMA.name}, accelerator: H100, metrics_path: /stats}}"
    stage.configure(
        CONFIGURATION + f"models: [{{name: {MODEL_ID}, namespace: {LLAMA.namespace}, variants: [{variant}]}}]\n"
    )
    assert (await stage.examine()).get(Check.ENGINE_PAGE).verdict is Verdict.OK


async def test_pages_that_you_may_not_read_cannot_be_told(stage: DoctorStage) -> None:
    stage.api.fail(403, verb="get", plural="pods")
    found = await stage.examine()
    assert found.unknown == {Check.ENGINE_PAGE, Check.GRACE}
    assert f"can-i get pods/proxy -n {LLAMA.namespace}" in found.get(Check.ENGINE_PAGE).remedy


async def test_a_pod_that_ended_meanwhile_cannot_be_told(stage: DoctorStage) -> None:
    stage.api.fail(404, verb="get", plural="pods", message=f'pods "{LLAMA.name}-0" not found')
    assert (await stage.examine()).get(Check.ENGINE_PAGE).verdict is Verdict.CANNOT_TELL


async def test_without_a_ready_pod_there_is_no_page_to_judge(stage: DoctorStage) -> None:
    stage.api.remove(PODS, LLAMA.namespace, f"{LLAMA.name}-0")
    found = await stage.examine()
    assert "no pod of it is ready" in found.get(Check.ENGINE_PAGE).message
    assert found.unknown == {Check.ENGINE_PAGE, Check.GRACE}


# --- Time to end ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("grace_s, verdict", [(600, Verdict.OK), (2, Verdict.WRONG)])
async def test_a_pod_has_to_live_as_long_as_nearly_all_requests(
    stage: DoctorStage, grace_s: int, verdict: Verdict
) -> None:
    stage.change_workload({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": grace_s}}}})
    finding = (await stage.examine()).get(Check.GRACE)
    assert finding.verdict is verdict
    found = re.search(r"p99 of requests takes ([\d.]+) s", finding.message)
    assert found is not None
    if verdict is Verdict.WRONG:
        wanted = yaml.safe_load(finding.remedy)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert wanted >= float(found[1])


async def test_few_requests_tell_nothing_of_the_longest_ones(stage: DoctorStage) -> None:
    few = re.sub(
        rb"(vllm:e2e_request_latency_seconds_(?:bucket|count)\{[^}]*\}) \S+", rb"\1 3", stage.api.pages[PAGE_PATH]
    )
    stage.api.pages[PAGE_PATH] = few
    found = await stage.examine()
    assert found.unknown == {Check.GRACE}
    assert "too few have ended" in found.get(Check.GRACE).message
