"""The doctor in a real cluster, with the rights its page lists and no others: one thing broken at a time, and named."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from adapter.cli import main
from adapter.clock import ScaledClock
from adapter.doctor import Check, Finding, Verdict, examine, take_look
from adapter.kube.client import Json, KubeClient
from adapter.kube.decisions import HEARTBEAT_NAME
from adapter.kube.resource import API_SERVICES, CONFIG_MAPS, DEPLOYMENTS, HORIZONTAL_POD_AUTOSCALERS, NAMESPACES
from tests.builders.authorities import Authority
from tests.control_plane.autoscalers import make_autoscaler
from tests.control_plane.cluster import Cluster
from tests.control_plane.fake_gateway import open_fake_gateway
from tests.control_plane.fake_kubelet import FakeKubelet, open_kubelet
from tests.control_plane.fake_nodes import FakeNode
from tests.control_plane.gateway_models import make_gateway_model, to_rate_per_s
from tests.control_plane.pods import make_deployment
from tests.control_plane.printed_commands import run_printed_commands
from tests.control_plane.product import API_SERVICE, NAME, Product, open_product
from tests.control_plane.sweeping import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLES
from tests.control_plane.workloads import MODEL, Workload, told_of
from tests.deploy.chart import ROOT, Helm

NOT_HERE = {Check.ENGINE_PAGE, Check.GRACE}
"""Pods listen on loopback, where the API server hands nothing on: their pages cannot be told."""

HPA_ROLE = "system:controller:horizontal-pod-autoscaler"
QUICK = {"kubernetes": {"leader_election": {"lease": "9s", "renew": "6s", "retry": "1s"}}}


@dataclass(frozen=True, slots=True)
class Doctor:
    """Visits with the rights of one person.

    Attributes
    ----------
    client
        Those rights.
    product
        Whom it is about.
    """

    client: KubeClient
    product: Product

    async def visit(self) -> list[Finding]:
        """Return what is found."""
        service = (self.product.namespace, NAME)
        return await examine(await take_look(self.client, ScaledClock.starting_now(), service=service))

    async def wait_for(self, *wrong: Check, perhaps: Check | None = None) -> list[Finding]:
        """Return what is found once exactly these points are wrong, `perhaps` this one too."""

        def is_found(findings: list[Finding]) -> bool:
            return list_checks(findings, Verdict.WRONG) - {perhaps} == set(wrong)

        return await self.product.cluster.wait_until(
            self.visit, is_found, what=f"{', '.join(wrong) or 'nothing'} is wrong"
        )


def list_checks(findings: list[Finding], verdict: Verdict) -> set[Check]:
    return {finding.check for finding in findings if finding.verdict is verdict}


def get_remedy(findings: list[Finding], check: Check) -> Json:
    """Return the lines that a point gives as remedy."""
    remedy = next(it.remedy for it in findings if it.check is check and it.verdict is Verdict.WRONG)
    lines: Json = yaml.safe_load(remedy)
    return lines


async def become(cluster: Cluster, user: str, rules: list[Json]) -> KubeClient:
    """Return a client of a person who has these rights."""
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    await cluster.create(CLUSTER_ROLES, None, {"metadata": {"name": user}, "rules": rules})
    await cluster.create(
        CLUSTER_ROLE_BINDINGS, None, {"metadata": {"name": user}, "roleRef": reference, "subjects": [subject]}
    )
    return await cluster.open_client(cluster.control_plane.write_kubeconfig(user, ()))


def read_documented_rules() -> list[Json]:
    """Return the rules of the role that the doctor's page gives."""
    found = re.search(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "doctor.md").read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    rules: list[Json] = yaml.safe_load(found[1])["rules"]
    return rules


async def test_whatever_is_broken_is_named_and_nothing_else(cluster: Cluster, helm: Helm, tmp_path: Path) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    async with (
        open_fake_gateway() as gateway,
        open_kubelet(FakeKubelet(cluster.client), [FakeNode("node-1", "L40S", 8)]),
    ):
        gateway.set_rate(llama.namespace, "chat", to_rate_per_s(1))
        await cluster.create(DEPLOYMENTS, llama.namespace, make_workload())
        await llama.follow()
        config = {
            "models": [make_gateway_model(llama.namespace, gateway.url)],
            "publishing": {"max_decision_age": "5m"},
        }
        values = {"config": {**config, **QUICK}}
        async with open_product(cluster, helm, tmp_path, values=values) as product:
            with told_of(product):
                await product.start()
                doctor = Doctor(await become(cluster, "ana", read_documented_rules()), product)
                await begin_healthy(doctor)
                await run_printed_commands(product, llama)
                await break_the_hpa(doctor, llama)
                await break_rights(doctor)
                await break_the_manifest(doctor, llama)
                await break_the_owner(doctor)
                await break_the_heartbeat(doctor)
                await stop_everybody(doctor)


def make_workload() -> Json:
    return make_deployment("llama", 1, annotations=MODEL, pre_stop_s=5)


async def begin_healthy(doctor: Doctor) -> None:
    """See that all is well, and that whoever may see nothing is told nothing."""
    findings = await doctor.wait_for()
    assert list_checks(findings, Verdict.CANNOT_TELL) == NOT_HERE
    assert list_checks(findings, Verdict.OK) == set(Check) - NOT_HERE - {Check.YOUR_RIGHTS, Check.WORKLOAD}
    nobody = Doctor(await become(doctor.product.cluster, "nobody", []), doctor.product)
    findings = await nobody.visit()
    assert list_checks(findings, Verdict.WRONG) == set()
    assert list_checks(findings, Verdict.OK) == {Check.INSTALLATION}
    where = ["--kubeconfig", str(doctor.product.cluster.control_plane.admin_kubeconfig)]
    command = ["doctor", *where, "--service", f"{doctor.product.namespace}/{NAME}"]
    await doctor.product.cluster.wait_until(
        partial(asyncio.to_thread, main, command), lambda status: status == 0, what="the command finds nothing wrong"
    )


# --- The HPA ----------------------------------------------------------------------------------------------------------
async def break_the_hpa(doctor: Doctor, llama: Workload) -> None:
    """Break the HPA in every way, and mend it by what the doctor says."""
    right = make_autoscaler("llama")["spec"]["metrics"][0]
    source = right["external"]["metric"]
    as_value = {**right["external"], "target": {"type": "Value", "value": "1"}}
    further = {**right["external"], "metric": {"name": "deployment_replicas.llama"}}
    other = {**source, "selector": {"matchLabels": {"deployment": "other"}}}
    loose = {"behavior": {way: {"tolerance": None} for way in ("scaleUp", "scaleDown")}}
    breakages: list[tuple[Check, Json]] = [
        (Check.EXACTNESS, {"metrics": [{**right, "external": as_value}]}),
        (Check.FURTHER_METRICS, {"metrics": [right, {**right, "external": further}]}),
        (Check.SELECTOR_HITS, {"metrics": [{**right, "external": {**right["external"], "metric": other}}]}),
        (Check.TOLERANCE, loose),
    ]
    for check, spec in breakages:
        await llama.patch_autoscaler({"spec": spec})
        findings = await doctor.wait_for(check)
        await llama.patch_autoscaler(get_remedy(findings, check))
    await doctor.wait_for()

    await doctor.product.cluster.delete(HORIZONTAL_POD_AUTOSCALERS, llama.namespace, "llama")
    findings = await doctor.wait_for(Check.FOLLOWER)
    await llama.follow(get_remedy(findings, Check.FOLLOWER))
    await doctor.wait_for()


async def break_rights(doctor: Doctor) -> None:
    """Take the right to read our metric from the HPA, which has it twice."""
    product = doctor.product
    cluster, binding = product.cluster, f"{product.namespace}-{NAME}-metrics-reader"
    role = await cluster.client.get(CLUSTER_ROLES, None, HPA_ROLE)
    lesser = [rule for rule in role["rules"] if "external.metrics.k8s.io" not in rule["apiGroups"]]
    await cluster.delete(CLUSTER_ROLE_BINDINGS, None, binding)
    async with patched(cluster, lesser, role["rules"]):
        await doctor.wait_for(Check.HPA_RIGHTS)
    await cluster.apply(CLUSTER_ROLE_BINDINGS, None, product.rendered.get("ClusterRoleBinding", binding))
    await doctor.wait_for()


@asynccontextmanager
async def patched(cluster: Cluster, rules: list[Json], before: list[Json]) -> AsyncIterator[None]:
    """Give the HPA's own role these rules for a while."""
    await cluster.client.patch(CLUSTER_ROLES, None, HPA_ROLE, {"rules": rules})
    try:
        yield
    finally:
        await cluster.client.patch(CLUSTER_ROLES, None, HPA_ROLE, {"rules": before})


# --- What others do ---------------------------------------------------------------------------------------------------
async def break_the_manifest(doctor: Doctor, llama: Workload) -> None:
    """Apply a manifest with `replicas` in it, as GitOps does, then without."""
    cluster, manifest = doctor.product.cluster, make_workload()
    await cluster.apply(DEPLOYMENTS, llama.namespace, manifest)
    await doctor.wait_for(Check.REPLICAS_OWNER)
    del manifest["spec"]["replicas"]
    await cluster.apply(DEPLOYMENTS, llama.namespace, manifest)
    await doctor.wait_for()


async def break_the_owner(doctor: Doctor) -> None:
    """Let another product take the APIService, and give it back."""
    cluster = doctor.product.cluster
    found = await cluster.client.get(API_SERVICES, None, API_SERVICE)
    theirs = {"namespace": "default", "name": "rival", "port": 443}
    await cluster.client.patch(API_SERVICES, None, API_SERVICE, {"spec": {"service": theirs}})
    findings = await doctor.wait_for(Check.API_OWNER, Check.API_CONDITION)  # nobody serves it there
    assert {Check.SELECTOR_HITS} <= list_checks(findings, Verdict.CANNOT_TELL)
    await cluster.client.patch(API_SERVICES, None, API_SERVICE, {"spec": {"service": found["spec"]["service"]}})
    await doctor.wait_for()


# --- Ourselves --------------------------------------------------------------------------------------------------------
async def break_the_heartbeat(doctor: Doctor) -> None:
    """Take the right to write it from the adapter: passes leave no trace, and nobody hears of decisions."""
    product = doctor.product
    cluster, name = product.cluster, f"{NAME}-own"
    role = product.rendered.get("Role", name)
    lesser = [
        rule | {"verbs": ["get", "list", "watch"]} if "configmaps" in rule["resources"] else rule
        for rule in role["rules"]
    ]
    await cluster.client.patch(ROLES, product.namespace, name, {"rules": lesser})

    async def visit() -> list[Finding]:
        await cluster.delete(CONFIG_MAPS, product.namespace, HEARTBEAT_NAME)
        return await doctor.visit()

    await cluster.wait_until(
        visit, lambda found: list_checks(found, Verdict.WRONG) == {Check.DECISION_AGE}, what="decisions are missing"
    )
    await cluster.apply(ROLES, product.namespace, role)
    await doctor.wait_for()


async def stop_everybody(doctor: Doctor) -> None:
    """Kill the adapter while a namespace is deleted, and let it come back."""
    product = doctor.product
    cluster, doomed = product.cluster, await product.cluster.create_namespace("doomed")
    await cluster.create(CONFIG_MAPS, doomed, {"metadata": {"name": "content"}})
    for adapter in product.adapters:
        adapter.process.kill()
    await look_at_once(cluster, "down")
    await product.wait_available("False")
    await cluster.client.delete(NAMESPACES, None, doomed)
    down = (Check.API_CONDITION, Check.LEADER, Check.NAMESPACES)
    findings = await doctor.wait_for(*down, perhaps=Check.DECISION_AGE)
    assert {Check.SELECTOR_HITS, Check.EXACTNESS} <= list_checks(findings, Verdict.CANNOT_TELL)
    for adapter in product.adapters:
        adapter.process.start()
    await product.wait_ready()
    await look_at_once(cluster, "up")
    await doctor.wait_for(perhaps=Check.NAMESPACES)  # it finishes by itself


async def look_at_once(cluster: Cluster, why: str) -> None:
    """Let the API server look whether we are available, which it does at every change, and else every half minute."""
    patch = {"metadata": {"annotations": {"looked": why}}}
    await cluster.client.patch(API_SERVICES, None, API_SERVICE, patch)


# --- The certificate --------------------------------------------------------------------------------------------------
async def test_an_authority_that_is_not_ours_is_named(cluster: Cluster, helm: Helm, tmp_path: Path) -> None:
    llama = Workload(cluster, await cluster.create_namespace("chat"))
    await cluster.create(DEPLOYMENTS, llama.namespace, make_workload())
    values = {"certificates": {"kind": "chart"}}  # which nobody mends behind our back
    async with open_product(cluster, helm, tmp_path, values=values) as product:
        with told_of(product):
            unpack_certificate(product, tmp_path)
            await product.start()
            doctor = Doctor(cluster.client, product)
            points = {Check.CERTIFICATE_NAME, Check.CERTIFICATE_AUTHORITY, Check.CERTIFICATE_DATE, Check.API_CONDITION}
            await cluster.wait_until(
                doctor.visit, lambda found: points <= list_checks(found, Verdict.OK), what="all is well"
            )
            stranger = base64.b64encode(Authority("stranger").pem.encode()).decode()
            await cluster.client.patch(API_SERVICES, None, API_SERVICE, {"spec": {"caBundle": stranger}})

            await cluster.wait_until(
                doctor.visit,
                lambda found: Check.CERTIFICATE_AUTHORITY in list_checks(found, Verdict.WRONG),
                what="the authority is wrong",
            )

            for adapter in product.adapters:  # the API server looks anew only at a new connection
                adapter.process.kill()
                adapter.process.start()
            await product.wait_ready()
            await look_at_once(cluster, "again")
            broken = {Check.CERTIFICATE_AUTHORITY, Check.API_CONDITION}
            findings = await cluster.wait_until(
                doctor.visit,
                lambda found: list_checks(found, Verdict.WRONG) & points == broken and "x509" in str(found),
                what="the API server does not believe it",
            )
            (finding,) = [it for it in findings if it.check is Check.API_CONDITION]
            assert "points on the certificate" in finding.remedy


def unpack_certificate(product: Product, folder: Path) -> None:
    """Put the certificate of the chart where the adapter finds it, as its volume would."""
    secret = product.rendered.get("Secret")
    for key in ("tls.crt", "tls.key"):
        (folder / key).write_bytes(base64.b64decode(secret["data"][key]))
    for adapter in product.adapters:
        file = folder / f"{product.namespace}-{adapter.name}.yaml"
        configuration = yaml.safe_load(file.read_text())
        files = {"cert_file": str(folder / "tls.crt"), "key_file": str(folder / "tls.key")}
        configuration["listen"]["external_metrics"]["certificate"] |= files
        file.write_text(yaml.safe_dump(configuration))
