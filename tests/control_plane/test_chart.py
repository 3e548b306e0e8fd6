"""The chart in a real cluster by real Helm: installed, upgraded under load, uninstalled, and what is left of it."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapter.errors import NotFound
from adapter.kube.client import Json, PatchType
from adapter.kube.mapper import ResourceMapper
from adapter.kube.resource import API_SERVICES, CONFIG_MAPS, NAMESPACES, SECRETS, SERVICES
from tests.builders.ports import choose_ports
from tests.control_plane.cluster import Cluster
from tests.control_plane.fake_service import open_fake_service
from tests.control_plane.helm_release import HelmRelease
from tests.control_plane.kubectl import Answer, run_kubectl
from tests.control_plane.printed_commands import find_command
from tests.control_plane.product import API_SERVICE, FAST_VALUES, NAME, localize, make_process, merge
from tests.control_plane.server_process import ServerProcess
from tests.deploy.chart import NAMESPACE, ROOT, ChartRefused, Helm, Rendered
from tests.deploy.value_sets import VALUE_SETS

WITHOUT_DEFINITION = {"Issuer", "Certificate", "ServiceMonitor"}
"""Kinds that other products define."""
SECRET = f"{NAME}-tls"
FOREIGN_REGISTRATION: Json = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": API_SERVICE},
    "spec": {
        "group": "external.metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "service": {"namespace": "keda", "name": "keda-metrics-apiserver", "port": 443},
    },
}
SLOWER = {"config": {"decision": {"period": "2s", "stale_after": "6s", "calm_window": 0}}}


@dataclass(frozen=True)
class Installed:
    """A release whose Service leads to one replica on loopback, which is not started yet."""

    cluster: Cluster
    release: HelmRelease
    values: Mapping[str, Any]
    process: ServerProcess
    rendered: Rendered

    async def upgrade(self, more: Mapping[str, Any], *flags: str) -> None:
        await self.release.upgrade(merge(self.values, more), *flags)

    async def get_registration(self) -> Json:
        return await self.cluster.client.get(API_SERVICES, None, API_SERVICE)

    async def wait_available(self) -> Json:
        """Return the registration once the API server reaches the replica through it, and trusts it.

        Kubernetes 1.34 calls it available without a look at the certificate.
        """

        def is_done(found: Json) -> bool:
            return _get_available(found)["status"] == "True" and bool(found["spec"].get("caBundle"))

        try:
            return await self.cluster.wait_for(
                API_SERVICES, None, API_SERVICE, is_done, what="the APIService is available and names an authority"
            )
        except AssertionError:
            print(self.process.read_end(60))
            raise


@asynccontextmanager
async def open_installed(
    cluster: Cluster, helm: Helm, folder: Path, values: Mapping[str, Any] | None = None
) -> AsyncIterator[Installed]:
    home = await cluster.create_namespace("autoscaler")
    release = HelmRelease(helm, cluster.control_plane.admin_kubeconfig, NAME, home, folder)
    api_port, pages_port = choose_ports(2)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(open_fake_service([("127.0.0.1", api_port)]))
        full = merge(merge(FAST_VALUES, {"service": {"port": service.port}}), values or {})
        await release.install(full)
        await _lead_to_loopback(cluster, home)
        kubeconfig = await cluster.write_service_account_kubeconfig(home, NAME)
        configuration = yaml.safe_load((await cluster.client.get(CONFIG_MAPS, home, NAME))["data"]["config.yaml"])
        certificate = configuration["listen"]["external_metrics"]["certificate"]
        if certificate["kind"] == "files":
            await _mount_certificate(cluster, home, folder, certificate)
        file = folder / f"{home}.yaml"
        text = localize(yaml.safe_dump(configuration), kubeconfig, api_port, pages_port)
        file.write_text(text, encoding="utf-8")
        process = make_process(folder, home, "adapter-0", file, pages_port=pages_port)
        stack.callback(process.kill)
        rendered = helm.render(full, release=NAME, namespace=home)
        yield Installed(cluster, release, full, process, rendered)


async def _lead_to_loopback(cluster: Cluster, home: str) -> None:
    """Turn the release's Service into one that leads to this machine, where no network of pods exists."""
    spec = {"type": "ExternalName", "externalName": "localhost", "clusterIP": None, "clusterIPs": None}
    await cluster.client.patch(SERVICES, home, NAME, {"spec": spec}, kind=PatchType.MERGE)


async def _mount_certificate(cluster: Cluster, home: str, folder: Path, certificate: Json) -> None:
    """Write the files of the Secret where a pod would see them, and name these places."""
    data = (await cluster.client.get(SECRETS, home, SECRET))["data"]
    for key, name in (("cert_file", "tls.crt"), ("key_file", "tls.key")):
        path = folder / f"{home}-{name}"
        path.write_bytes(base64.b64decode(data[name]))
        certificate[key] = str(path)


def _get_available(found: Json) -> Json:
    conditions = (found.get("status") or {}).get("conditions") or []
    return next((entry for entry in conditions if entry["type"] == "Available"), {"status": "Unknown"})


async def _find(cluster: Cluster, found: Json) -> Json | None:
    resource = await ResourceMapper(cluster.client).find(found["apiVersion"], found["kind"])
    try:
        return await cluster.client.get(resource, found["metadata"].get("namespace"), found["metadata"]["name"])
    except NotFound:
        return None


async def test_every_object_is_installed_by_server_side_apply(cluster: Cluster, helm: Helm, tmp_path: Path) -> None:
    hpas = [{"name": "llama", "namespace": "default", "maxReplicas": 8}]
    async with open_installed(cluster, helm, tmp_path, {"hpas": hpas}) as installed:
        for wanted in installed.rendered.objects:
            present = await _find(cluster, wanted)
            assert present is not None, (wanted["kind"], wanted["metadata"]["name"])
            managers = {(entry["manager"], entry["operation"]) for entry in present["metadata"]["managedFields"]}
            assert ("helm", "Apply") in managers, (wanted["kind"], managers)


async def test_an_upgrade_keeps_the_authority_and_the_api_available(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    async with open_installed(cluster, helm, tmp_path) as installed:
        installed.process.start()
        before = await installed.wait_available()
        await installed.upgrade(SLOWER)
        configured = (await cluster.client.get(CONFIG_MAPS, installed.release.namespace, NAME))["data"]["config.yaml"]
        assert yaml.safe_load(configured)["decision"]["period"] == "2s"
        after = await installed.get_registration()
        assert after["spec"] == before["spec"]
        assert _get_available(after) == _get_available(before)  # not even for a moment: it has the time of its change


async def test_the_certificate_of_the_chart_is_served_and_kept_by_an_upgrade(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    async with open_installed(cluster, helm, tmp_path, VALUE_SETS["certificate of the chart"]) as installed:
        installed.process.start()
        before = await installed.wait_available()
        home = installed.release.namespace
        made = (await cluster.client.get(SECRETS, home, SECRET))["data"]
        assert before["spec"]["caBundle"] == made["ca.crt"]
        await installed.upgrade(SLOWER)
        assert (await cluster.client.get(SECRETS, home, SECRET))["data"] == made
        after = await installed.get_registration()
        assert after["spec"] == before["spec"]
        assert _get_available(after) == _get_available(before)


async def test_the_authority_can_pass_from_the_program_to_the_chart_and_back(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    async with open_installed(cluster, helm, tmp_path) as installed:
        installed.process.start()
        own = (await installed.wait_available())["spec"]["caBundle"]
        installed.process.kill()
        of_chart = VALUE_SETS["certificate of the chart"]
        with pytest.raises(ChartRefused, match="conflict"):
            await installed.upgrade(of_chart)
        await installed.upgrade(of_chart, "--force-conflicts")
        made = (await cluster.client.get(SECRETS, installed.release.namespace, SECRET))["data"]
        assert (await installed.get_registration())["spec"]["caBundle"] == made["ca.crt"] != own
        await installed.upgrade({})
        assert "caBundle" not in (await installed.get_registration())["spec"]
        installed.process.start()
        assert (await installed.wait_available())["spec"]["caBundle"] == own


async def test_an_uninstall_leaves_no_dead_api_and_keeps_the_decisions(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    async with open_installed(cluster, helm, tmp_path) as installed:
        installed.process.start()
        await installed.wait_available()
        await installed.release.uninstall()
        for gone in installed.rendered.objects:
            present = await _find(cluster, gone)
            assert (present is None) == (gone["kind"] != "CustomResourceDefinition"), gone["metadata"]["name"]

        async def list_groups() -> set[str]:
            return {group["name"] for group in (await cluster.client.request("GET", "/apis"))["groups"]}

        await cluster.wait_until(
            list_groups, lambda names: "external.metrics.k8s.io" not in names, what="nobody finds the API any more"
        )
        await cluster.delete(NAMESPACES, None, installed.release.namespace)
        await _wait_until_gone(cluster, installed.release.namespace)


async def _wait_until_gone(cluster: Cluster, namespace: str) -> None:
    async def look() -> bool:
        try:
            await cluster.client.get(NAMESPACES, None, namespace)
        except NotFound:
            return True
        return False

    await cluster.wait_until(look, bool, what=f"namespace {namespace} is gone")


async def test_a_release_can_be_installed_again_after_an_uninstall(
    cluster: Cluster, helm: Helm, tmp_path: Path
) -> None:
    async with open_installed(cluster, helm, tmp_path) as installed:
        await installed.release.uninstall()
        await installed.release.install(installed.values)
        assert (await installed.get_registration())["spec"]["service"]["namespace"] == installed.release.namespace


async def test_somebody_elses_api_is_not_taken_over(cluster: Cluster, helm: Helm, tmp_path: Path) -> None:
    await cluster.apply(API_SERVICES, None, FOREIGN_REGISTRATION)
    home = await cluster.create_namespace("autoscaler")
    release = HelmRelease(helm, cluster.control_plane.admin_kubeconfig, NAME, home, tmp_path)
    with pytest.raises(ChartRefused) as refusal:
        await release.install({})
    assert "belongs to the Service keda-metrics-apiserver in namespace keda" in str(refusal.value)
    assert "apiService.create=false" in str(refusal.value)
    await release.install({"apiService": {"create": False}})
    found = await cluster.client.get(API_SERVICES, None, API_SERVICE)
    assert found["spec"]["service"] == FOREIGN_REGISTRATION["spec"]["service"]


@pytest.mark.parametrize("name", VALUE_SETS)
async def test_the_api_server_takes_every_object_of_every_set_of_values(
    cluster: Cluster, helm: Helm, name: str
) -> None:
    home = await cluster.create_namespace("autoscaler")
    rendered = helm.render(VALUE_SETS[name], namespace=home, kubernetes=cluster.control_plane.k8s_version)
    await _apply_dry(cluster, home, _leave_out_zero(cluster, rendered.objects))


async def test_the_api_server_takes_every_manifest(cluster: Cluster) -> None:
    files = [path for path in (ROOT / "manifests").glob("*.yaml") if path.name != "kustomization.yaml"]
    await _apply_dry(cluster, await cluster.create_namespace("autoscaler"), _load(*files))


@pytest.fixture
async def fresh(cluster: Cluster) -> Cluster:
    """Return a cluster in which the namespace of the manifests is not about to be deleted."""
    await _wait_until_gone(cluster, NAMESPACE)
    return cluster


async def _run_printed(cluster: Cluster, begin: str) -> Answer:
    """Run the line of the guide to the installation that begins so, in the checkout."""
    words = shlex.split(find_command("install.md", begin))[1:]
    return await run_kubectl(
        cluster.control_plane, *(str(ROOT / word) if word == "manifests" else word for word in words)
    )


async def _read_manifests(cluster: Cluster) -> dict[tuple[str, str], Json | None]:
    """Return what of the manifests is in the cluster, by kind and name."""
    files = [path for path in (ROOT / "manifests").glob("*.yaml") if path.name != "kustomization.yaml"]
    return {(wanted["kind"], wanted["metadata"]["name"]): await _find(cluster, wanted) for wanted in _load(*files)}


async def test_the_manifests_are_applied_as_printed_and_applying_them_again_changes_nothing(fresh: Cluster) -> None:
    seen = []
    assert (await _run_printed(fresh, "kubectl get apiservice")).output == ""  # nobody's
    for _ in range(2):
        found = await _run_printed(fresh, "kubectl apply")
        assert found.status == 0, found.errors
        present = await _read_manifests(fresh)
        assert None not in present.values()
        seen.append({key: _leave_out_changes(item) for key, item in present.items() if item})
    assert seen[0] == seen[1]
    assert json.loads((await _run_printed(fresh, "kubectl get apiservice")).output)["namespace"] == NAME


def _leave_out_changes(found: Json) -> Json:
    """Return an object without what the cluster itself goes on writing."""
    return {**found, "status": None, "metadata": found["metadata"].get("labels")}


@pytest.mark.parametrize(
    "flags",
    [[], ["--server-side"], ["--server-side", "--field-manager=helm"]],
    ids=["kubectl apply", "kubectl apply on the server's side", "Helm"],
)
async def test_the_manifests_leave_somebody_elses_api_alone_whoever_applied_it(
    fresh: Cluster, tmp_path: Path, flags: list[str]
) -> None:
    file = tmp_path / "foreign.yaml"
    file.write_text(json.dumps(FOREIGN_REGISTRATION), encoding="utf-8")
    applied = await run_kubectl(fresh.control_plane, "apply", *flags, "-f", str(file))
    assert applied.status == 0, applied.errors
    before = await fresh.client.get(API_SERVICES, None, API_SERVICE)
    assert json.loads((await _run_printed(fresh, "kubectl get apiservice")).output)["namespace"] == "keda"
    found = await _run_printed(fresh, "kubectl apply")
    assert found.status == 1
    assert "conflict" in found.errors
    assert ".spec.service.name" in found.errors
    present = await _read_manifests(fresh)
    assert None not in present.values()  # all the others are there
    after = present["APIService", API_SERVICE]
    assert after is not None
    assert (after["spec"], after["metadata"].get("labels")) == (before["spec"], before["metadata"].get("labels"))


async def test_the_api_server_takes_the_samples_of_its_own_kinds(cluster: Cluster) -> None:
    names = ("hpa.yaml", "hpa-to-zero.yaml", "deployments-vllm.yaml", "deployments-sglang.yaml")
    files = [ROOT / "manifests" / "samples" / name for name in names]
    await _apply_dry(cluster, await cluster.create_namespace("chat"), _leave_out_zero(cluster, _load(*files)))


def _leave_out_zero(cluster: Cluster, objects: Iterable[Json]) -> list[Json]:
    """Return `objects` without HPAs to zero where this Kubernetes refuses them."""
    takes_zero = cluster.control_plane.version.takes_zero
    return [found for found in objects if takes_zero or not _is_to_zero(found)]


def _is_to_zero(found: Json) -> bool:
    return bool(found["kind"] == "HorizontalPodAutoscaler" and found["spec"]["minReplicas"] == 0)


def _load(*files: Path) -> list[Json]:
    return [found for file in files for found in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


async def _apply_dry(cluster: Cluster, home: str, objects: Iterable[Json]) -> None:
    """Let the API server check objects as strictly as it can, all in namespace `home`, without keeping them."""
    mapper = ResourceMapper(cluster.client)
    query = {"fieldManager": "test", "force": "true", "dryRun": "All", "fieldValidation": "Strict"}
    for found in objects:
        if found["kind"] not in WITHOUT_DEFINITION:
            resource = await mapper.find(found["apiVersion"], found["kind"])
            metadata = {**found["metadata"], **({"namespace": home} if resource.namespaced else {})}
            path = resource.get_path(metadata.get("namespace"), metadata["name"])
            body = {**found, "metadata": metadata}
            await cluster.client.request("PATCH", path, query=query, body=body, content_type=PatchType.APPLY.value)
