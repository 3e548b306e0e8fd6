"""Who asks is asked for, unless health is meant."""

from __future__ import annotations

import pytest

from tests.contract.external_metrics.adapter_under_test import METRIC, VERSION, AdapterUnderTest
from tests.contract.external_metrics.test_refusals import check_status


@pytest.fixture
def guarded(adapter: AdapterUnderTest) -> AdapterUnderTest:
    if not adapter.authenticates:
        pytest.skip("no token is named: it is taken to ask nobody who they are")
    return adapter


async def test_health_is_open(adapter: AdapterUnderTest) -> None:
    for path in ("/livez", "/readyz"):
        answer = await adapter.get(path, is_known=False)
        assert (answer.status, answer.content) == (200, b"ok")


async def test_nobody_gets_nothing(guarded: AdapterUnderTest) -> None:
    metric = f"{VERSION}/namespaces/{guarded.namespace or 'default'}/{METRIC}"
    for path in (metric, VERSION, "/apis", "/openapi/v3", "/nowhere"):
        check_status(await guarded.get(path, is_known=False), 401, "Unauthorized")
        wrong = await guarded.get(path, is_known=False, headers=[("Authorization", "Bearer no-such-token")])
        check_status(wrong, 401, "Unauthorized")
        assert "no-such-token" not in wrong.body["message"]


async def test_forged_headers_make_nobody_a_master(guarded: AdapterUnderTest) -> None:
    forged = [("X-Remote-User", "system:admin"), ("X-Remote-Group", "system:masters")]
    for is_known in (False, True):
        check_status(await guarded.get(VERSION, is_known=is_known, headers=forged), 401, "Unauthorized")
    only_groups = [("X-Remote-Group", "system:masters")]
    check_status(await guarded.get(VERSION, is_known=False, headers=only_groups), 401, "Unauthorized")
