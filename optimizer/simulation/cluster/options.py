"""How the simulated cluster behaves around the engines: scraping, scaling, starting, draining, routing. Data only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from optimizer.domain import VariantKey
from optimizer.errors import InvalidInput
from optimizer.policy.hpa_law import Behavior, HpaSpec, PolicyType, ScalingRules, StepPolicy

_FREE_UP = ScalingRules((StepPolicy(PolicyType.PODS, 1_000_000),), tolerance_ratio=0.0)
_FREE_DOWN = ScalingRules((StepPolicy(PolicyType.PERCENT, 100),), tolerance_ratio=0.0)
FOLLOWING_HPA = HpaSpec(min_replicas=0, max_replicas=1_000_000, behavior=Behavior(_FREE_UP, _FREE_DOWN))
"""The autoscaler that follows a published number at once, up and down, as we recommend it."""


class Actuation(StrEnum):
    """How an answer of a decider becomes replicas."""

    DIRECT = "direct"  # it patches scale itself, at once
    HPA = "hpa"  # it publishes a number, and an HPA follows at its next sync


class Rhythm(StrEnum):
    """When a decider is asked, and how old what it sees is."""

    ROUNDS = "rounds"  # right behind a round of pages: it reads them itself
    SYNCS = "syncs"  # at moments of its own, from what another one stored: autoscalers behind a metrics pipeline


class RouterKind(StrEnum):
    """By which rule a request finds its replica; see `optimizer.routing`."""

    ROUND_ROBIN = "round_robin"
    LEAST_LOAD = "least_load"
    INSTANCE_AWARE = "instance_aware"
    GUIDED = "guided"  # the variant by the weights of a guide, then the replica with the least load


@dataclass(frozen=True, slots=True)
class BucketGuide:
    """Shares of the requests of each bucket of prompt lengths that go to each variant.

    Attributes
    ----------
    edges_tokens
        B - 1 ascending upper edges of the prompt length; a prompt as long as an edge lies below it [tokens].
    weights
        By variant, B weights >= 0; a variant that is absent gets none. Where no variant with weight has a ready
        replica, every one counts alike.
    """

    edges_tokens: tuple[int, ...]
    weights: Mapping[VariantKey, tuple[float, ...]]

    def __post_init__(self) -> None:
        """Check the weights.

        Raises
        ------
        InvalidInput
            When a variant has another number of them than there are buckets, or one is negative or not finite.
        """
        for key, weights in self.weights.items():
            if len(weights) != len(self.edges_tokens) + 1:
                raise InvalidInput(f"weights of {key.variant}", f"{len(self.edges_tokens) + 1} of them", len(weights))
            if not all(0.0 <= weight < math.inf for weight in weights):
                raise InvalidInput(f"weights of {key.variant}", ">= 0 and finite", weights)


@dataclass(frozen=True, slots=True)
class ScrapeOptions:
    """How pages are read.

    Attributes
    ----------
    interval_s
        From one round to the next, > 0 [s].
    jitter_s
        Each pod has its own fixed moment within this from the begin of a round [s].
    loss_ratio
        Share of the pages that cannot be had [0-1].
    delay_s
        From reading a page to its being known [s].
    outages_s
        Stretches (from, to) without any page [s].
    """

    interval_s: float = 15.0
    jitter_s: float = 1.0
    loss_ratio: float = 0.0
    delay_s: float = 0.0
    outages_s: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What else may happen to a start.

    Attributes
    ----------
    image_pull_s
        How long the first replica of a variant on a node, and those beside it, wait for the image [s].
    devices_per_node
        Devices of one node; a replica that needs more takes whole nodes of its own.
    node_provision_s
        How long another node takes to come where none has room [s].
    node_idle_s
        An empty node is kept this long with its images [s].
    failure_ratio
        Share of the attempts that end in a crash instead of being ready [0-1).
    backoff_s, longest_backoff_s
        Pause after the first crash, doubled after each further one up to the longest [s].
    """

    image_pull_s: float = 0.0
    devices_per_node: int = 8
    node_provision_s: float = 0.0
    node_idle_s: float = 600.0
    failure_ratio: float = 0.0
    backoff_s: float = 10.0
    longest_backoff_s: float = 300.0


@dataclass(frozen=True, slots=True)
class HpaOptions:
    """The autoscalers of the cluster: those that follow a published number, and deciders that are such themselves.

    Attributes
    ----------
    spec
        The same for every variant, of those that follow.
    sync_s
        From one sync to the next, > 0 [s], of those that follow.
    phase_s
        The first sync, and the first decision of `Rhythm.SYNCS` [s]; None means drawn by the seed, below `sync_s`. It
        depends on nothing else, so all deciders have the same.
    metric_delay_s
        The number that a sync reads, and the pages that a decider of `Rhythm.SYNCS` sees, are at least so old: what
        lies between a scrape and the answer of the metrics API [s]. How long ago the scrape was comes on top.
    """

    spec: HpaSpec = FOLLOWING_HPA
    sync_s: float = 15.0
    phase_s: float | None = None
    metric_delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class KvTransfer:
    """How the KV cache of a prompt goes from a prefill to a decode replica: ``latency + tokens * bytes / bandwidth``.

    Attributes
    ----------
    bytes_per_token
        Size of one token in the cache [bytes].
    bandwidth_bytes_per_s
        Of one transfer, > 0 [bytes/s].
    latency_s
        Before the first byte [s].
    """

    bytes_per_token: float = 131072.0
    bandwidth_bytes_per_s: float = 2.5e10
    latency_s: float = 0.005


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """How the cluster behaves.

    Attributes
    ----------
    scrape, start, hpa, kv_transfer
        See there.
    actuation
        How answers become replicas; None means as the decider says, and directly where it does not.
    decision_delay_s
        The first decision of `Rhythm.ROUNDS`, and every further one after its period, comes so long after the round
        of pages [s]; None means as soon as the last page of a round is known.
    grace_s
        A replica that is told to end gets no more requests, and has this long to finish those it has [s].
    hold_s
        How long a request waits at the router of an LLM with a gateway while no replica is ready [s]; without gateway
        it fails at once.
    router
        The rule of every LLM.
    guide
        For `RouterKind.GUIDED`.
    max_attempts
        How many replicas a request is tried on at most while queues are full, as the router of the product does.
    keeps_requests
        Whether the latencies of every request are kept; else only their histograms.
    """

    scrape: ScrapeOptions = field(default_factory=ScrapeOptions)
    start: StartOptions = field(default_factory=StartOptions)
    hpa: HpaOptions = field(default_factory=HpaOptions)
    kv_transfer: KvTransfer = field(default_factory=KvTransfer)
    actuation: Actuation | None = None
    decision_delay_s: float | None = None
    grace_s: float = 120.0
    hold_s: float = 300.0
    router: RouterKind = RouterKind.LEAST_LOAD
    guide: BucketGuide | None = None
    max_attempts: int = 3
    keeps_requests: bool = True

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises
        ------
        InvalidInput
            Naming the field.
        """
        for part in (self.scrape, self.start, self.hpa, self.kv_transfer):
            _check_numbers(part)
        _check_numbers(self)
        for name, value in (
            ("scrape.interval_s", self.scrape.interval_s),
            ("hpa.sync_s", self.hpa.sync_s),
            ("kv_transfer.bandwidth_bytes_per_s", self.kv_transfer.bandwidth_bytes_per_s),
            ("start.devices_per_node", self.start.devices_per_node),
            ("max_attempts", self.max_attempts),
        ):
            if not value > 0:
                raise InvalidInput(name, "> 0", value)
        if self.router is RouterKind.GUIDED and self.guide is None:
            raise InvalidInput("guide", "given for the router guided", None)

    @property
    def first_decision_s(self) -> float:
        """When a decider of `Rhythm.ROUNDS` is asked first [s]."""
        if self.decision_delay_s is not None:
            return self.decision_delay_s
        return self.scrape.jitter_s + self.scrape.delay_s


def _check_numbers(part: object) -> None:
    """Raise InvalidInput for a number below 0, not finite, or a ratio above 1."""
    for entry in fields(part):  # type: ignore[arg-type]
        value = getattr(part, entry.name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not 0 <= value < math.inf:
            raise InvalidInput(f"{type(part).__name__}.{entry.name}", ">= 0 and finite", value)
        if entry.name.endswith("_ratio") and value > 1:
            raise InvalidInput(f"{type(part).__name__}.{entry.name}", "0..1", value)
