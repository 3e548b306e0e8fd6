"""KEDA in a real control plane: its own objects applied, its operator and metrics adapter as processes on loopback.

Its Deployments and Services are left out, since no container can run here. Rights, definitions and the APIService are
its own, and so are the certificates: the operator makes them, and puts its authority into the APIService. What a
kubelet does with them (files from the Secret, a new start of what ended) is done here.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from adapter.errors import Conflict, NotFound
from adapter.kube.client import Json, PatchType
from adapter.kube.mapper import ResourceMapper
from adapter.kube.resource import SCALED_OBJECTS, SECRETS
from tests.builders.ports import choose_ports
from tests.control_plane.cluster import Cluster
from tests.control_plane.server_process import NotStarted, ServerProcess
from tests.control_plane.waiting import wait_until
from tests.keda.build import KedaPrograms
from tests.keda.definitions import define, load, load_kustomized

OPERATOR, METRICS = "keda-operator", "keda-metrics-apiserver"
_HOME = "keda"  # namespace in its own files
_SECRET = "kedaorg-certs"
_OBJECTS = (
    "service_account/service_account.yaml",
    "rbac/role.yaml",
    "rbac/role_binding.yaml",
    "metrics-server/role.yaml",
    "metrics-server/role_binding.yaml",
)
_API_SERVICE = "metrics-server/api_service.yaml"
_LOG_LINES, _LOG_COLUMNS = 15, 250
_TRUSTING = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_TRUSTING.check_hostname, _TRUSTING.verify_mode = False, ssl.CERT_NONE  # only for asking whether it serves


@dataclass(frozen=True, slots=True)
class Keda:
    """An installation of KEDA.

    Attributes
    ----------
    namespace
        Where it is installed.
    operator, adapter
        Its processes.
    """

    namespace: str
    operator: ServerProcess
    adapter: ServerProcess

    def read_logs(self) -> str:
        """Return the end of both logs, lines cut."""
        ends = {process.name: process.read_end(_LOG_LINES).splitlines() for process in (self.operator, self.adapter)}
        return "\n".join(line[:_LOG_COLUMNS] for name, end in ends.items() for line in (f"--- {name}", *end))


@asynccontextmanager
async def open_keda(cluster: Cluster, programs: KedaPrograms, folder: Path) -> AsyncIterator[Keda]:
    """Yield KEDA, serving; it is gone afterwards, and with it every ScaledObject."""
    namespace = await cluster.create_namespace(_HOME)
    await define(cluster, load_kustomized(programs.config / "crd"))
    for name in _OBJECTS:
        for found in load(programs.config / name):
            await _apply(cluster, found, namespace)
    kubeconfig = await cluster.write_service_account_kubeconfig(namespace, OPERATOR)
    certificates = folder / "certificates"
    certificates.mkdir()
    health, metrics, service, secure, adapter_metrics = choose_ports(5)
    variables = {
        "POD_NAMESPACE": namespace,
        "KEDA_CLUSTER_OBJECT_NAMESPACE": namespace,  # in a pod it is read from a file
        "WATCH_NAMESPACE": "",
        "KUBECONFIG": str(kubeconfig),
    }
    environment = ["/usr/bin/env", *(f"{name}={value}" for name, value in variables.items())]
    operator = [
        *environment,
        str(programs.operator),
        # as in its Deployment
        "--leader-elect",
        "--zap-log-level=info",
        "--zap-encoder=console",
        "--zap-time-encoding=rfc3339",
        "--enable-cert-rotation=true",
        # there are no webhooks here, and everything is on loopback
        "--enable-webhook-patching=false",
        f"--cert-dir={certificates}",
        f"--health-probe-bind-address=127.0.0.1:{health}",
        f"--metrics-bind-address=127.0.0.1:{metrics}",
        f"--metrics-service-bind-address=127.0.0.1:{service}",
    ]
    adapter = [
        *environment,
        str(programs.adapter),
        "--zap-log-level=error",
        f"--client-ca-file={certificates}/ca.crt",
        f"--tls-cert-file={certificates}/tls.crt",
        f"--tls-private-key-file={certificates}/tls.key",
        f"--cert-dir={certificates}",
        "--bind-address=127.0.0.1",
        f"--secure-port={secure}",
        f"--port={adapter_metrics}",
        f"--metrics-service-address=127.0.0.1:{service}",
        f"--metrics-service-grpc-authority={OPERATOR}.{namespace}.svc",
        *(f"--{user}-kubeconfig={kubeconfig}" for user in ("lister", "authentication", "authorization")),
    ]
    keda = Keda(
        namespace,
        ServerProcess(OPERATOR, operator, folder / "operator.log", lambda: _is_open(service)),
        ServerProcess(METRICS, adapter, folder / "adapter.log", lambda: _is_ok(f"https://127.0.0.1:{secure}/readyz")),
    )
    try:
        await _own_api(cluster, programs, namespace, secure)
        await _start(cluster, keda, certificates)
        yield keda
    finally:
        keda.adapter.kill()
        keda.operator.kill()
        await _forget_scaled_objects(cluster)


async def _own_api(cluster: Cluster, programs: KedaPrograms, namespace: str, port: int) -> None:
    """Apply its APIService, with a Service that leads to `port` of loopback."""
    await cluster.direct_service(namespace, METRICS)
    (found,) = load(programs.config / _API_SERVICE)
    service = {**found["spec"]["service"], "port": port}
    await _apply(cluster, {**found, "spec": {**found["spec"], "service": service}}, namespace)


async def _start(cluster: Cluster, keda: Keda, certificates: Path) -> None:
    """Start it as a kubelet does: the operator makes certificates and ends, and finds them as files when it is back."""
    keda.operator.start()

    async def look() -> bool:
        return keda.operator.is_running

    await wait_until(look, lambda running: not running, what="KEDA's operator has made certificates and ended")
    try:
        secret = await cluster.client.get(SECRETS, keda.namespace, _SECRET)
    except NotFound:
        raise NotStarted(f"KEDA's operator ended without certificates:\n{keda.operator.read_end()}") from None
    for name, content in secret["data"].items():
        (certificates / name).write_bytes(base64.b64decode(content))
    # One after the other: an adapter that finds no operator asks again later and later.
    for process in (keda.operator, keda.adapter):
        process.start()
        await asyncio.to_thread(process.wait_until_ready)


async def _forget_scaled_objects(cluster: Cluster) -> None:
    """Delete every ScaledObject: with its finalizer it would wait for an operator that is gone."""
    for found in (await cluster.client.list(SCALED_OBJECTS))["items"]:
        namespace, name = found["metadata"]["namespace"], found["metadata"]["name"]
        with suppress(NotFound, Conflict):
            released = {"metadata": {"finalizers": None}}
            await cluster.client.patch(SCALED_OBJECTS, namespace, name, released, kind=PatchType.MERGE)
            await cluster.delete(SCALED_OBJECTS, namespace, name)


async def _apply(cluster: Cluster, found: Json, namespace: str) -> None:
    body = _move(found, namespace)
    resource = await ResourceMapper(cluster.client).find(body["apiVersion"], body["kind"])
    await cluster.apply(resource, body["metadata"].get("namespace", namespace) if resource.namespaced else None, body)


def _move(found: Json, namespace: str) -> Json:
    """Return an object of its files for another namespace."""

    def move(value: object) -> object:
        if isinstance(value, list):
            return [move(inner) for inner in value]
        if isinstance(value, dict):
            return {
                key: namespace if (key, inner) == ("namespace", _HOME) else move(inner) for key, inner in value.items()
            }
        return value

    return {key: move(inner) for key, inner in found.items()}


def _is_open(port: int) -> bool:
    """Whether somebody listens: the operator says that it is ready long before it answers the adapter."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _is_ok(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2.0, context=_TRUSTING) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
