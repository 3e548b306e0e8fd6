"""Who we are among several installations in one cluster, and the names of our objects. Text only; no I/O."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from adapter.kube.resource import VARIANT_DECISIONS
from optimizer.domain import WorkloadRef

INSTALLATION_LABEL = f"{VARIANT_DECISIONS.group}/installation"
"""Label of every object that we make: whose it is."""

_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_LONGEST_NAME = 253
_HASH_DIGITS = 10
_PLAIN_KINDS = frozenset(
    {("apps", "Deployment"), ("apps", "StatefulSet"), ("leaderworkerset.x-k8s.io", "LeaderWorkerSet")}
)
"""Groups and kinds whose objects are named after the kind alone."""


@dataclass(frozen=True, slots=True, order=True)
class Installation:
    """One installation of the adapter: the namespace it runs in and its name there.

    All replicas of it are one; two of them never decide about the same workload.
    """

    namespace: str
    name: str

    @property
    def label(self) -> str:
        """Return the value of `INSTALLATION_LABEL`: ``namespace.name``, a hash where that is no label value."""
        plain = f"{self.namespace}.{self.name}"
        return plain if _LABEL_VALUE.fullmatch(plain) else _hash(plain, 32)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def get_object_name(workload: WorkloadRef) -> str:
    """Return the name of the VariantDecision of `workload`: one name per workload, whoever decides about it.

    ``llama-8b-deployment`` for the kinds everybody uses. Where that could mean another workload too (a kind of another
    group, a name that is too long or is none), a hash of group, kind and name follows. The version does not count.
    """
    group = _get_group(workload)
    plain = f"{workload.name}-{workload.kind.lower()}"
    is_plain = (group, workload.kind) in _PLAIN_KINDS and _is_object_name(plain)
    return plain if is_plain else _shorten(plain, f"{group}/{workload.kind}/{workload.name}")


def get_refusal_name(workload: WorkloadRef, installation: Installation) -> str:
    """Return the name of the object by which `installation` says that it may not decide about `workload`."""
    return _shorten(get_object_name(workload), f"{workload.kind}/{workload.name} refused to {installation}")


def _get_group(workload: WorkloadRef) -> str:
    return workload.api_version.rpartition("/")[0]


def _is_object_name(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and _OBJECT_NAME.fullmatch(text) is not None


def _shorten(plain: str, identity: str) -> str:
    """Return `plain` as far as it may stand in a name, and a hash of `identity`."""
    kept = re.sub(r"[^a-z0-9]+", "-", plain.lower())[: _LONGEST_NAME - _HASH_DIGITS - 1].strip("-")
    return f"{kept or 'workload'}-{_hash(identity, _HASH_DIGITS)}"


def _hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
