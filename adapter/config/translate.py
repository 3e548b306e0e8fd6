"""The configuration as the optimizer's `Settings`: names resolved, defaults derived, limits as linear rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adapter.config.schema import (
    ClassSourceConfig,
    Configuration,
    LimitConfig,
    ModelConfig,
    PerformanceConfig,
    ServiceClassConfig,
    TableConfig,
    VariantConfig,
    WorkloadConfig,
)
from optimizer.domain import (
    Accelerator,
    ClassSource,
    DecisionSettings,
    IterationLaw,
    IterationTable,
    LatencyQuantity,
    LengthDistribution,
    Limit,
    Override,
    Parallelism,
    PerformanceProfile,
    ProfileOrigin,
    ServedModel,
    ServiceClass,
    Settings,
    Slo,
    Variant,
    VariantKey,
    Workload,
    WorkloadRef,
)


def to_settings(configuration: Configuration, tables: Mapping[str, IterationTable]) -> Settings:
    """Return what `decide` works with.

    Parameters
    ----------
    configuration
        Free of problems, as `decode` returns it. Variants without price and models without variants, which a cluster
        may complete later, are left out.
    tables
        The content of every table file by the name the configuration calls it.
    """
    priced = (
        (model, tuple(variant for variant in model.variants if configuration.has_price(variant)))
        for model in configuration.models
    )
    models = (_to_model(configuration, model, variants, tables) for model, variants in priced)
    return Settings(
        models=tuple(model for model in models if model.variants),
        accelerators=tuple(
            Accelerator(name, accelerator.cost_per_hour, accelerator.watts, accelerator.memory_bytes)
            for name, accelerator in configuration.accelerators.items()
        ),
        limits=tuple(_to_limit(configuration, limit) for limit in configuration.limits),
        decision=_to_decision_settings(configuration),
    )


def to_served_model(
    configuration: Configuration, model: ModelConfig, tables: Mapping[str, IterationTable]
) -> ServedModel:
    """Return `model` with every variant that it names, those without a price too.

    It may have problems: what could not be read is then as it is by default, and a table that `tables` lack is absent.
    """
    return _to_model(configuration, model, model.variants, tables)


def to_workload_ref(model: ModelConfig, variant: VariantConfig) -> WorkloadRef:
    """Return the object whose replicas `variant` of `model` are."""
    return WorkloadRef(model.namespace, variant.get_deployment(), variant.get_kind(), variant.get_api_version())


def to_override(model: ModelConfig, variant: VariantConfig) -> Override | None:
    """Return what a person decided about `variant` in the configuration; what the variant says wins over its model."""
    said = variant.override or model.override
    return None if said is None else Override(said.mode, said.replicas, said.by, said.until_s)


def _to_decision_settings(configuration: Configuration) -> DecisionSettings:
    decision = configuration.decision
    return DecisionSettings(
        period_s=decision.period_s,
        actuation_delay_s=decision.actuation_delay_s,
        stale_after_s=decision.stale_after_s,
        calm_window_s=decision.calm_window_s,
        forecast_level_ratio=decision.forecast_level_ratio,
        utilization_ceiling_ratio=decision.utilization_ceiling_ratio,
        min_saving_ratio=decision.min_saving_ratio,
        solver_gap_ratio=decision.solver_gap_ratio,
        solver_node_limit=decision.solver_node_limit,
    )


def _to_model(
    configuration: Configuration,
    model: ModelConfig,
    variants: Sequence[VariantConfig],
    tables: Mapping[str, IterationTable],
) -> ServedModel:
    classes = configuration.get_service_classes(model)
    workload = model.expected_workload
    return ServedModel(
        namespace=model.namespace,
        model_id=model.name,
        service_classes=tuple(_to_service_class(name, entry) for name, entry in classes.items()),
        variants=tuple(_to_variant(model, variant, tables) for variant in variants),
        routing=model.routing,
        policy=model.policy,
        policy_options=model.policy_options,
        min_replicas=model.min_replicas,
        max_replicas=model.max_replicas,
        idle_to_zero_s=model.idle_to_zero_s,
        has_gateway=model.gateway is not None,
        expected_workload=None if workload is None else _to_workload(workload),
    )


def _to_service_class(name: str, entry: ServiceClassConfig) -> ServiceClass:
    promises = (
        (LatencyQuantity.TTFT, entry.ttft_s, entry.ttft_percentile),
        (LatencyQuantity.ITL, entry.itl_s, entry.itl_percentile),
        (LatencyQuantity.TTLT, entry.ttlt_s, entry.ttlt_percentile),
    )
    slos = tuple(
        Slo(quantity, target_s, entry.percentile if percentile is None else percentile)
        for quantity, target_s, percentile in promises
        if target_s is not None
    )
    return ServiceClass(name, slos, entry.output_tokens_per_s, entry.priority, _to_class_source(entry.source))


def _to_class_source(source: ClassSourceConfig) -> ClassSource:
    return ClassSource(source.kind, source.value, source.share_ratio)


def _to_workload(workload: WorkloadConfig) -> Workload:
    return Workload(
        arrival_rate_per_s=0.0,
        input_lengths=_to_lengths(workload.input_tokens, workload.input_spread_ratio),
        output_lengths=_to_lengths(workload.output_tokens, workload.output_spread_ratio),
        cached_ratio=workload.cached_ratio,
    )


def _to_lengths(mean_tokens: float, spread_ratio: float) -> LengthDistribution:
    """Return lengths of which the standard deviation is `spread_ratio` times the mean: E[x²] = mean²·(1 + spread²)."""
    return LengthDistribution(mean_tokens, mean_tokens**2 * (1.0 + spread_ratio**2))


def _to_variant(model: ModelConfig, variant: VariantConfig, tables: Mapping[str, IterationTable]) -> Variant:
    spread, performance = variant.parallelism, variant.performance
    return Variant(
        namespace=model.namespace,
        model_id=model.name,
        name=variant.name,
        workload=to_workload_ref(model, variant),
        accelerator=variant.accelerator,
        accelerators_per_replica=variant.get_accelerators_per_replica(),
        engine=variant.engine.value,
        engine_version=variant.engine_version,
        parallelism=Parallelism(spread.tensor, spread.pipeline, spread.expert, spread.data),
        nodes_per_replica=variant.nodes_per_replica,
        interconnect=variant.interconnect,
        max_running_requests=variant.max_running_requests,
        max_batched_tokens=variant.max_batched_tokens,
        roles=variant.roles,
        startup_s=variant.startup_s,
        min_replicas=variant.min_replicas,
        max_replicas=variant.max_replicas,
        cost_per_hour=variant.cost_per_hour,
        performance=None if performance is None else _to_profile(performance, tables),
        override=to_override(model, variant),
    )


def _to_profile(performance: PerformanceConfig, tables: Mapping[str, IterationTable]) -> PerformanceProfile:
    law, table = performance.law, performance.table
    return PerformanceProfile(
        law=None
        if law is None
        else IterationLaw(law.fixed_s, law.per_request_s, law.per_context_token_s, law.per_prompt_token_s),
        table=None if table is None else _to_table(table, tables),
        kv_capacity_tokens=performance.kv_capacity_tokens,
        overhead_s=performance.overhead_s,
        derate_ratio=performance.derate_ratio,
        origin=ProfileOrigin.PROFILE if table is None else ProfileOrigin.TABLE,
    )


def _to_table(table: TableConfig, tables: Mapping[str, IterationTable]) -> IterationTable | None:
    if table.file is not None:
        return tables.get(table.file)
    return IterationTable(table.batches, table.contexts_tokens, table.decode_s, table.prompts_tokens, table.prefill_s)


def _to_limit(configuration: Configuration, limit: LimitConfig) -> Limit:
    coefficients: dict[VariantKey, float] = {}
    for _, model, variant in configuration.iterate_variants():
        if configuration.is_counted(limit, model, variant):
            for role in variant.roles:
                key = VariantKey(model.namespace, model.name, variant.name, role)
                coefficients[key] = configuration.get_coefficient(limit, variant)
    return Limit(limit.name, limit.kind, coefficients, limit.amount, limit.namespaces or None, limit.source)
