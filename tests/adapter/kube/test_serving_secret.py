"""Bytes in a Secret: nobody writes over what somebody else wrote."""

from __future__ import annotations

import pytest

from adapter.errors import BadDocument, Conflict
from adapter.kube.client import KubeClient
from adapter.kube.resource import SECRETS
from adapter.kube.serving_secret import ServingSecret
from tests.builders.fake_kube_api import FakeKubeApi

DATA = {"tls.crt": b"\x00one", "tls.key": b"two"}


@pytest.fixture
def secret(kube_client: KubeClient) -> ServingSecret:
    return ServingSecret(kube_client, "system", "tls")


async def test_what_is_written_is_read(secret: ServingSecret) -> None:
    assert await secret.load() is None
    await secret.create(DATA)
    stored = await secret.load()
    assert stored is not None
    assert stored[0] == DATA
    await secret.replace({"a": b"b"}, stored[1])
    assert (await secret.load() or ({}, ""))[0] == {"a": b"b"}


async def test_only_one_of_many_writers_wins(secret: ServingSecret, kube_client: KubeClient) -> None:
    other = ServingSecret(kube_client, "system", "tls")
    await secret.create(DATA)
    with pytest.raises(Conflict):
        await other.create({"tls.crt": b"", "tls.key": b""})
    seen = [await one.load() for one in (secret, other)]
    assert seen[0] is not None
    await other.replace({"a": b"1"}, seen[0][1])
    with pytest.raises(Conflict):
        await secret.replace({"a": b"2"}, seen[0][1])


async def test_labels_of_others_stay(kube_api: FakeKubeApi, secret: ServingSecret) -> None:
    kube_api.put(SECRETS, {"metadata": {"name": "tls", "namespace": "system", "labels": {"team": "ml"}}})
    stored = await secret.load()
    assert stored is not None
    assert stored[0] == {}
    await secret.replace(DATA, stored[1])
    assert kube_api.get(SECRETS, "system", "tls")["metadata"]["labels"] == {"team": "ml"}


async def test_what_is_no_base64_is_said(kube_api: FakeKubeApi, secret: ServingSecret) -> None:
    kube_api.put(SECRETS, {"metadata": {"name": "tls", "namespace": "system"}, "data": {"a": "!"}})
    with pytest.raises(BadDocument, match="system/tls cannot be read"):
        await secret.load()
