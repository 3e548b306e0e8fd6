"""Who this replica is in its cluster. It reads the environment and the service account's folder, nothing else."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from adapter.config.schema import KubernetesConfig

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True)
class ReplicaIdentity:
    """One replica of one installation.

    Attributes
    ----------
    namespace
        Where lease, state, heartbeat and certificate of the installation lie.
    installation
        Its name there; both together tell it from every other one.
    replica
        Name of this process among its replicas.
    """

    namespace: str
    installation: str
    replica: str


def read_identity(kubernetes: KubernetesConfig) -> ReplicaIdentity:
    """Return who we are: as configured, else as the pod's environment says, else as a process on a workstation."""
    replica = os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"
    return ReplicaIdentity(kubernetes.namespace or _find_namespace(), kubernetes.installation, replica)


def _find_namespace() -> str:
    given = os.environ.get("POD_NAMESPACE")
    if given:
        return given
    try:
        return _NAMESPACE_FILE.read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"
