"""A real control plane on loopback: etcd, kube-apiserver and kube-controller-manager as plain processes.

It knows nothing of the product that is tested against it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.builders.ports import choose_ports
from tests.control_plane.audit import list_audit_flags
from tests.control_plane.build import Programs
from tests.control_plane.certificates import Certificates, Pair, make_certificates
from tests.control_plane.kubernetes_version import KubernetesVersion
from tests.control_plane.server_process import ServerProcess

ADMIN = "admin"
ADMIN_GROUP = "system:masters"
CONTROLLERS = (
    "deployment-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "horizontal-pod-autoscaler-controller",
    "namespace-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "serviceaccount-controller",
    "statefulset-controller",
)
_HOST = "127.0.0.1"
_ANSWER_S = 2.0


class Part(StrEnum):
    """The processes, in the order they are started."""

    ETCD = "etcd"
    API_SERVER = "kube-apiserver"
    CONTROLLER_MANAGER = "kube-controller-manager"


@dataclass(frozen=True, slots=True)
class ControlPlaneOptions:
    """What may differ.

    Attributes
    ----------
    version
        Of Kubernetes.
    hpa_sync_s
        Time between two looks of the HPA controller [s], whole.
    hpa_downscale_stabilization_s
        Its window for HPAs that name none [s], whole, > 0.
    """

    version: KubernetesVersion
    hpa_sync_s: int = 1
    hpa_downscale_stabilization_s: int = 1


class ControlPlane:
    """A control plane in `folder`, which also keeps its logs; made by `open_control_plane`.

    Attributes
    ----------
    version
        Of Kubernetes.
    certificates
        Its keys and certificates; `certificates.authority` may sign more.
    url
        Address of the API server.
    admin_kubeconfig
        Credentials that may do everything.
    kubectl
        The beginning of a command line of kubectl, of the same release, with these credentials.
    """

    def __init__(self, folder: Path, programs: Programs, options: ControlPlaneOptions) -> None:
        self.version = options.version
        self.folder = folder
        self.certificates = make_certificates(folder / "certificates")
        etcd_port, peer_port, api_port, controllers_port = choose_ports(4)
        self.url = f"https://{_HOST}:{api_port}"
        self.admin_kubeconfig = self.write_kubeconfig(ADMIN, (ADMIN_GROUP,))
        own = (f"--kubeconfig={self.admin_kubeconfig}", f"--cache-dir={folder / 'kubectl-cache'}")
        self.kubectl = (*programs.kubectl, *own)
        etcd_url, controllers_url = f"http://{_HOST}:{etcd_port}", f"https://{_HOST}:{controllers_port}"
        gates = _render_gates(options.version.gates)
        commands = {
            Part.ETCD: _list_etcd_arguments(programs, folder / "etcd", etcd_url, f"http://{_HOST}:{peer_port}"),
            Part.API_SERVER: [
                *programs.kube_apiserver,
                *_list_api_server_flags(self.certificates, etcd_url, api_port),
                *list_audit_flags(folder),
                *gates,
            ],
            Part.CONTROLLER_MANAGER: [
                *programs.kube_controller_manager,
                *_list_controller_flags(self.certificates, self._write_controllers_kubeconfig(), controllers_port),
                f"--horizontal-pod-autoscaler-sync-period={options.hpa_sync_s}s",
                f"--horizontal-pod-autoscaler-downscale-stabilization={options.hpa_downscale_stabilization_s}s",
                *gates,
            ],
        }
        health = {
            Part.ETCD: f"{etcd_url}/health",
            Part.API_SERVER: f"{self.url}/readyz",
            Part.CONTROLLER_MANAGER: f"{controllers_url}/healthz",
        }
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE  # the controllers sign for themselves
        self._processes = {
            part: ServerProcess(part.value, command, folder / f"{part.value}.log", _Probe(health[part], trust))
            for part, command in commands.items()
        }

    @property
    def k8s_version(self) -> str:
        """Version of Kubernetes, such as ``1.37.0``."""
        return str(self.version)

    @property
    def kubeconfig(self) -> Path:
        """The same as `admin_kubeconfig`."""
        return self.admin_kubeconfig

    def get_process(self, part: Part) -> ServerProcess:
        """Return one process, to be killed, paused or looked at."""
        return self._processes[part]

    def start(self) -> None:
        """Start what does not run, and wait until all of it serves."""
        for part in Part:
            self._processes[part].start()
            self._processes[part].wait_until_ready()

    def stop(self) -> None:
        """Kill everything: the API server takes long to end by itself, and nothing here has to survive."""
        for part in reversed(Part):
            self._processes[part].kill()

    async def restart(self, part: Part) -> None:
        """Kill one process, start it again and wait until it serves, without holding up the event loop."""
        self._processes[part].kill()
        await self.bring_up(part)

    async def bring_up(self, part: Part) -> None:
        """Start one process that was killed, and wait until it serves."""
        self._processes[part].start()
        await asyncio.to_thread(self._processes[part].wait_until_ready)

    def write_kubeconfig(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Return credentials of `user` in `groups`, by client certificate."""
        pair = self.certificates.authority.sign_client(user, groups, file_name=f"user-{user}")
        return self._write_kubeconfig(f"user-{user}", _to_certificate_user(pair))

    def write_token_kubeconfig(self, name: str, token: str) -> Path:
        """Return credentials of whoever `token` belongs to; `name` goes into the file name."""
        return self._write_kubeconfig(name, {"token": token})

    def _write_controllers_kubeconfig(self) -> Path:
        return self.write_kubeconfig("system:kube-controller-manager")

    def _write_kubeconfig(self, name: str, user: Mapping[str, str]) -> Path:
        cluster = {"server": self.url, "certificate-authority": str(self.certificates.authority.cert_file)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "user", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user"}}],
            "current-context": "test",
        }
        path = self.folder / f"{name.replace(':', '_').replace('/', '_')}.kubeconfig"
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")
        path.chmod(0o600)
        return path


@contextmanager
def open_control_plane(folder: Path, programs: Programs, options: ControlPlaneOptions) -> Iterator[ControlPlane]:
    """Yield a control plane that serves; all processes are gone afterwards, and its folder keeps the logs.

    Raises
    ------
    NotStarted
        When a process ends or is not ready in time.
    """
    control_plane = ControlPlane(folder, programs, options)
    with ExitStack() as ending:
        ending.callback(shutil.rmtree, folder / "etcd", ignore_errors=True)
        ending.callback(control_plane.stop)
        control_plane.start()
        yield control_plane


@dataclass(frozen=True, slots=True)
class _Probe:
    """Asks a health path; whose certificate it is makes no difference, since nothing is told and little believed."""

    url: str
    trust: ssl.SSLContext

    def __call__(self) -> bool:
        try:
            with urllib.request.urlopen(self.url, timeout=_ANSWER_S, context=self.trust) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def _to_certificate_user(pair: Pair) -> dict[str, str]:
    return {"client-certificate": str(pair.cert_file), "client-key": str(pair.key_file)}


def _render_gates(gates: Mapping[str, bool]) -> list[str]:
    pairs = [f"{name}={str(value).lower()}" for name, value in sorted(gates.items())]
    return [f"--feature-gates={','.join(pairs)}"] if pairs else []


def _list_etcd_arguments(programs: Programs, folder: Path, client_url: str, peer_url: str) -> list[str]:
    if programs.is_ours:
        return [*programs.etcd, str(folder), client_url, peer_url]
    return [
        *programs.etcd,
        f"--data-dir={folder}",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",
        "--log-level=error",
    ]


def _list_api_server_flags(certificates: Certificates, etcd_url: str, port: int) -> list[str]:
    keys = certificates.service_accounts
    return [
        f"--etcd-servers={etcd_url}",
        f"--bind-address={_HOST}",
        f"--secure-port={port}",
        # no default route is needed to find out who we are
        "--advertise-address=192.0.2.10",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        f"--tls-cert-file={certificates.api_server.cert_file}",
        f"--tls-private-key-file={certificates.api_server.key_file}",
        f"--client-ca-file={certificates.authority.cert_file}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={keys.cert_file}",
        f"--service-account-signing-key-file={keys.key_file}",
        # aggregation: with these the API server writes the ConfigMap that aggregated servers authenticate it by
        f"--requestheader-client-ca-file={certificates.front_proxy_authority.cert_file}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={certificates.front_proxy.cert_file}",
        f"--proxy-client-key-file={certificates.front_proxy.key_file}",
    ]


def _list_controller_flags(certificates: Certificates, kubeconfig: Path, port: int) -> list[str]:
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        f"--controllers={','.join(CONTROLLERS)}",
        # so that the HPA controller asks with its real identity
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={certificates.service_accounts.key_file}",
        f"--root-ca-file={certificates.authority.cert_file}",
        f"--bind-address={_HOST}",
        f"--secure-port={port}",
    ]
