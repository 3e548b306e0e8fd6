"""The pages over real HTTP, read back by Prometheus' own parser and by the way old AIBrix controllers read."""

from __future__ import annotations

import json
import math

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from prometheus_client.parser import text_string_to_metric_families
from pytest_aiohttp.plugin import AiohttpClient

from adapter.pages import ReplicaUnit, build_pages_app
from adapter.store import DecisionStore
from adapter.telemetry import Telemetry
from optimizer.domain import Hold, Observation, Reason, ReasonCode, WorkloadRef
from tests.builders.decisions import DECIDED_AT_S, ManualClock, make_model_decision, make_store, make_variant_decision

Client = TestClient[web.Request, web.Application]


@pytest.fixture
def store() -> DecisionStore:
    hold = Hold(Reason(ReasonCode.CALM_WINDOW, "calm for 30 of 120 s"))
    unknown = Observation.absent(ReasonCode.NO_PROFILE, "nothing is known of its speed")
    model = make_model_decision(
        make_variant_decision("llama-l40s", 3, model_id='a"b\\c'),
        make_variant_decision("llama-a100", 0, model_id='a"b\\c', hold=hold),
        make_variant_decision("llama-a100", 9, model_id='a"b\\c', kind="StatefulSet", capacity_per_s=unknown),
    )
    return make_store(model, undecided=(WorkloadRef("prod", "new-one"),))


async def make_client(aiohttp_client: AiohttpClient, store: DecisionStore, unit: ReplicaUnit) -> Client:
    clock = ManualClock(DECIDED_AT_S + 30)
    return await aiohttp_client(build_pages_app(store, clock, Telemetry(), unit))


@pytest.fixture
async def client(aiohttp_client: AiohttpClient, store: DecisionStore) -> Client:
    return await make_client(aiohttp_client, store, ReplicaUnit.REPLICAS)


async def read_text(client: Client, path: str) -> str:
    async with client.get(path) as response:
        assert response.status == 200
        return await response.text()


async def test_deployment_page_has_the_golden_form(client: Client) -> None:
    async with client.get("/metrics/prod/llama-l40s") as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert await response.text() == (
            "# HELP vllm:deployment_replicas Number of suggested replicas.\n"
            "# TYPE vllm:deployment_replicas gauge\n"
            'vllm:deployment_replicas{model_name="a\\"b\\\\c"} 3\n'
        )


@pytest.mark.parametrize("unit, factor", [(ReplicaUnit.REPLICAS, 1), (ReplicaUnit.HUNDREDTHS, 100)])
async def test_old_controllers_read_the_number_in_every_state(
    aiohttp_client: AiohttpClient, store: DecisionStore, unit: ReplicaUnit, factor: int
) -> None:
    client = await make_client(aiohttp_client, store, unit)
    for deployment, replicas in (("llama-l40s", 3), ("llama-a100", 0)):
        page = await read_text(client, f"/metrics/prod/{deployment}")
        lines = [line for line in page.splitlines() if not line.startswith("#") and "vllm:deployment_replicas" in line]
        assert float(lines[0].split()[-1]) == replicas * factor


async def test_kind_tells_workloads_of_one_name_apart(client: Client) -> None:
    assert (await read_text(client, "/metrics/prod/llama-a100?kind=StatefulSet")).endswith(" 9\n")
    assert (await read_text(client, "/metrics/prod/llama-a100")).endswith(" 0\n")


@pytest.mark.parametrize("name, code", [("nothing", 404), ("new-one", 503)])
async def test_refusals_are_json_without_the_metric_name(client: Client, name: str, code: int) -> None:
    async with client.get(f"/metrics/prod/{name}") as response:
        text = await response.text()
        assert response.status == code
        assert name in json.loads(text)["error"]
        assert "deployment_replicas" not in text


async def test_metrics_page_shows_every_deployment_and_what_is_unknown_is_absent(client: Client) -> None:
    samples = [
        sample
        for family in text_string_to_metric_families(await read_text(client, "/metrics"))
        for sample in family.samples
    ]
    replicas = {
        (sample.labels["deployment"], sample.labels["kind"]): sample.value
        for sample in samples
        if sample.name == "deployment_replicas"
    }
    assert replicas == {
        ("llama-l40s", "Deployment"): 3,
        ("llama-a100", "Deployment"): 0,
        ("llama-a100", "StatefulSet"): 9,
    }
    names = [sample.name for sample in samples]
    assert names.count("variant_autoscaler_capacity_requests_per_second") == 2
    assert "variant_autoscaler_forecast_requests_per_second" not in names
    assert "variant_autoscaler_utilization_ratio" not in names
    by_name = {sample.name: sample for sample in samples}
    assert by_name["variant_autoscaler_decision_age_seconds"].value == 30
    assert by_name["variant_autoscaler_held"].labels["reason"] == "CalmWindow"
    assert by_name["variant_autoscaler_condition"].labels["type"] == "Fresh"
    assert "variant_autoscaler_cycle_duration_seconds_count" in names
    assert not any(math.isnan(sample.value) for sample in samples)


async def test_decisions_show_figures_and_reasons(client: Client) -> None:
    async with client.get("/v1/decisions") as response:
        body = await response.json()
    model = body["models"][0]
    assert model["demand_per_s"] == {"value": 6.0, "reason": None}
    assert model["forecast_per_s"] == {"value": None, "reason": {"code": "NoData", "message": "no page yet"}}
    assert [variant["planned_replicas"] for variant in model["variants"]] == [3, 0, 9]
    assert model["variants"][1]["hold"]["code"] == "CalmWindow"
    assert model["age_s"] == 30
    assert body["undecided"] == [{"namespace": "prod", "kind": "Deployment", "deployment": "new-one"}]
    async with client.get("/v1/decisions", params={"model": "other"}) as response:
        assert (await response.json())["models"] == []


async def test_ready_only_after_the_first_pass(aiohttp_client: AiohttpClient) -> None:
    store = DecisionStore()
    client = await make_client(aiohttp_client, store, ReplicaUnit.REPLICAS)
    assert [(await client.get(path)).status for path in ("/livez", "/readyz", "/")] == [200, 503, 200]
    store.publish(())
    assert (await client.get("/readyz")).status == 200
