"""Sections about reading: how pages are fetched, and who tells which pods exist. Data and their rules only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from adapter.config.amounts import count, duration, size
from adapter.config.fields import given_fields, option, rule
from adapter.config.kinds import Choice, Flag, Text
from adapter.config.nesting import ListOf
from adapter.config.problems import Problem
from adapter.config.schema.names import KUBERNETES_NAME
from adapter.config.section import Section

_PORT = r":(6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]?\d{1,4})"
_SERVER = rf"https?://([^\s/?#@]+@)?([^\s/?#:@\[\]]+|\[[0-9A-Fa-f:.]+\])({_PORT})?"
_SERVER_BOUND = "an address that begins with http:// or https://, its port at most 65535"
HTTP_URL = Text(_SERVER_BOUND, rf"{_SERVER}([/?]\S*)?")
BASE_URL = Text(f"{_SERVER_BOUND}, without ? and #", rf"{_SERVER}(/[^\s?#]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """How pods that serve HTTPS are trusted."""

    ca_file: str | None = option(
        Text("path of a file"),
        default=None,
        meaning="Certificates (PEM) that are trusted instead of those of the system.",
    )
    skip_verification: bool = option(
        Flag(),
        default=False,
        meaning="Accept any certificate: anybody on the way can then make up the metrics.",
        why="Self-signed certificates of engines are common, but this must be a choice.",
    )

    @rule("ca_file", "skip_verification")
    def check_trust(self) -> Iterator[Problem]:
        """Yield a problem when certificates are named and not looked at."""
        if self.ca_file is not None and self.skip_verification:
            yield Problem("skip_verification", "must be false where ca_file is given: one of the two has no effect")


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionConfig:
    """How the pages of pods and gateways are fetched."""

    timeout_s: float = option(
        duration(above=0),
        default=5.0,
        meaning="Longest time for one page, connection included, in wall time.",
        why="A page takes about 20 ms, and more than 1 s when the server is busy.",
    )
    jitter_s: float = option(
        duration(),
        default=0.2,
        meaning="Each pod is asked at its own fixed moment within this time.",
        why="Hundreds of pages at one instant would be a load of their own; 200 ms is little against a period.",
    )
    concurrency: int = option(
        count(at_least=1),
        default=256,
        meaning="Most pages that are fetched at the same time.",
        why="Enough for 1000 pods within seconds even when some hang, few enough for the default limit of open files.",
    )
    max_page_bytes: float = option(
        size(at_least=65536),
        default=float(16 << 20),
        key="max_page",
        meaning="Longest page that is read; a longer one counts as unreadable.",
        why="Real pages take 50 to 750 kB; this admits twenty times as much, and no endless body.",
    )
    bearer_token_file: str | None = option(
        Text("path of a file"),
        default=None,
        meaning="File whose text is sent as bearer token; read anew at every fetch, for tokens rotate.",
    )
    tls: TlsConfig = option(Section(TlsConfig), default=TlsConfig(), meaning="Trust in HTTPS pages.")


class DiscoveryKind(StrEnum):
    """Who tells which pods exist."""

    STATIC = "static"
    HTTP = "http"
    KUBERNETES = "kubernetes"


class LabelDialect(StrEnum):
    """Whose labels and annotations tell of a variant; as `adapter.cluster.Dialect`, by value."""

    OURS = "variant-autoscaler.io"
    AIBRIX = "model.aibrix.ai"
    LLM_D = "llm-d.ai"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryLimitsConfig:
    """Which amounts that the cluster tells bound the plans, besides `limits`."""

    quotas: bool = option(
        Flag(),
        default=True,
        meaning="Devices that ResourceQuota objects leave to our workloads in their namespace, over all types.",
        why="The API server refuses pods beyond a quota, so a plan beyond it is never carried out.",
    )
    nodes: bool = option(
        Flag(),
        default=False,
        meaning="Devices on schedulable nodes, by type, less what other workloads request there.",
        why="A plan that stays within today's nodes never asks a node autoscaler for another one.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryConfig:
    """Who tells which pods exist."""

    given: frozenset[str] = given_fields()

    kind: DiscoveryKind = option(
        Choice(DiscoveryKind),
        default=DiscoveryKind.STATIC,
        meaning="`static`: the `pods` of each variant in this file. `http`: an inventory document at `url`, as the "
        "embedded fleet serves it. `kubernetes`: the cluster, watched; labels and annotations on workloads then tell "
        "of variants too, and `models` may be left out.",
        why="It needs nothing else to run.",
    )
    url: str | None = option(HTTP_URL, default=None, meaning="Address of the inventory document, for kind `http`.")
    timeout_s: float = option(
        duration(above=0),
        default=5.0,
        meaning="Longest time for one inventory document, in wall time.",
        why="As for pages.",
    )

    namespaces: tuple[str, ...] = option(
        ListOf(KUBERNETES_NAME),
        default=(),
        meaning="Namespaces that are watched, for kind `kubernetes`; none means the whole cluster.",
    )
    dialects: tuple[LabelDialect, ...] = option(
        ListOf(Choice(LabelDialect)),
        default=tuple(LabelDialect),
        meaning="Whose labels count, for kind `kubernetes`; an empty list leaves it to `models`.",
        why="Workloads labeled for a peer need no second set of labels.",
    )
    limits: DiscoveryLimitsConfig = option(
        Section(DiscoveryLimitsConfig),
        default=DiscoveryLimitsConfig(),
        meaning="Amounts that the cluster tells, for kind `kubernetes`.",
    )
    unschedulable_after_s: float = option(
        duration(above=0),
        default=300.0,
        meaning="Pods that find no place for longer than this bound the plan to what was placed, for kind "
        "`kubernetes`; more is tried again, ever less often.",
        why="A node autoscaler takes two to four minutes for a node with accelerators.",
    )

    @rule("kind", "url")
    def check_url(self) -> Iterator[Problem]:
        """Yield a problem when kind and url do not belong together."""
        if self.kind is DiscoveryKind.HTTP and self.url is None:
            yield Problem("url", "is missing: kind http needs the address of the inventory document")
        if self.kind is not DiscoveryKind.HTTP and self.url is not None:
            yield Problem("url", f"has no effect with kind {self.kind}; did you mean kind: http?")

    @rule("kind", "namespaces", "dialects", "limits", "unschedulable_after")
    def check_kind(self) -> Iterator[Problem]:
        """Yield a problem for everything that only a cluster could tell."""
        if self.kind is DiscoveryKind.KUBERNETES:
            return
        for name in ("namespaces", "dialects", "limits", "unschedulable_after_s"):
            if name in self.given:
                yield Problem(name.removesuffix("_s"), f"has no effect with kind {self.kind}, only with kubernetes")

    @rule("namespaces", "dialects")
    def check_repetition(self) -> Iterator[Problem]:
        """Yield a problem for everything listed twice."""
        for key, entries in (("namespaces", self.namespaces), ("dialects", self.dialects)):
            for i, entry in enumerate(entries):
                if entry in entries[:i]:
                    yield Problem(f"{key}[{i}]", f"repeats {entry}")
