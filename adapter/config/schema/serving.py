"""Sections about what is served and kept: addresses, published numbers, state. Data and their rules only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from adapter.config.amounts import count, duration
from adapter.config.fields import option
from adapter.config.kinds import Choice, Text
from adapter.config.section import Section

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
        why="Nobody is asked who they are yet, so only this machine may ask.",
    )
    port: int = option(_PORT, default=8443, meaning="Port; 0 takes any free one.", why="Customary for such APIs.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenConfig:
    """Addresses that are listened on; a change takes effect at the next start."""

    pages: PagesAddress = option(
        Section(PagesAddress), default=PagesAddress(), meaning="Pages for people and Prometheus."
    )
    external_metrics_http: ExternalMetricsAddress = option(
        Section(ExternalMetricsAddress),
        default=ExternalMetricsAddress(),
        meaning="The external metrics API without TLS and authentication; the name says so on purpose.",
    )
    drain_s: float = option(
        duration(),
        default=2.0,
        meaning="After SIGTERM `/readyz` answers 503 for this long, in wall time, before the servers close.",
        why="Kubernetes takes a second or so to send requests elsewhere.",
    )


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
        meaning="File, replaced whole after every pass; none keeps the state in memory only. Relative paths start at "
        "the configuration file.",
        why="A start without state only costs one calm window.",
    )
