"""Sections about what is served and kept: addresses, published numbers, state. Data and their rules only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from adapter.config.amounts import count, duration
from adapter.config.fields import option, rule
from adapter.config.kinds import Choice, Flag, Text
from adapter.config.problems import Problem
from adapter.config.section import Section

_EVERY_INTERFACE = frozenset({"0.0.0.0", "::"})
_PORT = count(at_least=0, at_most=65535)


@dataclass(frozen=True, slots=True, kw_only=True)
class PagesAddress:
    """Where the pages are: `/metrics`, `/metrics/{namespace}/{deployment}`, `/v1/decisions`, `/livez`, `/readyz`."""

    host: str = option(
        Text("address"),
        default="127.0.0.1",
        meaning="Address to listen on; `0.0.0.0` for every interface.",
        why="Nothing is open to the network until somebody says so; in a container set 0.0.0.0.",
    )
    port: int = option(
        _PORT,
        default=8080,
        meaning="Port; 0 takes any free one.",
        why="Where consumers of AIBrix' optimizer look.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalMetricsAddress:
    """Where `external.metrics.k8s.io` is served, in plain HTTP and to everybody who can reach it."""

    host: str = option(
        Text("address"),
        default="127.0.0.1",
        meaning="Address to listen on.",
        why="Nobody is asked who they are, so only this machine may ask.",
    )
    port: int = option(_PORT, default=8443, meaning="Port; 0 takes any free one.", why="Customary for such APIs.")


class CertificateKind(StrEnum):
    """Where a serving certificate comes from."""

    SELF_SIGNED = "self_signed"
    FILES = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateConfig:
    """The certificate that callers see."""

    kind: CertificateKind = option(
        Choice(CertificateKind),
        default=CertificateKind.SELF_SIGNED,
        meaning="`self_signed`: made and renewed by us, kept in a Secret of our namespace where there is a cluster. "
        "`files`: read from `cert_file` and `key_file`, and again whenever they change.",
        why="It needs nothing else to be installed.",
    )
    cert_file: str | None = option(
        Text("path of a file"), default=None, meaning="Certificate with its chain (PEM), for kind `files`."
    )
    key_file: str | None = option(Text("path of a file"), default=None, meaning="Its key (PEM), for kind `files`.")

    @rule("kind", "cert_file", "key_file")
    def check_files(self) -> Iterator[Problem]:
        """Yield a problem when kind and files do not belong together."""
        for key, file in (("cert_file", self.cert_file), ("key_file", self.key_file)):
            if self.kind is CertificateKind.FILES and file is None:
                yield Problem(key, "is missing: kind files reads it")
            if self.kind is not CertificateKind.FILES and file is not None:
                yield Problem(key, f"has no effect with kind {self.kind}; did you mean kind: files?")


class AuthenticationKind(StrEnum):
    """How callers are told apart."""

    KUBERNETES = "kubernetes"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalMetricsConfig:
    """Where `external.metrics.k8s.io` is served to a cluster: in TLS, to those who may ask."""

    enabled: bool = option(
        Flag(),
        default=True,
        meaning="`false`: it is not served; another product owns this API of the cluster, and reads the pages.",
        why="HPA reads it.",
    )
    host: str = option(
        Text("address"),
        default="127.0.0.1",
        meaning="Address to listen on; `0.0.0.0` for every interface.",
        why="Nothing is open to the network until somebody says so; in a container set 0.0.0.0.",
    )
    port: int = option(_PORT, default=6443, meaning="Port; 0 takes any free one.", why="Customary for such APIs.")
    certificate: CertificateConfig = option(
        Section(CertificateConfig), default=CertificateConfig(), meaning="What callers see."
    )
    authentication: AuthenticationKind = option(
        Choice(AuthenticationKind),
        default=AuthenticationKind.KUBERNETES,
        meaning="`kubernetes`: front proxy, client certificates and tokens are verified, and the cluster says who may "
        "ask. `none`: whoever reaches the port may.",
        why="A call that goes around the API server is checked by nobody else.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenConfig:
    """Addresses that are listened on; a change takes effect at the next start."""

    pages: PagesAddress = option(
        Section(PagesAddress), default=PagesAddress(), meaning="Pages for people and Prometheus."
    )
    external_metrics: ExternalMetricsConfig | None = option(
        Section(ExternalMetricsConfig),
        default=None,
        meaning="The external metrics API as a cluster asks for it; none serves it with its defaults where "
        "`discovery.kind` is `kubernetes`, else not at all.",
    )
    external_metrics_http: ExternalMetricsAddress | None = option(
        Section(ExternalMetricsAddress),
        default=None,
        meaning="The external metrics API without TLS and authentication; the name says so on purpose. None serves it "
        "with its defaults where there is neither a cluster nor `external_metrics`, else not at all.",
    )
    drain_s: float = option(
        duration(),
        default=2.0,
        meaning="After SIGTERM `/readyz` answers 503 for this long, in wall time, before the servers close.",
        why="Kubernetes takes a second or so to send requests elsewhere.",
    )


def find_shared_ports(
    addresses: Mapping[str, PagesAddress | ExternalMetricsAddress | ExternalMetricsConfig],
) -> Iterator[Problem]:
    """Yield a problem for each of `addresses`, by path, that an earlier one occupies."""
    earlier: dict[str, PagesAddress | ExternalMetricsAddress | ExternalMetricsConfig] = {}
    for path, address in addresses.items():
        for other, taken in earlier.items():
            is_everywhere = bool({address.host, taken.host} & _EVERY_INTERFACE)
            if address.port == taken.port != 0 and (is_everywhere or address.host == taken.host):
                yield Problem(f"{path}.port", f"must differ from {other}.port, got {address.port} for both")
        earlier[path] = address


class ReplicaUnit(StrEnum):
    """In what the pages count."""

    REPLICAS = "replicas"
    HUNDREDTHS = "hundredths"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishingConfig:
    """How decisions are published; a change takes effect at the next start."""

    max_decision_age_s: float = option(
        duration(above=0),
        default=600.0,
        meaning="Age from which the external metrics API answers 503 rather than repeat a decision; pages keep the "
        "number and show its age.",
        why="HPA keeps what it has when a metric is missing, which is safer than a number made for a fleet long gone.",
    )
    unit: ReplicaUnit = option(
        Choice(ReplicaUnit),
        default=ReplicaUnit.REPLICAS,
        meaning="Unit on `/metrics/{namespace}/{deployment}`: `replicas`, or `hundredths` (3 replicas are 300).",
        why="Whole replicas need no target in the consumer.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StateConfig:
    """Where the memory of deciding is kept between two starts; a change takes effect at the next start."""

    file: str | None = option(
        Text("path of a file"),
        default=None,
        meaning="File, replaced whole after every pass; none keeps the state in memory only, or in the cluster where "
        "`discovery.kind` is `kubernetes`. Relative paths start at the configuration file.",
        why="A start without state only costs one calm window.",
    )
