"""Everything that a workload's labels, annotations and pod template tell, to the facts of a variant. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapter.cluster import Dialect, Trouble, VariantFacts
from adapter.kube.client import Json
from adapter.kube.discovery.accelerator_names import to_accelerator_name
from adapter.kube.discovery.aibrix_labels import read_aibrix_labels
from adapter.kube.discovery.claims import Claimed, LabelClaim
from adapter.kube.discovery.devices import DeviceCounter
from adapter.kube.discovery.field_owner import find_replicas_owner
from adapter.kube.discovery.llm_d_labels import read_llm_d_labels
from adapter.kube.discovery.objects import get_created_s, get_group_size, get_uid, list_templates
from adapter.kube.discovery.our_labels import read_our_labels
from adapter.kube.discovery.placement import find_asked_accelerator, to_device_type
from adapter.kube.discovery.serving import find_engine, find_grace_s, find_port, has_pre_stop
from adapter.kube.discovery.told import Told, merge_told
from optimizer.domain import Reason, ReasonCode, WorkloadRef


@dataclass(frozen=True, slots=True)
class Sheets:
    """What each dialect tells of one workload, the most important first; ours is always read, if only for overrides."""

    told: Mapping[Dialect, Told]
    dialects: tuple[Dialect, ...]

    @property
    def claims(self) -> tuple[LabelClaim, ...]:
        """The models that labels name, of the dialects that count."""
        told = ((dialect, self.told[dialect]) for dialect in self.dialects if dialect in self.told)
        return tuple(LabelClaim(dialect, say.model_id, say.model_key) for dialect, say in told if say.model_id)

    def merge(self, model_id: str) -> Told:
        """Return what all tell of a workload that serves `model_id`; a peer that says otherwise is not heard."""
        order = [Dialect.OURS, *(dialect for dialect in self.dialects if dialect is not Dialect.OURS)]
        told = [self.told[dialect] for dialect in order if dialect in self.told]
        return merge_told(entry for i, entry in enumerate(told) if i == 0 or entry.model_id in (None, model_id))


def read_sheets(workload: Json, dialects: Iterable[Dialect], scaler: Json | None = None) -> Sheets:
    """Return what labels and annotations tell of `workload`, on itself and on the `scaler` of llm-d that targets it."""
    counting = tuple(dialects)
    told = {Dialect.OURS: read_our_labels(workload)}
    if Dialect.AIBRIX in counting:
        told[Dialect.AIBRIX] = read_aibrix_labels(workload)
    if Dialect.LLM_D in counting:
        told[Dialect.LLM_D] = read_llm_d_labels(workload, scaler)
    return Sheets(told, counting)


@dataclass(frozen=True, slots=True)
class Template:
    """What the pod templates of a workload tell.

    Attributes
    ----------
    devices
        What one replica requests, by resource.
    accelerator
        The type that it asks for by node selector or affinity, None where it leaves that open.
    engine, port
        What serves, and where.
    """

    devices: Mapping[str, int]
    accelerator: str | None
    engine: str | None
    port: int | None


def read_template(workload: Json, counter: DeviceCounter, catalog: Iterable[str] = ()) -> Template:
    """Return what the pod templates of `workload` tell; the type of its accelerators only where all of them agree."""
    names = tuple(catalog)
    templates = [template for template, _ in list_templates(workload)]
    needing = [template for template in templates if counter.count_pod(template)] or templates
    asked = {find_asked_accelerator(template, names) for template in needing}
    accelerator = asked.pop() if len(asked) == 1 else None
    devices = counter.count_replica(workload)
    return Template(devices, accelerator, find_engine(workload, counter), find_port(workload, counter))


def build_facts(
    workload: Json, claimed: Claimed, told: Told, template: Template, accelerator: str | None
) -> VariantFacts:
    """Return the facts of the variant that `workload` runs; what nobody told is None or empty.

    Parameters
    ----------
    told
        What labels and annotations say: it wins over what is read from elsewhere.
    template
        What the pod templates say.
    accelerator
        The type that selector, affinity or nodes say.
    """
    return VariantFacts(
        workload=claimed.workload,
        uid=get_uid(workload),
        created_s=get_created_s(workload) or 0.0,
        dialect=claimed.dialect,
        model_id=claimed.model_id,
        variant=claimed.variant,
        accelerator=accelerator,
        accelerators_per_replica=told.accelerators_per_replica or sum(template.devices.values()) or None,
        pods_per_replica=get_group_size(workload),
        cost_per_hour=told.cost_per_hour,
        service_classes=told.service_classes or (),
        roles=told.roles or (),
        engine=told.engine or template.engine,
        metrics_port=told.metrics_port or template.port,
        metrics_path=told.metrics_path,
        min_replicas=told.min_replicas,
        max_replicas=told.max_replicas,
        startup_s=told.startup_s,
        override=told.override,
        termination_grace_s=find_grace_s(workload),
        has_pre_stop=has_pre_stop(workload),
        replicas_owner=find_replicas_owner(workload),
    )


def choose_accelerator(told: Told, template: Template, placed: str | None, catalog: Iterable[str] = ()) -> str | None:
    """Return the type of a variant's devices: what an annotation says as it says it, else by where its pods run."""
    if told.accelerator is not None:
        return to_accelerator_name(told.accelerator, catalog)
    slices = [resource for resource in template.devices if "/mig-" in resource]
    return placed if placed is None or len(slices) != 1 else to_device_type(placed, slices[0])


def to_troubles(workload: WorkloadRef, told: Told) -> tuple[Trouble, ...]:
    """Return a trouble for each value that could not be used."""
    return tuple(Trouble(workload, Reason(ReasonCode.BAD_ANNOTATION, complaint)) for complaint in told.complaints)
