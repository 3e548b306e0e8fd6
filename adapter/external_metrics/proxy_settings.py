"""How the cluster's API server introduces those it speaks for: authorities, names, headers. Text only; no I/O.

Source: Kubernetes, ConfigMap ``kube-system/extension-apiserver-authentication``; values are PEM bundles or JSON lists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from adapter.errors import BadDocument
from adapter.external_metrics.client_certificates import parse_authorities


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Everything the ConfigMap says.

    Attributes
    ----------
    client_authorities, proxy_authorities
        Who vouches for users, and who for front proxies; nobody where there is none.
    allowed_names
        Common names that a front proxy may have; none means any.
    username_headers, uid_headers, group_headers
        Header names; the first that carries a value names the user and the uid, all of them together the groups.
    extra_prefixes
        Beginnings of header names that carry further attributes.
    """

    client_authorities: tuple[x509.Certificate, ...] = ()
    proxy_authorities: tuple[x509.Certificate, ...] = ()
    allowed_names: tuple[str, ...] = ()
    username_headers: tuple[str, ...] = ()
    uid_headers: tuple[str, ...] = ()
    group_headers: tuple[str, ...] = ()
    extra_prefixes: tuple[str, ...] = ()

    @property
    def all_authorities_pem(self) -> str:
        """Everybody whose certificates the TLS layer should let pass."""
        everybody = (*self.client_authorities, *self.proxy_authorities)
        return "".join(authority.public_bytes(Encoding.PEM).decode() for authority in everybody)

    def is_identity_header(self, name: str) -> bool:
        """Whether only a front proxy may send the header `name`."""
        lowered = name.lower()
        named = (*self.username_headers, *self.uid_headers, *self.group_headers)
        return any(lowered == header.lower() for header in named) or any(
            lowered.startswith(prefix.lower()) for prefix in self.extra_prefixes
        )


def parse_proxy_settings(data: Mapping[str, str]) -> ProxySettings:
    """Return what the data of the ConfigMap say; a missing entry is empty.

    Raises
    ------
    BadDocument
        Naming the entry that cannot be read.
    """
    return ProxySettings(
        client_authorities=_parse_bundle(data, "client-ca-file"),
        proxy_authorities=_parse_bundle(data, "requestheader-client-ca-file"),
        allowed_names=_parse_list(data, "requestheader-allowed-names"),
        username_headers=_parse_list(data, "requestheader-username-headers"),
        uid_headers=_parse_list(data, "requestheader-uid-headers"),
        group_headers=_parse_list(data, "requestheader-group-headers"),
        extra_prefixes=_parse_list(data, "requestheader-extra-headers-prefix"),
    )


def _parse_bundle(data: Mapping[str, str], key: str) -> tuple[x509.Certificate, ...]:
    try:
        return parse_authorities(data.get(key, ""))
    except BadDocument as problem:
        raise BadDocument(f"{key}: {problem}") from problem


def _parse_list(data: Mapping[str, str], key: str) -> tuple[str, ...]:
    text = data.get(key, "")
    if not text.strip():
        return ()
    try:
        entries = json.loads(text)
    except ValueError as cause:
        raise BadDocument(f"{key}: no JSON list: {cause}") from cause
    if not isinstance(entries, list) or not all(isinstance(entry, str) and entry for entry in entries):
        raise BadDocument(f"{key}: must be a list of words, got {text[:80]}")
    return tuple(entries)
