"""Which workloads the configuration names, and which facts are about them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapter.cluster import VariantFacts
from adapter.config.schema import Configuration, ModelConfig, VariantConfig
from adapter.config.translate import to_workload_ref
from optimizer.domain import WorkloadRef


@dataclass(frozen=True, slots=True)
class ConfiguredWorkload:
    """A workload that the configuration names.

    Attributes
    ----------
    workload
        The object; its namespace is the model's.
    model_id, variant
        What it serves there, and the name it has there.
    """

    workload: WorkloadRef
    model_id: str
    variant: str


def list_claims(configuration: Configuration) -> tuple[ConfiguredWorkload, ...]:
    """Return every workload that `configuration` names, in its order."""
    return tuple(
        ConfiguredWorkload(to_workload_ref(model, variant), model.name, variant.name)
        for _, model, variant in configuration.iterate_variants()
    )


@dataclass(frozen=True, slots=True)
class FactsIndex:
    """The facts by what the configuration may call a workload.

    Attributes
    ----------
    by_workload
        Namespace, kind and name: an older version of a kind is the same object.
    by_variant
        Namespace, model and variant, as labels have them.
    """

    by_workload: Mapping[tuple[str, str, str], VariantFacts]
    by_variant: Mapping[tuple[str, str, str], VariantFacts]

    def find(self, model: ModelConfig, variant: VariantConfig) -> VariantFacts | None:
        """Return the facts about `variant`: of the workload it names, else of the one whose labels name it so."""
        workload = to_workload_ref(model, variant)
        found = self.by_workload.get((workload.namespace, workload.kind, workload.name))
        if found is not None or variant.workload is not None or variant.deployment is not None:
            return found
        return self.by_variant.get((model.namespace, model.name, variant.name))


def index_facts(facts: Iterable[VariantFacts]) -> FactsIndex:
    """Return `facts` in a form to look them up."""
    listed = tuple(facts)
    workloads = {(entry.workload.namespace, entry.workload.kind, entry.workload.name): entry for entry in listed}
    labeled = (entry for entry in listed if entry.dialect is not None and entry.model_id is not None)
    variants = {(entry.workload.namespace, entry.model_id or "", get_variant_name(entry)): entry for entry in labeled}
    return FactsIndex(workloads, variants)


def get_variant_name(facts: VariantFacts) -> str:
    """Return the name of the variant: its workload's where nothing names it."""
    return facts.variant or facts.workload.name
