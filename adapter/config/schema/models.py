"""Sections about models: what is promised, who counts requests, how they may be served. Data and their rules only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from adapter.config.amounts import count, duration, number, ratio
from adapter.config.fields import option, required, rule
from adapter.config.kinds import Choice, Plain, Text
from adapter.config.nesting import ListOf, MapOf
from adapter.config.problems import Problem, suggest
from adapter.config.schema.collecting import HTTP_URL
from adapter.config.schema.names import KUBERNETES_NAME
from adapter.config.schema.overrides import OverrideConfig
from adapter.config.schema.variants import VariantConfig
from adapter.config.section import Section
from optimizer.domain import Routing


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadConfig:
    """Requests to plan with until some were measured."""

    input_tokens: float = required(number(above=0), meaning="Mean prompt length, in tokens.")
    output_tokens: float = required(number(at_least=1), meaning="Mean output length, in tokens.")
    input_spread_ratio: float = option(
        number(at_least=0),
        default=1.0,
        meaning="Standard deviation of the prompt length over its mean.",
        why="0.96 in a public trace of a chat service.",
    )
    output_spread_ratio: float = option(
        number(at_least=0),
        default=0.8,
        meaning="Standard deviation of the output length over its mean.",
        why="0.77 in a public trace of a chat service.",
    )
    cached_ratio: float = option(
        ratio(at_least=0.0, below=1.0),
        default=0.0,
        meaning="Share of prompt tokens found in the prefix cache.",
        why="Promising nothing is the safe side.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """A page outside the pods that counts this model's requests at arrival, and so can wake it from zero."""

    url: str = required(HTTP_URL, meaning="Address of the page, in the Prometheus text format.")
    requests_metric: str = option(
        Text("name of a metric", r"[a-zA-Z_:][a-zA-Z0-9_:]*"),
        default="variant_autoscaler_router_requests_total",
        meaning="Counter of requests at arrival.",
        why="What our own router serves.",
    )
    waiting_metric: str = option(
        Text("name of a metric", r"[a-zA-Z_:][a-zA-Z0-9_:]*"),
        default="variant_autoscaler_router_waiting_requests",
        meaning="Gauge of requests held because nothing is ready.",
        why="What our own router serves.",
    )
    labels: Mapping[str, str] | None = option(
        MapOf(Text()),
        default=None,
        meaning="Labels that select this model's series, which are added up; none takes those of our own router: "
        "`namespace` and `model`.",
    )


class ActuationKind(StrEnum):
    """Who acts on our numbers."""

    FOLLOWER = "follower"
    SCALE = "scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """One served LLM, identified by namespace and name."""

    name: str = required(Text(), meaning="The LLM as clients ask for it, such as meta-llama/Llama-3.1-8B-Instruct.")
    namespace: str = option(
        KUBERNETES_NAME,
        default="default",
        meaning="Namespace of the model and of its workloads.",
        why="Where Kubernetes puts what names no other.",
    )
    service_classes: tuple[str, ...] = option(
        ListOf(Text("name of a service class")),
        default=(),
        meaning="Promises that hold for its requests, as in `service_classes`; none takes `default_service_class`, or "
        "the only one there is.",
    )
    routing: Routing = option(
        Choice(Routing),
        default=Routing.AUTO,
        meaning="How requests reach replicas: each the same rate (`uniform`), in proportion to capacity (`weighted`), "
        "by our guidance (`bucketed`), or as measured (`auto`).",
        why="`auto` plans for `uniform`, the safe side, until the measured shares show better.",
    )
    policy: str = option(
        Text("name of a policy"),
        default="slo",
        meaning="Who proposes its replicas: one of those in docs/policies.md, or one of your own.",
        why="Ours: cheapest within the SLO.",
    )
    policy_options: Mapping[str, object] = option(
        MapOf(Plain()), default={}, meaning="Options of that policy, as docs/policies.md tells them."
    )
    min_replicas: int = option(
        count(),
        default=1,
        meaning="Least replicas over all variants together; 0 lets it go to zero when idle, and needs a `gateway`.",
        why="A model without replicas makes its first request wait for a start-up.",
    )
    max_replicas: int | None = option(
        count(at_least=1),
        default=None,
        meaning="Most replicas over all variants together; none leaves it to the limits.",
    )
    idle_to_zero_s: float = option(
        duration(above=0),
        default=300.0,
        meaning="Silence after which it goes to zero, where every minimum allows it.",
        why="A few start-ups long: leaving earlier costs more waiting than it saves.",
    )
    expected_workload: WorkloadConfig | None = option(
        Section(WorkloadConfig), default=None, meaning="Token lengths to plan with until some were measured."
    )
    gateway: GatewayConfig | None = option(
        Section(GatewayConfig), default=None, meaning="Who counts its requests besides the pods."
    )
    actuation: ActuationKind = option(
        Choice(ActuationKind),
        default=ActuationKind.FOLLOWER,
        meaning="`follower`: an HPA, or whoever else reads our numbers, acts on them. `scale`: we patch `/scale` of "
        "its workloads ourselves, where no follower does; for `discovery.kind: kubernetes`.",
        why="Nothing of the cluster changes by our hand until somebody says so.",
    )
    override: OverrideConfig | None = option(
        Section(OverrideConfig), default=None, meaning="What a person decides about each of its variants instead of us."
    )
    variants: tuple[VariantConfig, ...] = option(
        ListOf(Section(VariantConfig)),
        default=(),
        meaning="Ways to serve it; at least one unless `discovery.kind` is `kubernetes`, where labels may tell them.",
    )

    @rule("min_replicas", "gateway", "variants[*].min_replicas")
    def check_wake_up(self) -> Iterator[Problem]:
        """Yield a problem when the model may go to zero and would stay there."""
        is_free = bool(self.variants) and all(v.min_replicas == 0 for v in self.variants)
        if self.gateway is None and self.min_replicas == 0 and is_free:
            yield Problem(
                "min_replicas",
                "must be >= 1 without a gateway, got 0: nothing could wake the model, for at zero there are no pods "
                "whose pages would show demand",
            )

    @rule("min_replicas", "max_replicas")
    def check_own_bounds(self) -> Iterator[Problem]:
        """Yield a problem when no number lies within the model's bounds."""
        if self.max_replicas is not None and self.max_replicas < self.min_replicas:
            yield Problem("max_replicas", f"must be >= min_replicas {self.min_replicas}, got {self.max_replicas}")

    @rule("max_replicas", "variants[*].min_replicas")
    def check_minima_of_variants(self) -> Iterator[Problem]:
        """Yield a problem when the variants together must exceed the model's upper bound."""
        least = sum(variant.min_replicas for variant in self.variants)
        if self.max_replicas is not None and self.max_replicas < least:
            yield Problem(
                "max_replicas", f"must be >= {least}, the sum of min_replicas of its variants, got {self.max_replicas}"
            )

    @rule("variants[*].name")
    def check_names(self) -> Iterator[Problem]:
        """Yield a problem for every name of a variant given twice."""
        names = [variant.name for variant in self.variants]
        for i, name in enumerate(names):
            if name and name in names[:i]:
                yield Problem(f"variants[{i}].name", f"repeats {name}; variants of a model have different names")

    def find_narrow_maxima(self) -> Iterator[Problem]:
        """Yield a problem when these variants alone cannot reach the model's lower bound."""
        most = [variant.max_replicas for variant in self.variants]
        if most and None not in most and self.min_replicas > sum(bound or 0 for bound in most):
            total = sum(bound or 0 for bound in most)
            yield Problem(
                "min_replicas", f"must be <= {total}, the sum of max_replicas of its variants, got {self.min_replicas}"
            )

    def find_unknown_classes(self, known: Mapping[str, object], default: str | None) -> Iterator[Problem]:
        """Yield a problem for every service class that is not among `known`, and where none is named among several."""
        for i, name in enumerate(self.service_classes):
            if name and known and name not in known:
                yield Problem(f"service_classes[{i}]", f"names {name}, which is not known{suggest(name, known)}")
            elif name in self.service_classes[:i]:
                yield Problem(f"service_classes[{i}]", f"repeats {name}")
        if not self.service_classes and default is None and len(known) > 1:
            yield Problem("service_classes", f"is missing: which of {', '.join(sorted(known))} hold?")
