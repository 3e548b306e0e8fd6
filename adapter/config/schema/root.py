"""The whole configuration, and the rules between its sections: references, double claims. Data and rules only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from adapter.config.fields import option, required, rule
from adapter.config.kinds import Text
from adapter.config.nesting import ListOf, MapOf
from adapter.config.problems import Problem, join_index, join_path, suggest
from adapter.config.quantities import render_duration
from adapter.config.schema.cluster import KubernetesConfig
from adapter.config.schema.collecting import CollectionConfig, DiscoveryConfig, DiscoveryKind
from adapter.config.schema.deciding import DecisionConfig
from adapter.config.schema.models import ActuationKind, ModelConfig
from adapter.config.schema.promises import ServiceClassConfig
from adapter.config.schema.resources import AcceleratorConfig, LimitConfig
from adapter.config.schema.serving import (
    AuthenticationKind,
    ExternalMetricsAddress,
    ExternalMetricsConfig,
    ListenConfig,
    PublishingConfig,
    StateConfig,
    find_shared_ports,
)
from adapter.config.schema.variants import VariantConfig
from adapter.config.section import Section
from optimizer.domain import ClassSourceKind, LimitKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything the variant autoscaler is told.

    `accelerators` and `service_classes` are needed, and `models` unless a cluster tells them; the others have defaults.
    """

    listen: ListenConfig = option(Section(ListenConfig), default=ListenConfig(), meaning="Addresses to listen on.")
    decision: DecisionConfig = option(
        Section(DecisionConfig), default=DecisionConfig(), meaning="How often and how boldly to decide."
    )
    publishing: PublishingConfig = option(
        Section(PublishingConfig), default=PublishingConfig(), meaning="How decisions are published."
    )
    collection: CollectionConfig = option(
        Section(CollectionConfig), default=CollectionConfig(), meaning="How pages are fetched."
    )
    discovery: DiscoveryConfig = option(
        Section(DiscoveryConfig), default=DiscoveryConfig(), meaning="Who tells which pods exist."
    )
    kubernetes: KubernetesConfig = option(
        Section(KubernetesConfig),
        default=KubernetesConfig(),
        meaning="Who we are in the cluster, for `discovery.kind: kubernetes`.",
    )
    state: StateConfig = option(
        Section(StateConfig), default=StateConfig(), meaning="Where the memory of deciding is kept."
    )
    accelerators: Mapping[str, AcceleratorConfig] = required(
        MapOf(Section(AcceleratorConfig), at_least=1), meaning="Accelerator types by name, such as H100."
    )
    limits: tuple[LimitConfig, ...] = option(
        ListOf(Section(LimitConfig)), default=(), meaning="Bounds that all plans together keep."
    )
    service_classes: Mapping[str, ServiceClassConfig] = required(
        MapOf(Section(ServiceClassConfig), at_least=1), meaning="Promises by name, such as interactive."
    )
    default_service_class: str | None = option(
        Text("name of a service class"),
        default=None,
        meaning="The promise for models that name none, among them those that only labels tell of; none takes the only "
        "one there is.",
    )
    models: tuple[ModelConfig, ...] = option(
        ListOf(Section(ModelConfig)),
        default=(),
        meaning="The LLMs that are served; at least one unless `discovery.kind` is `kubernetes`, where labels may tell "
        "them.",
    )

    @property
    def is_clustered(self) -> bool:
        """Whether a Kubernetes cluster tells what there is."""
        return self.discovery.kind is DiscoveryKind.KUBERNETES

    def get_external_metrics(self) -> ExternalMetricsConfig | None:
        """Return where the external metrics API is served in TLS, None for nowhere."""
        found = self.listen.external_metrics or (ExternalMetricsConfig() if self.is_clustered else None)
        return found if found is not None and found.enabled else None

    def get_external_metrics_http(self) -> ExternalMetricsAddress | None:
        """Return where the external metrics API is served without TLS and authentication, None for nowhere."""
        is_needed = self.get_external_metrics() is None and not self.is_clustered
        return self.listen.external_metrics_http or (ExternalMetricsAddress() if is_needed else None)

    def iterate_variants(self) -> Iterator[tuple[str, ModelConfig, VariantConfig]]:
        """Yield every variant with its path and its model."""
        for m, model in enumerate(self.models):
            for v, variant in enumerate(model.variants):
                yield f"models[{m}].variants[{v}]", model, variant

    @rule("decision", "publishing", "collection")
    def check_times(self) -> Iterator[Problem]:
        """Yield a problem for every time that does not fit the period."""
        period = render_duration(self.decision.period_s)
        if self.publishing.max_decision_age_s <= self.decision.period_s:
            given = render_duration(self.publishing.max_decision_age_s)
            yield Problem("publishing.max_decision_age", f"must be > decision.period {period}, got {given}")
        if self.collection.jitter_s > self.decision.period_s:
            given = render_duration(self.collection.jitter_s)
            yield Problem("collection.jitter", f"must be <= decision.period {period}, got {given}")

    @rule("listen", "discovery")
    def check_ports(self) -> Iterator[Problem]:
        """Yield a problem where two servers would listen on one port, given or by default."""
        addresses = {
            "listen.pages": self.listen.pages,
            "listen.external_metrics": self.get_external_metrics(),
            "listen.external_metrics_http": self.get_external_metrics_http(),
        }
        yield from find_shared_ports({path: address for path, address in addresses.items() if address is not None})

    @rule("discovery", "models")
    def check_presence(self) -> Iterator[Problem]:
        """Yield a problem where nobody can tell what is served."""
        if self.is_clustered:
            return
        if not self.models:
            yield Problem("models", "is missing: the LLMs that are served; only discovery.kind kubernetes finds them")
        for i, model in enumerate(self.models):
            if not model.variants:
                told = "ways to serve it; only discovery.kind kubernetes finds them"
                yield Problem(f"models[{i}].variants", f"is missing: {told}")

    @rule("discovery", "kubernetes", "listen", "state")
    def check_cluster(self) -> Iterator[Problem]:
        """Yield a problem for everything that needs a cluster and has none, or is kept there and not in a file."""
        kind, api = self.discovery.kind, self.listen.external_metrics
        if self.is_clustered:
            if self.state.file is not None:
                yield Problem("state.file", "has no effect with discovery.kind kubernetes, which keeps the state there")
            return
        if self.kubernetes != KubernetesConfig():
            yield Problem("kubernetes", f"has no effect with discovery.kind {kind}, only with kubernetes")
        if api is not None and api.authentication is AuthenticationKind.KUBERNETES:
            bound = f"must be none with discovery.kind {kind}: there is no cluster to ask who a caller is"
            yield Problem("listen.external_metrics.authentication", f"{bound}, got {api.authentication}")
        for i, model in enumerate(self.models):
            if model.actuation is ActuationKind.SCALE:
                yield Problem(f"models[{i}].actuation", f"must be follower with discovery.kind {kind}, got scale")

    @rule("discovery", "models[*].min_replicas", "models[*].variants[*].max_replicas")
    def check_maxima_of_variants(self) -> Iterator[Problem]:
        """Yield a problem where variants cannot reach their model's lower bound, unless labels may tell of more."""
        for i, model in enumerate(() if self.is_clustered else self.models):
            for problem in model.find_narrow_maxima():
                yield Problem(f"models[{i}].{problem.path}", problem.message)

    @rule()
    def check_accelerators(self) -> Iterator[Problem]:
        """Yield a problem for every accelerator that is named and not described, or not named where it must be."""
        for path, _, variant in self.iterate_variants():
            is_read = bool(variant.name or variant.given)
            if is_read and "accelerator" not in variant.given and not variant.accelerator and not self.is_clustered:
                yield Problem(f"{path}.accelerator", "is missing: Accelerator type, as in `accelerators`.")
            yield from self._find_unknown_accelerator(f"{path}.accelerator", variant.accelerator)
        for i, limit in enumerate(self.limits):
            for j, name in enumerate(limit.accelerators):
                yield from self._find_unknown_accelerator(f"limits[{i}].accelerators[{j}]", name)

    def _find_unknown_accelerator(self, path: str, name: str) -> Iterator[Problem]:
        if name and self.accelerators and name not in self.accelerators:
            yield Problem(path, f"names {name}, which is not known{suggest(name, self.accelerators)}")

    @rule()
    def check_service_classes(self) -> Iterator[Problem]:
        """Yield a problem for every service class that is named and not described."""
        default, known = self.default_service_class, self.service_classes
        if default is not None and known and default not in known:
            yield Problem("default_service_class", f"names {default}, which is not known{suggest(default, known)}")
        for i, model in enumerate(self.models):
            for problem in model.find_unknown_classes(known, default):
                yield Problem(join_path(join_index("models", i), problem.path), problem.message)

    @rule("service_classes")
    def check_class_sources(self) -> Iterator[Problem]:
        """Yield a problem where requests of several classes cannot be told apart."""
        for i, model in enumerate(self.models):
            chosen = self.get_service_classes(model)
            deployments = None if self.is_clustered else [v.get_deployment() for v in model.variants]
            for problem in find_confusions(chosen, deployments):
                yield Problem(f"models[{i}].service_classes", problem)

    @rule()
    def check_claims(self) -> Iterator[Problem]:
        """Yield a problem for every identity that is claimed twice."""
        first: dict[tuple[str, str], str] = {}
        for path, what, name in self._iterate_claims():
            owner = first.setdefault((what, name), path)
            if owner != path:
                yield Problem(path, f"claims {what} {name}, as {owner} does already")

    def _iterate_claims(self) -> Iterator[tuple[str, str, str]]:
        """Yield path, kind and name of everything that may exist once; what could not be read is left out."""
        for i, model in enumerate(self.models):
            if model.name and model.namespace:
                yield f"models[{i}]", "model", f"{model.namespace}/{model.name}"
        for path, model, variant in self.iterate_variants():
            if variant.get_deployment() and model.namespace:
                name = f"{model.namespace}/{variant.get_deployment()}"
                yield f"{path}.{_find_naming_key(variant)}", variant.get_kind(), name
            for i, url in enumerate(dict.fromkeys(variant.pods)):
                if url:
                    yield f"{path}.pods[{i}]", "pod", url
        for i, limit in enumerate(self.limits):
            if limit.name:
                yield f"limits[{i}].name", "limit", limit.name

    @rule("discovery", "models")
    def check_discovery(self) -> Iterator[Problem]:
        """Yield a problem where pods are listed and not used, or used and not listed."""
        kind = self.discovery.kind
        if kind is not DiscoveryKind.STATIC:
            for path, _, variant in self.iterate_variants():
                if variant.pods:
                    yield Problem(f"{path}.pods", f"has no effect with discovery.kind {kind}, which tells the pods")
            return
        for i, model in enumerate(self.models):
            if model.gateway is None and model.variants and not any(variant.pods for variant in model.variants):
                yield Problem(
                    f"models[{i}]",
                    "has no source of demand: list pods of its variants, give a gateway, or use discovery.kind http or "
                    "kubernetes",
                )

    @rule("limits", "accelerators", "models")
    def check_limits(self) -> Iterator[Problem]:
        """Yield a problem where what a limit counts is not known, or the minima already exceed it."""
        for i, limit in enumerate(self.limits):
            counted = [v for _, m, v in self.iterate_variants() if self.is_counted(limit, m, v)]
            described = {v.accelerator: self.accelerators.get(v.accelerator) for v in counted}
            silent = {name for name, entry in described.items() if entry is not None and entry.watts is None}
            if limit.kind is LimitKind.WATTS and silent:
                for name in sorted(silent):
                    yield Problem(f"accelerators.{name}.watts", f"is missing: limit {limit.name} counts watts")
                continue
            used = sum(v.min_replicas * self.get_coefficient(limit, v) for v in counted)
            if limit.amount is not None and used > limit.amount:
                bound = f">= {used:g}, which min_replicas of the variants already use"
                yield Problem(f"limits[{i}].amount", f"must be {bound}, got {limit.amount:g}")

    def get_service_classes(self, model: ModelConfig) -> dict[str, ServiceClassConfig]:
        """Return the classes of `model` by name; the default, or the only one there is, when it names none."""
        return self.find_service_classes(model.service_classes)

    def find_service_classes(self, names: tuple[str, ...]) -> dict[str, ServiceClassConfig]:
        """Return the classes that `names` mean, by name: those that are known, and without names the default."""
        names = names or (() if self.default_service_class is None else (self.default_service_class,))
        names = names or (tuple(self.service_classes) if len(self.service_classes) == 1 else ())
        return {name: self.service_classes[name] for name in names if name in self.service_classes}

    def is_counted(self, limit: LimitConfig, model: ModelConfig, variant: VariantConfig) -> bool:
        """Whether replicas of `variant` use any of `limit`."""
        in_scope = not limit.namespaces or model.namespace in limit.namespaces
        is_meant = not limit.accelerators or variant.accelerator in limit.accelerators
        return in_scope and is_meant

    def get_coefficient(self, limit: LimitConfig, variant: VariantConfig) -> float:
        """Return what one replica of `variant` uses of `limit`, which counts it; 0 of what nobody told."""
        accelerator, devices = self.accelerators.get(variant.accelerator), variant.get_accelerators_per_replica()
        if limit.kind is LimitKind.WATTS:
            return devices * (accelerator.watts or 0.0) if accelerator is not None else 0.0
        if limit.kind is LimitKind.MONEY:
            if variant.cost_per_hour is not None:
                return variant.cost_per_hour
            return devices * accelerator.cost_per_hour if accelerator is not None else 0.0
        return float(devices)

    def has_price(self, variant: VariantConfig) -> bool:
        """Whether the price of a replica of `variant` is known."""
        return variant.cost_per_hour is not None or variant.accelerator in self.accelerators


def _find_naming_key(variant: VariantConfig) -> str:
    """Return the key that names the workload of `variant`."""
    if variant.workload is not None:
        return "workload.name"
    return "deployment" if variant.deployment else "name"


def find_confusions(classes: Mapping[str, ServiceClassConfig], deployments: list[str] | None) -> Iterator[str]:
    """Yield what keeps the requests of `classes`, by name, from being told apart; None: deployments are not known."""
    sources: dict[object, str] = {}
    for name, service_class in classes.items():
        source = service_class.source
        if len(classes) > 1 and source.kind is ClassSourceKind.ALL:
            yield f"cannot be told apart: give service_classes.{name}.source another kind than all"
        by_deployment = source.kind is ClassSourceKind.DEPLOYMENT
        if by_deployment and deployments is not None and source.value not in deployments:
            hint = suggest(source.value, deployments)
            yield f"has {name}, whose source {source.value} is no deployment of this model{hint}"
        if source.value:
            owner = sources.setdefault((source.kind, source.value), name)
            if owner != name:
                yield f"cannot be told apart: {owner} and {name} have the same source {source.value}"
    shares = [c.source.share_ratio for c in classes.values() if c.source.share_ratio is not None]
    if sum(shares) > 1 + 1e-9:
        yield f"has shares that add up to {sum(shares):g}; they must be <= 1 together"
