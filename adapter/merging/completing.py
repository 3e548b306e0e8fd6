"""One variant of the configuration, completed by the facts about its workload; what is missing is told. Pure.

What the file gives wins over labels and pod templates, field by field; a default holds where neither tells.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapter.cluster import Trouble, VariantFacts
from adapter.config.problems import suggest
from adapter.config.schema import Configuration, EngineName, ScaledObjectConfig, VariantConfig
from adapter.merging.claims import get_variant_name
from optimizer.domain import Reason, ReasonCode, WorkloadRef

_COST_ANNOTATION = "variant-autoscaler.io/cost-per-hour"
_ACCELERATOR_ANNOTATION = "variant-autoscaler.io/accelerator"


def build_variant(facts: VariantFacts) -> VariantConfig:
    """Return the variant that labels alone tell of."""
    return complete_variant(VariantConfig(name=get_variant_name(facts)), facts)


def complete_variant(variant: VariantConfig, facts: VariantFacts) -> VariantConfig:
    """Return `variant` with what `facts` tell and the file does not give."""
    told = {name: value for name, value in _list_told(facts).items() if name not in variant.given}
    if "accelerators_per_replica" in told:  # a shape that the file gives needs at least its own devices
        told["accelerators_per_replica"] = max(told["accelerators_per_replica"], variant.parallelism.accelerators)
    completed = replace(variant, deployment=None, workload=_to_object(facts.workload), **told)
    return _fit_shape(_fit_bounds(completed))


def find_refusal(variant: VariantConfig, facts: VariantFacts, configuration: Configuration) -> Trouble | None:
    """Return why nothing can be decided about `variant`, None when it can.

    Parameters
    ----------
    variant
        Completed.
    facts
        About its workload.
    configuration
        Which tells prices.
    """
    if facts.engine is not None and "engine" not in variant.given and _find_engine(facts) is None:
        known = [engine.value for engine in EngineName]
        message = f"engine {facts.engine} is not known{suggest(facts.engine, known)}"
        return _refuse(facts.workload, ReasonCode.BAD_ANNOTATION, message, f"Known are {', '.join(known)}.")
    if configuration.has_price(variant):
        return None
    if not variant.accelerator:
        message = "its accelerator type is not known, nor what a replica costs"
        remedy = f"Annotate it with {_ACCELERATOR_ANNOTATION}, or with {_COST_ANNOTATION}."
        return _refuse(facts.workload, ReasonCode.INCOMPLETE, message, remedy)
    hint = suggest(variant.accelerator, configuration.accelerators)
    message = f"accelerator {variant.accelerator} has no price in the configuration{hint}"
    return _refuse(facts.workload, ReasonCode.INCOMPLETE, message, _tell_price(variant))


def find_gap(variant: VariantConfig, workload: WorkloadRef, configuration: Configuration) -> Trouble | None:
    """Return what is not known of a `variant` that can be decided about all the same, None when nothing is missing."""
    if variant.accelerator in configuration.accelerators:
        return None
    if variant.accelerator:
        message = f"accelerator {variant.accelerator} is not in the configuration, so limits on watts do not count it"
    else:
        message = "its accelerator type is not known, so limits on a type do not count it"
    return Trouble(workload, Reason(ReasonCode.INCOMPLETE, message), _tell_price(variant))


def refuse_absent(variant: VariantConfig, workload: WorkloadRef, configuration: Configuration) -> Trouble:
    """Return that the `workload` of a configured `variant` does not exist."""
    message = f"{workload.kind} {workload.name} is configured as variant {variant.name} and was not found"
    is_refused = not configuration.has_price(variant)
    remedy = "Create it, or correct its name in the configuration."
    return Trouble(workload, Reason(ReasonCode.NO_DATA, message), remedy, is_claim_refused=is_refused)


def _list_told(facts: VariantFacts) -> dict[str, Any]:
    """Return what `facts` tell by field of the configuration; what they do not tell is left out."""
    told = {
        "accelerator": facts.accelerator,
        "accelerators_per_replica": facts.accelerators_per_replica,
        "nodes_per_replica": facts.pods_per_replica,
        "cost_per_hour": facts.cost_per_hour,
        "roles": facts.roles,
        "engine": _find_engine(facts),
        "metrics_path": facts.metrics_path,
        "min_replicas": facts.min_replicas,
        "max_replicas": facts.max_replicas,
        "startup_s": facts.startup_s,
    }
    kept = {name: value for name, value in told.items() if value is not None and value not in ((), "")}
    if kept.get("accelerators_per_replica") == 0:
        del kept["accelerators_per_replica"]
    return kept


def _find_engine(facts: VariantFacts) -> EngineName | None:
    return next((engine for engine in EngineName if engine.value == facts.engine), None)


def _to_object(workload: WorkloadRef) -> ScaledObjectConfig:
    return ScaledObjectConfig(api_version=workload.api_version, kind=workload.kind, name=workload.name)


def _fit_bounds(variant: VariantConfig) -> VariantConfig:
    """Return `variant` with bounds that do not contradict each other: what the file gives stays."""
    if variant.max_replicas is None or variant.min_replicas <= variant.max_replicas:
        return variant
    if "min_replicas" in variant.given:
        return replace(variant, max_replicas=variant.min_replicas)
    return replace(variant, min_replicas=variant.max_replicas)


def _fit_shape(variant: VariantConfig) -> VariantConfig:
    """Return `variant` with no more nodes than devices: a leader of a group may have none."""
    devices = variant.get_accelerators_per_replica()
    return variant if variant.nodes_per_replica <= devices else replace(variant, nodes_per_replica=devices)


def _tell_price(variant: VariantConfig) -> str:
    if not variant.accelerator:
        return f"Annotate it with {_ACCELERATOR_ANNOTATION}."
    lines = f"accelerators:\n  {variant.accelerator}: {{cost_per_hour: ...}}"
    return f"Add to the configuration:\n{lines}\nor annotate the workload with {_COST_ANNOTATION}."


def _refuse(workload: WorkloadRef, code: ReasonCode, message: str, remedy: str) -> Trouble:
    return Trouble(workload, Reason(code, message), remedy, is_claim_refused=True)
