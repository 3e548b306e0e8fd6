"""The models: those of the configuration with the variants that labels add, and those that only labels tell of. Pure.

One bad variant or model stops no other: it becomes a trouble of its workload.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from adapter.cluster import Trouble, VariantFacts
from adapter.config.problems import suggest
from adapter.config.schema import Configuration, ModelConfig, VariantConfig, find_confusions
from adapter.config.translate import to_workload_ref
from adapter.merging.claims import get_variant_name, index_facts
from adapter.merging.completing import build_variant, complete_variant, find_gap, find_refusal, refuse_absent
from optimizer.domain import ModelKey, Reason, ReasonCode, WorkloadRef


@dataclass(frozen=True, slots=True)
class Joined:
    """A variant with the facts about its workload, None where it was not found."""

    variant: VariantConfig
    facts: VariantFacts | None


@dataclass(slots=True)
class Assembly:
    """Models under construction.

    Attributes
    ----------
    models
        As the configuration has them, without variants.
    joined
        The variants of each.
    troubles
        What could not be used, and what people should know.
    """

    models: dict[ModelKey, ModelConfig] = field(default_factory=dict)
    joined: dict[ModelKey, list[Joined]] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)

    def add(self, model: ModelConfig, entry: Joined) -> None:
        """Add a variant of `model`."""
        key = ModelKey(model.namespace, model.name)
        self.models.setdefault(key, replace(model, variants=()))
        self.joined.setdefault(key, []).append(entry)


def assemble_models(
    configuration: Configuration, facts: Iterable[VariantFacts], refused: frozenset[WorkloadRef]
) -> tuple[tuple[ModelConfig, ...], Mapping[WorkloadRef, VariantFacts], tuple[Trouble, ...]]:
    """Return the models with their variants completed, the facts about the workloads of these, and the troubles.

    Parameters
    ----------
    configuration
        Of the file.
    facts
        About every workload that somebody claims.
    refused
        Workloads that are not ours to decide about.
    """
    assembly = Assembly()
    listed = [entry for entry in facts if entry.workload not in refused]
    taken = _add_configured(assembly, configuration, listed, refused)
    labeled = (entry for entry in listed if entry.workload not in taken)
    for entry in sorted(labeled, key=lambda entry: (entry.created_s, entry.workload)):
        _add_labeled(assembly, configuration, entry)
    models = [_finish(assembly, configuration, key) for key in assembly.models]
    used = {entry.facts.workload: entry.facts for part in assembly.joined.values() for entry in part if entry.facts}
    return tuple(model for model in models if model is not None), used, tuple(assembly.troubles)


def _add_configured(
    assembly: Assembly, configuration: Configuration, listed: list[VariantFacts], refused: frozenset[WorkloadRef]
) -> frozenset[WorkloadRef]:
    """Add the variants of the file; return the workloads that they are about."""
    index, taken = index_facts(listed), set()
    for model in configuration.models:
        assembly.models[ModelKey(model.namespace, model.name)] = replace(model, variants=())
    for _, model, variant in configuration.iterate_variants():
        workload, found = to_workload_ref(model, variant), index.find(model, variant)
        if workload in refused or (found is not None and found.workload in taken):
            continue
        if found is None:
            assembly.troubles.append(refuse_absent(variant, workload, configuration))
            if configuration.has_price(variant):
                assembly.add(model, Joined(variant, None))
            continue
        taken.add(found.workload)
        _add_complete(assembly, configuration, model, Joined(complete_variant(variant, found), found))
    return frozenset(taken)


def _add_labeled(assembly: Assembly, configuration: Configuration, facts: VariantFacts) -> None:
    """Add a variant that labels tell of; without a label, only an older configuration claimed it."""
    if facts.dialect is None or facts.model_id is None:
        return
    key = ModelKey(facts.workload.namespace, facts.model_id)
    model = assembly.models.get(key) or ModelConfig(name=facts.model_id, namespace=key.namespace)
    name = get_variant_name(facts)
    if any(entry.variant.name == name for entry in assembly.joined.get(key, ())):
        message = f"model {facts.model_id} has another variant {name}"
        remedy = "Give it a name of its own: variant-autoscaler.io/variant."
        reason = Reason(ReasonCode.CONFLICTING_CLAIM, message)
        assembly.troubles.append(Trouble(facts.workload, reason, remedy, is_claim_refused=True))
        return
    _add_complete(assembly, configuration, model, Joined(build_variant(facts), facts))


def _add_complete(assembly: Assembly, configuration: Configuration, model: ModelConfig, entry: Joined) -> None:
    assert entry.facts is not None
    refusal = find_refusal(entry.variant, entry.facts, configuration)
    gap = None if refusal is not None else find_gap(entry.variant, entry.facts.workload, configuration)
    assembly.troubles += [trouble for trouble in (refusal, gap) if trouble is not None]
    if refusal is None:
        assembly.add(model, entry)


def _finish(assembly: Assembly, configuration: Configuration, key: ModelKey) -> ModelConfig | None:
    """Return one model with its variants and classes, None when nothing can be decided about it."""
    model, joined = assembly.models[key], assembly.joined.get(key, [])
    variants = tuple(entry.variant for entry in joined)
    if not variants:
        return None
    names = model.service_classes or _find_class_names(assembly, configuration, joined)
    classes = configuration.find_service_classes(names)
    if classes:
        obstacle = next(find_confusions(classes, [variant.get_deployment() for variant in variants]), None)
        code = ReasonCode.BAD_ANNOTATION
    else:
        obstacle = f"is missing, and the configuration has no default among {', '.join(configuration.service_classes)}"
        code = ReasonCode.INCOMPLETE
    if obstacle is None:
        return replace(model, service_classes=tuple(classes), variants=variants)
    reason = Reason(code, f"the service class of model {model.name} {obstacle}")
    remedy = "Name one in variant-autoscaler.io/service-class, or set default_service_class in the configuration."
    workloads = (to_workload_ref(model, variant) for variant in variants)
    assembly.troubles += [Trouble(workload, reason, remedy, is_claim_refused=True) for workload in workloads]
    return None


def _find_class_names(assembly: Assembly, configuration: Configuration, joined: Iterable[Joined]) -> tuple[str, ...]:
    """Return the classes that labels name: those of the first workload that names any known one."""
    known = configuration.service_classes
    chosen: tuple[str, ...] = ()
    for facts in (entry.facts for entry in joined if entry.facts is not None):
        for name in facts.service_classes:
            if name not in known:
                message = f"service class {name} is not known{suggest(name, known)}"
                assembly.troubles.append(Trouble(facts.workload, Reason(ReasonCode.BAD_ANNOTATION, message)))
        names = tuple(dict.fromkeys(name for name in facts.service_classes if name in known))
        if names and chosen and names != chosen:
            told, kept = ", ".join(names), ", ".join(chosen)
            message = f"it names service classes {told}, but a variant that counts before it names {kept}"
            assembly.troubles.append(Trouble(facts.workload, Reason(ReasonCode.CONFLICTING_CLAIM, message)))
        chosen = chosen or names
    return chosen
