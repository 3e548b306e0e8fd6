"""Sections about reading: how pages are fetched, and who tells which pods exist. Data and their rules only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from adapter.config.amounts import count, duration, size
from adapter.config.fields import option, rule
from adapter.config.kinds import Choice, Flag, Text
from adapter.config.problems import Problem
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryConfig:
    """Who tells which pods exist."""

    kind: DiscoveryKind = option(
        Choice(DiscoveryKind),
        default=DiscoveryKind.STATIC,
        meaning="`static`: the `pods` of each variant in this file. `http`: an inventory document at `url`, as the "
        "embedded fleet serves it.",
        why="It needs nothing else to run.",
    )
    url: str | None = option(HTTP_URL, default=None, meaning="Address of the inventory document, for kind `http`.")
    timeout_s: float = option(
        duration(above=0),
        default=5.0,
        meaning="Longest time for one inventory document, in wall time.",
        why="As for pages.",
    )

    @rule("kind", "url")
    def check_url(self) -> Iterator[Problem]:
        """Yield a problem when kind and url do not belong together."""
        if self.kind is DiscoveryKind.HTTP and self.url is None:
            yield Problem("url", "is missing: kind http needs the address of the inventory document")
        if self.kind is DiscoveryKind.STATIC and self.url is not None:
            yield Problem("url", "has no effect with kind static; did you mean kind: http?")
