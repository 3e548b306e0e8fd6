"""What accounts of services asked of the API server, as it recorded it itself. It judges nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_POLICY_FILE: Final = "audit-policy.json"
_LOG_FILE: Final = "audit.log"
_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ],
}


@dataclass(frozen=True, slots=True)
class AuditedRequest:
    """One request about objects.

    Attributes
    ----------
    namespace
        "" for objects without, and for all namespaces.
    group, resource
        As roles name them; a resource may carry a subresource.
    verb, name
        What was asked, and of which object, "" for none in particular.
    code
        HTTP status of the answer.
    """

    namespace: str
    group: str
    resource: str
    verb: str
    name: str
    code: int


def list_audit_flags(folder: Path) -> list[str]:
    """Return the flags of an API server that records into `folder`, and write the policy they name."""
    policy = folder / _POLICY_FILE
    policy.write_text(json.dumps(_POLICY), encoding="utf-8")
    return [f"--audit-policy-file={policy}", f"--audit-log-path={folder / _LOG_FILE}"]


def read_requests(folder: Path, namespace: str, account: str) -> Iterator[AuditedRequest]:
    """Yield what a service account has asked so far."""
    user = f"system:serviceaccount:{namespace}:{account}"
    with (folder / _LOG_FILE).open(encoding="utf-8") as lines:
        for line in lines:
            if user not in line or not line.endswith("\n"):  # the last one may be half written
                continue
            event = json.loads(line)
            about = event.get("objectRef")
            if event["user"]["username"] == user and about is not None and "resource" in about:
                yield _to_request(event, about)


def _to_request(event: dict[str, object], about: dict[str, str]) -> AuditedRequest:
    status = event.get("responseStatus")
    subresource = about.get("subresource")
    return AuditedRequest(
        namespace=about.get("namespace", ""),
        group=about.get("apiGroup", ""),
        resource=about["resource"] + (f"/{subresource}" if subresource else ""),
        verb=str(event["verb"]),
        name=about.get("name", ""),
        code=int(status["code"]) if isinstance(status, dict) else 0,
    )
