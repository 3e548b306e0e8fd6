"""The configuration in force: the file, completed by a cluster, within what followers allow. Pure, deciding nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from adapter.cluster import ClusterView, Standstill, Trouble, VariantFacts
from adapter.config.load import LoadedConfiguration
from adapter.config.schema import ActuationKind, Configuration, ModelConfig, VariantConfig
from adapter.config.translate import to_override, to_settings, to_workload_ref
from adapter.merging.assembling import assemble_models
from adapter.merging.claims import ConfiguredWorkload, list_claims
from adapter.merging.limits import build_limits, build_standstill_limits
from optimizer.domain import Override, Reason, ReasonCode, Settings, Variant, WorkloadRef

Bounds = tuple[int, int | None]


@dataclass(frozen=True, slots=True)
class Merged:
    """What is in force at one moment.

    Attributes
    ----------
    loaded
        The configuration with every variant that can be decided about, and the settings made of it: whatever works
        with a configuration file works with this.
    troubles
        What people should know: those of the view, then what joining found.
    claims
        Workloads that the file names.
    scaled
        Workloads whose `/scale` we are to patch ourselves, where no follower does.
    """

    loaded: LoadedConfiguration
    troubles: tuple[Trouble, ...]
    claims: tuple[ConfiguredWorkload, ...]
    scaled: frozenset[WorkloadRef]

    @property
    def settings(self) -> Settings:
        """What `decide` works with."""
        return self.loaded.settings


def merge(
    loaded: LoadedConfiguration,
    view: ClusterView,
    *,
    bounds: Mapping[WorkloadRef, Bounds],
    now_s: float,
    refused: frozenset[WorkloadRef] = frozenset(),
    standstills: Mapping[WorkloadRef, Standstill] = MappingProxyType({}),
) -> Merged:
    """Return what is in force.

    Parameters
    ----------
    loaded
        The file.
    view
        The cluster.
    bounds
        Least and most replicas that followers of a workload allow; the plan keeps to them.
    now_s
        The time [Unix s]: an override that has ended gives way to the next one.
    refused
        Workloads that somebody else decides about, besides those that `view` refuses.
    standstills
        Workloads that stay as they are: where other variants of their LLM can move, these are planned around them.
    """
    refused |= _find_refused(view)
    models, facts, troubles = assemble_models(loaded.configuration, view.variants, refused)
    bounded, narrowed = _bound_models(models, bounds)
    configuration = replace(loaded.configuration, models=bounded)
    settings = _override(to_settings(configuration, loaded.tables), configuration, facts, now_s)
    scaled = frozenset(
        to_workload_ref(model, variant)
        for _, model, variant in configuration.iterate_variants()
        if model.actuation is ActuationKind.SCALE
    )
    lasting = {key: it for key, it in standstills.items() if not (it.ends_with_scale and key in scaled)}
    limits = (
        *settings.limits,
        *build_limits(view.amounts, settings, view.inventory),
        *build_standstill_limits(lasting, settings),
    )
    return Merged(
        loaded=replace(loaded, configuration=configuration, settings=replace(settings, limits=limits)),
        troubles=(*view.troubles, *troubles, *narrowed),
        claims=list_claims(loaded.configuration),
        scaled=scaled,
    )


def _find_refused(view: ClusterView) -> frozenset[WorkloadRef]:
    """Return workloads whose every claim was refused."""
    kept = {facts.workload for facts in view.variants}
    return frozenset(trouble.workload for trouble in view.troubles if trouble.is_claim_refused) - kept


def _bound_models(
    models: tuple[ModelConfig, ...], bounds: Mapping[WorkloadRef, Bounds]
) -> tuple[tuple[ModelConfig, ...], tuple[Trouble, ...]]:
    """Return `models` with every variant within what its followers allow, and what that made impossible."""
    bounded, troubles = [], []
    for model in models:
        variants = []
        for variant in model.variants:
            workload = to_workload_ref(model, variant)
            if workload not in bounds:
                variants.append(variant)
                continue
            least, most = bounds[workload]
            if most is not None and variant.min_replicas > most:
                broken = f"at most {most} replicas, so min_replicas {variant.min_replicas} is not kept"
                troubles.append(_report_bound(workload, broken))
            if variant.max_replicas is not None and variant.max_replicas < least:
                broken = f"no less than {least} replicas, so max_replicas {variant.max_replicas} is not kept"
                troubles.append(_report_bound(workload, broken))
            variants.append(_bound_variant(variant, least, most))
        bounded.append(replace(model, variants=tuple(variants)))
    return tuple(bounded), tuple(troubles)


def _report_bound(workload: WorkloadRef, broken: str) -> Trouble:
    remedy = "Change the bound here, or that of the follower."
    return Trouble(workload, Reason(ReasonCode.BOUND_BINDS, f"its follower allows {broken}"), remedy)


def _bound_variant(variant: VariantConfig, least: int, most: int | None) -> VariantConfig:
    """Return `variant` within both its own bounds and those of its followers, which win where they contradict."""
    highest = variant.max_replicas
    if most is not None:
        highest = most if highest is None else min(highest, most)
    lowest = max(variant.min_replicas, least)
    if highest is not None and highest < least:
        highest = least
    return replace(variant, min_replicas=lowest if highest is None else min(lowest, highest), max_replicas=highest)


def _override(
    settings: Settings, configuration: Configuration, facts: Mapping[WorkloadRef, VariantFacts], now_s: float
) -> Settings:
    """Return `settings` with the override of each variant that is in force: the annotation's, else the file's."""
    configured = {
        to_workload_ref(model, variant): to_override(model, variant)
        for _, model, variant in configuration.iterate_variants()
    }

    def choose(variant: Variant) -> Override | None:
        told = facts.get(variant.workload)
        said = (None if told is None else told.override, configured.get(variant.workload))
        return next((entry for entry in said if entry is not None and entry.is_in_force(now_s)), None)

    chosen = {variant.workload: choose(variant) for model in settings.models for variant in model.variants}
    models = (
        replace(model, variants=tuple(replace(entry, override=chosen[entry.workload]) for entry in model.variants))
        if any(chosen[entry.workload] != entry.override for entry in model.variants)
        else model
        for model in settings.models
    )
    return replace(settings, models=tuple(models))
