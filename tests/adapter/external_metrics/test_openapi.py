"""Our OpenAPI document is found where the index says, and describes what is answered."""

from __future__ import annotations

from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from adapter.external_metrics import build_external_metrics_app
from tests.builders.decisions import ManualClock, make_model_decision, make_store, make_variant_decision


async def open_client(aiohttp_client: AiohttpClient) -> TestClient[web.Request, web.Application]:
    store = make_store(make_model_decision(make_variant_decision("llama", 3)))
    return await aiohttp_client(build_external_metrics_app(store, ManualClock(), 600.0))


async def test_the_index_leads_to_the_document(aiohttp_client: AiohttpClient) -> None:
    client = await open_client(aiohttp_client)
    index = await (await client.get("/openapi/v3")).json()
    (entry,) = index["paths"].items()
    assert entry[0] == "apis/external.metrics.k8s.io/v1beta1"
    assert "?hash=" in entry[1]["serverRelativeURL"]
    document = await (await client.get(entry[1]["serverRelativeURL"])).json()
    assert document["openapi"].startswith("3.")


async def test_answers_have_the_fields_the_document_promises(aiohttp_client: AiohttpClient) -> None:
    client = await open_client(aiohttp_client)
    document = await (await client.get("/openapi/v3/apis/external.metrics.k8s.io/v1beta1")).json()
    (path,) = document["paths"]
    answer = await (await client.get(path.format(namespace="prod"), params={"labelSelector": "variant"})).json()
    schemas = {name.rpartition(".")[2]: schema for name, schema in document["components"]["schemas"].items()}
    assert set(answer) == set(schemas["ExternalMetricValueList"]["properties"])
    assert set(answer["items"][0]) == set(schemas["ExternalMetricValue"]["properties"])
    operation = document["paths"][path]["get"]
    reference = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


async def test_version_two_is_exactly_not_found(aiohttp_client: AiohttpClient) -> None:
    client = await open_client(aiohttp_client)
    assert (await client.get("/openapi/v2")).status == 404
