"""The external metrics API behind a real API server: who gets through, who does not, and what outlasts a change."""

from __future__ import annotations

import asyncio
import base64
import ssl
import sys
from pathlib import Path

import pytest

from adapter.errors import Denied, NotFound, Unreachable
from adapter.external_metrics.issuing import make_serving_names
from adapter.external_metrics.key_pair import read_chain
from adapter.external_metrics.renewal import AUTHORITY_LIFE_S, OVERLAP_S, renew, to_data
from adapter.kube.api_service import NAME, Ownership
from adapter.kube.client import Json, KubeClient
from adapter.kube.resource import API_SERVICES, DEPLOYMENTS, HORIZONTAL_POD_AUTOSCALERS, SECRETS
from tests.control_plane.cluster import Cluster
from tests.control_plane.control_plane import Part
from tests.control_plane.kubectl import run_kubectl
from tests.control_plane.pods import make_deployment
from tests.control_plane.served_adapter import (
    GROUP_PATH,
    RBAC,
    SECRET,
    SERVICE,
    ServedAdapter,
    ShiftedClock,
    bind_cluster_role,
    get_metric_path,
    grant_readers,
    make_api_service,
    open_served_adapter,
    wait_available,
)
from tests.control_plane.sweeping import CLUSTER_ROLES
from tests.control_plane.waiting import wait_until


async def read_value(client: KubeClient, namespace: str, deployment: str) -> str:
    answer = await client.request("GET", get_metric_path(namespace, deployment))
    (item,) = answer["items"]
    return str(item["value"])


async def run(*command: str) -> tuple[int, str]:
    """Return exit status and output of a program."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_the_api_server_reaches_us_and_lets_those_through_who_may(cluster: Cluster) -> None:
    async with open_served_adapter(cluster) as adapter:
        adapter.publish("prod", llama=4)
        found = await wait_available(cluster)
        assert found["spec"]["service"] == {"namespace": adapter.namespace, "name": SERVICE, "port": adapter.port}
        assert base64.b64decode(found["spec"]["caBundle"]) == adapter.security.certificate.trusted_pem
        assert await read_value(cluster.client, "prod", "llama") == "4"

        alice = await cluster.open_client(cluster.control_plane.write_kubeconfig("alice", ("dev",)))
        with pytest.raises(Denied, match="alice"):
            await read_value(alice, "prod", "llama")
        await grant_readers(cluster, "readers", [{"kind": "Group", "apiGroup": RBAC, "name": "dev"}])
        assert await wait_until_allowed(alice) == "4"
        with pytest.raises(NotFound, match="known there: llama"):
            await read_value(alice, "prod", "qwen")
        with pytest.raises(NotFound, match="no metric 'queue_length'"):
            await cluster.client.request("GET", f"{GROUP_PATH}/namespaces/prod/queue_length")


async def wait_until_allowed(client: KubeClient) -> str:
    """Return the number once the rights, which take a moment to be known everywhere, are."""

    async def look() -> str:
        try:
            return await read_value(client, "prod", "llama")
        except Denied as denial:
            return str(denial)

    return await wait_until(look, str.isdigit, what="the reader may read")


async def test_discovery_shows_the_metric_and_nothing_breaks_it(cluster: Cluster) -> None:
    async with open_served_adapter(cluster):
        await wait_available(cluster)

        async def look() -> Json:
            return await cluster.client.request("GET", "/openapi/v3")

        await wait_until(
            look, lambda it: GROUP_PATH.removeprefix("/") in it["paths"], what="our OpenAPI document is passed on"
        )
        found = await run_kubectl(cluster.control_plane, "api-resources")
        assert (found.status, found.errors) == (0, "")
        (line,) = [line for line in found.output.splitlines() if "external.metrics.k8s.io" in line]
        assert line.split() == [
            "deployment_replicas",
            "external.metrics.k8s.io/v1beta1",
            "true",
            "ExternalMetricValueList",
        ]
        found = await run_kubectl(cluster.control_plane, "get", "--raw", GROUP_PATH)
        assert (found.status, '"deployment_replicas"' in found.output) == (0, True), found.errors


async def test_whoever_calls_us_directly_is_reviewed(cluster: Cluster) -> None:
    async with open_served_adapter(cluster) as adapter:
        adapter.publish("prod", llama=4)
        path = get_metric_path("prod", "llama")
        space = adapter.namespace
        await cluster.write_service_account_kubeconfig(space, "robot")
        token = await cluster.mint_token(space, "robot")
        status, body = await adapter.ask(path, token=token)
        assert (status, body["reason"]) == (403, "Forbidden")
        assert f"system:serviceaccount:{space}:robot" in body["message"]
        await grant_readers(cluster, "robots", [{"kind": "ServiceAccount", "namespace": space, "name": "robot"}])
        adapter.clock.shift_s += 11.0  # past what was remembered
        other = await cluster.mint_token(space, "robot")
        await wait_until(
            lambda: ask_anew(adapter, path, other), lambda answer: answer == (200, "4"), what="the robot may read"
        )
        assert (await adapter.ask(path, token="nonsense"))[0] == 401
        assert (await adapter.ask(path))[0] == 401
        for headers in ({"X-Remote-User": "admin", "X-Remote-Group": "system:masters"}, {"X-Remote-User": "a"}):
            assert (await adapter.ask(path, headers=headers))[0] == 401
            assert (await adapter.ask(path, headers=headers, token=token))[0] == 401


async def ask_anew(adapter: ServedAdapter, path: str, token: str) -> tuple[int, str]:
    """Ask after everything remembered has grown old."""
    adapter.clock.shift_s += 11.0
    status, body = await adapter.ask(path, token=token)
    return status, body["items"][0]["value"] if status == 200 else body["message"]


async def test_certificates_of_the_cluster_speak_for_themselves_and_for_nobody_else(cluster: Cluster) -> None:
    authority = cluster.control_plane.certificates.authority
    async with open_served_adapter(cluster) as adapter:
        adapter.publish("prod", llama=4)
        path, forged = get_metric_path("prod", "llama"), {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"}

        def show(user: str, *groups: str) -> ssl.SSLContext:
            pair = authority.sign_client(user, groups, file_name=f"direct-{user}")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_cert_chain(pair.cert_file, pair.key_file)
            return context

        status, body = await adapter.ask(path, tls=show("carol", "dev"))
        assert (status, "'carol' may not list" in body["message"]) == (403, True)
        assert (await adapter.ask(path, tls=show("root", "system:masters")))[0] == 200
        lookalike = show("front-proxy-client")
        assert (await adapter.ask(path, tls=lookalike, headers=forged))[0] == 401
        status, body = await adapter.ask(path, tls=lookalike)
        assert (status, "'front-proxy-client'" in body["message"]) == (403, True)


async def test_hpa_follows_with_its_own_rights_and_shows_our_message_when_it_cannot(cluster: Cluster) -> None:
    async with open_served_adapter(cluster) as adapter:
        await wait_available(cluster)
        namespace = await cluster.create_namespace()
        await cluster.create(DEPLOYMENTS, namespace, make_deployment("llama", replicas=1))
        adapter.publish(namespace, llama=4)
        await cluster.create(HORIZONTAL_POD_AUTOSCALERS, namespace, make_autoscaler("llama"))
        await cluster.wait_for(
            DEPLOYMENTS, namespace, "llama", lambda it: it["spec"]["replicas"] == 4, what="HPA follows to 4"
        )
        adapter.store.expect(())
        adapter.publish(namespace, other=1)

        def tells(found: Json) -> bool:
            conditions = {it["type"]: it for it in found["status"].get("conditions", [])}
            return "known there: other" in conditions.get("ScalingActive", {}).get("message", "")

        await cluster.wait_for(HORIZONTAL_POD_AUTOSCALERS, namespace, "llama", tells, what="HPA shows our message")
        assert (await cluster.client.get(DEPLOYMENTS, namespace, "llama"))["spec"]["replicas"] == 4


def make_autoscaler(name: str) -> Json:
    metric = {"name": "deployment_replicas", "selector": {"matchLabels": {"deployment": name}}}
    external = {"metric": metric, "target": {"type": "AverageValue", "averageValue": "1"}}
    return {
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1,
            "maxReplicas": 32,
            "metrics": [{"type": "External", "external": external}],
        },
    }


async def test_an_authority_of_ours_changes_without_one_failed_request(cluster: Cluster) -> None:
    """The old one is near its end; the clock that issues stands hours back and moves on, so that all is valid now."""
    clock = ShiftedClock(-3.0 * OVERLAP_S)
    async with open_served_adapter(cluster, clock) as adapter:
        adapter.publish("prod", llama=4)
        await wait_available(cluster)
        old = renew(None, make_serving_names(SERVICE, adapter.namespace), clock.now_s() - 0.81 * AUTHORITY_LIFE_S, None)
        data = {key: base64.b64encode(value).decode() for key, value in to_data(old).items()}
        await cluster.client.patch(SECRETS, adapter.namespace, SECRET, {"data": data})
        await adapter.security.certificate.refresh()
        # That was somebody's hand in our Secret, which no overlap helps against; from here on nothing may fail.
        await wait_until(lambda: published(cluster, 2), lambda it: it, what="both authorities are in the APIService")
        await wait_available(cluster)
        await wait_until_answered(cluster.client)
        values, stop = list[str](), asyncio.Event()

        async def drive() -> None:
            while not stop.is_set():
                values.append(await read_value(cluster.client, "prod", "llama"))

        load = asyncio.create_task(drive())
        leaves = set[str]()
        for authorities in (2, 2, 1):
            facts = adapter.security.certificate.facts
            assert facts is not None
            leaves.add(facts.fingerprint)
            before = len(values)
            clock.shift_s += OVERLAP_S
            await adapter.security.certificate.refresh()
            await wait_until(
                lambda wanted=authorities: published(cluster, wanted),  # type: ignore[misc]
                lambda it: it,
                what=f"{authorities} authorities in the APIService",
            )
            while len(values) < before + 20:
                assert not load.done(), load.exception()
                await asyncio.sleep(0.01)
        stop.set()
        await load
        assert set(values) == {"4"}
        assert len(leaves) == 2
        await wait_available(cluster)


async def published(cluster: Cluster, authorities: int) -> bool:
    found = await cluster.client.get(API_SERVICES, None, NAME)
    return len(read_chain(base64.b64decode(found["spec"]["caBundle"]))) == authorities


async def wait_until_answered(client: KubeClient) -> None:
    async def look() -> str:
        return await read_value(client, "prod", "llama")

    await wait_until(look, lambda value: value == "4", what="the number is read")


async def test_an_api_of_somebody_else_is_left_alone_and_ours_is_kept_whenever_it_comes_back(cluster: Cluster) -> None:
    foreign: Json = {
        "metadata": {"name": NAME},
        "spec": {
            "group": "external.metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"namespace": "keda", "name": "keda-operator-metrics-apiserver", "port": 443},
        },
    }
    await cluster.create(API_SERVICES, None, foreign)
    async with open_served_adapter(cluster, owns_api=False) as adapter:
        adapter.publish("prod", llama=4)
        await wait_until(lambda: look_at(adapter), lambda it: it is Ownership.FOREIGN, what="the other owner is seen")
        assert adapter.keeper.state.owner == "keda/keda-operator-metrics-apiserver"
        found = await cluster.client.get(API_SERVICES, None, NAME)
        assert found["spec"]["service"] == foreign["spec"]["service"]
        assert "caBundle" not in found["spec"]
        with pytest.raises(Unreachable):
            await read_value(cluster.client, "prod", "llama")
        await cluster.delete(API_SERVICES, None, NAME)
        await wait_until(lambda: look_at(adapter), lambda it: it is Ownership.ABSENT, what="it is missed")
        assert "helm upgrade brings it back" in adapter.keeper.state.message
        await cluster.create(API_SERVICES, None, make_api_service(adapter.namespace, adapter.port))
        await wait_until(lambda: look_at(adapter), lambda it: it is Ownership.OURS, what="ours is seen")
        await wait_available(cluster)
        taken = {"spec": {"service": foreign["spec"]["service"], "caBundle": None}}
        await cluster.client.patch(API_SERVICES, None, NAME, taken)
        await wait_until(lambda: look_at(adapter), lambda it: it is Ownership.FOREIGN, what="the takeover is seen")
        back = {"spec": {"service": {"namespace": adapter.namespace, "name": SERVICE, "port": adapter.port}}}
        await cluster.client.patch(API_SERVICES, None, NAME, back)
        await wait_until_answered(cluster.client)


async def look_at(adapter: ServedAdapter) -> Ownership:
    adapter.clock.shift_s += 5.0
    return adapter.keeper.state.ownership


async def test_an_api_server_that_restarts_finds_us_again(cluster: Cluster) -> None:
    async with open_served_adapter(cluster) as adapter:
        adapter.publish("prod", llama=4)
        await wait_available(cluster)
        await cluster.control_plane.restart(Part.API_SERVER)
        await wait_until_answered(cluster.client)


async def test_the_contract_holds_with_real_reviews(cluster: Cluster, tmp_path: Path) -> None:
    async with open_served_adapter(cluster) as adapter:
        adapter.publish("prod", llama=4)
        await cluster.write_service_account_kubeconfig(adapter.namespace, "tester")
        everything = [
            {"apiGroups": ["external.metrics.k8s.io"], "resources": ["*"], "verbs": ["*"]},
            {"nonResourceURLs": ["*"], "verbs": ["*"]},
        ]
        await cluster.create(CLUSTER_ROLES, None, {"metadata": {"name": "testers"}, "rules": everything})
        account = {"kind": "ServiceAccount", "namespace": adapter.namespace, "name": "tester"}
        await bind_cluster_role(cluster, "testers", "testers", [account])
        token, trusted = tmp_path / "token", tmp_path / "ca.crt"
        token.write_text(await cluster.mint_token(adapter.namespace, "tester"))
        trusted.write_bytes(adapter.security.certificate.trusted_pem or b"")
        path = get_metric_path("prod", "llama")
        await wait_until(
            lambda: ask_anew(adapter, path, token.read_text()), lambda it: it == (200, "4"), what="the tester may read"
        )
        adapter.clock.shift_s = 0.0
        adapter.publish("prod", llama=4)
        status, output = await run(
            sys.executable,
            *("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract/external_metrics"),
            f"--adapter-url=https://localhost:{adapter.port}",
            f"--adapter-ca={trusted}",
            f"--adapter-token=@{token}",
            "--adapter-series=prod/llama",
        )
        assert status == 0, output
        assert "skipped" not in output
