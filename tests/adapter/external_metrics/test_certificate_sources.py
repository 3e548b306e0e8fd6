"""Where certificates come from: mounted files, and a Secret that all replicas share without writing over each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapter.errors import AdapterError, BadDocument, Unreachable
from adapter.external_metrics import FileCertificate, SelfSignedCertificate
from adapter.external_metrics.key_pair import KeyPair, check_key_pair, read_chain
from adapter.external_metrics.renewal import AUTHORITY_LIFE_S, OVERLAP_S
from adapter.kube.client import KubeClient
from adapter.kube.resource import SECRETS
from adapter.kube.serving_secret import ServingSecret
from tests.builders.decisions import ManualClock
from tests.builders.fake_kube_api import FakeKubeApi, open_fake_kube_api

NAMES = ("autoscaler.system.svc", "localhost")


async def test_files_are_read_as_they_are_now(tmp_path: Path) -> None:
    source = FileCertificate(tmp_path / "tls.crt", tmp_path / "tls.key")
    with pytest.raises(BadDocument, match=r"cannot be read: .*tls\.crt: No such file"):
        await source.load()
    for content in (b"one", b"two"):
        (tmp_path / "tls.crt").write_bytes(content)
        (tmp_path / "tls.key").write_bytes(content)
        assert (await source.load()).pair == KeyPair(content, content)


class Replicas:
    """Some replicas of one installation, each with a source of its own."""

    def __init__(self, api: FakeKubeApi, client: KubeClient) -> None:
        self.api, self.client, self.clock = api, client, ManualClock()
        self.published: bytes | None = None

    def make(self) -> SelfSignedCertificate:
        store = ServingSecret(self.client, "system", "autoscaler-tls")
        return SelfSignedCertificate(store, self.clock, NAMES, lambda: self.published)


@pytest.fixture
async def replicas() -> AsyncIterator[Replicas]:
    async with open_fake_kube_api() as api, api.open_client() as client:
        yield Replicas(api, client)


async def test_the_first_replica_makes_it_and_all_others_adopt_it(replicas: Replicas) -> None:
    sources = [replicas.make() for _ in range(5)]
    found = await asyncio.gather(*(source.load() for source in sources))
    assert len({material.pair.chain_pem for material in found}) == 1
    assert check_key_pair(found[0].pair, replicas.clock.now_s()).names == NAMES
    (secret,) = replicas.api.list(SECRETS)
    assert secret["type"] == "kubernetes.io/tls"
    assert secret["metadata"]["name"] == "autoscaler-tls"
    again = await replicas.make().load()
    assert again == found[0]
    assert replicas.api.count_writes().total() == replicas.api.count("create", "secrets")


async def test_an_empty_secret_is_filled_and_keeps_its_labels(replicas: Replicas) -> None:
    empty = {"metadata": {"name": "autoscaler-tls", "namespace": "system", "labels": {"a": "b"}}, "type": "Opaque"}
    replicas.api.put(SECRETS, empty)
    found = await asyncio.gather(*(replicas.make().load() for _ in range(3)))
    assert len({material.pair.chain_pem for material in found}) == 1
    (secret,) = replicas.api.list(SECRETS)
    assert (secret["metadata"]["labels"], secret["type"]) == ({"a": "b"}, "Opaque")
    assert "tls.crt" in secret["data"]


async def test_keys_of_somebody_else_are_left_alone(replicas: Replicas) -> None:
    foreign = {"metadata": {"name": "autoscaler-tls", "namespace": "system"}, "data": {"tls.crt": "QQ==", "b": "Qg=="}}
    replicas.api.put(SECRETS, foreign)
    with pytest.raises(BadDocument, match=r"no certificate of our making.*lacks ca\.crt"):
        await replicas.make().load()
    assert replicas.api.list(SECRETS)[0]["data"] == foreign["data"]
    replicas.api.change(SECRETS, "system", "autoscaler-tls", {"data": {"tls.crt": "!"}})
    with pytest.raises(AdapterError, match="cannot be read"):
        await replicas.make().load()


async def test_one_replica_renews_and_the_others_follow(replicas: Replicas) -> None:
    sources = [replicas.make() for _ in range(4)]
    first = (await asyncio.gather(*(source.load() for source in sources)))[0]
    replicas.clock.time_s += 61 * 86_400.0
    found = await asyncio.gather(*(source.load() for source in sources))
    assert len({material.pair.chain_pem for material in found}) == 1
    assert found[0].pair != first.pair
    assert found[0].trusted_pem == first.trusted_pem


async def test_an_authority_changes_once_its_successor_is_published(replicas: Replicas) -> None:
    sources = [replicas.make() for _ in range(2)]
    await asyncio.gather(*(source.load() for source in sources))
    replicas.clock.time_s += 0.81 * AUTHORITY_LIFE_S
    both = [await source.load() for source in sources][-1]
    assert both.trusted_pem is not None
    assert len(read_chain(both.trusted_pem)) == 2
    replicas.clock.time_s += OVERLAP_S
    assert [await source.load() for source in sources] == [both, both]
    replicas.published = both.trusted_pem
    changed = [await source.load() for source in sources]
    assert changed[0] == changed[1]
    assert changed[0].pair != both.pair
    replicas.clock.time_s += OVERLAP_S
    last = [await source.load() for source in sources][-1]
    assert last.trusted_pem is not None
    assert len(read_chain(last.trusted_pem)) == 1
    assert last.pair == changed[0].pair


async def test_a_secret_that_somebody_deletes_comes_back_as_it_was(replicas: Replicas) -> None:
    source = replicas.make()
    before = await source.load()
    replicas.api.remove(SECRETS, "system", "autoscaler-tls")
    assert await source.load() == before
    assert await replicas.make().load() == before


async def test_an_api_that_is_away_or_denies_is_said(replicas: Replicas) -> None:
    replicas.api.fail(503, plural="secrets")
    with pytest.raises(Unreachable):
        await replicas.make().load()
    replicas.api.heal()
    replicas.api.deny("create", "secrets")
    with pytest.raises(AdapterError, match="secrets"):
        await replicas.make().load()
