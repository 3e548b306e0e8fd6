"""From all workloads of a cluster to those that are decided about, and why some are not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from adapter.cluster import Dialect, Trouble
from adapter.kube.client import Json
from adapter.kube.discovery import aibrix_labels, llm_d_labels, our_labels
from adapter.kube.discovery.claims import Choice, Claimed, WorkloadClaim, choose_claim, refuse_parts, settle_names
from adapter.kube.discovery.objects import (
    Identity,
    get_annotations,
    get_controller,
    get_created_s,
    get_labels,
    get_uid,
    is_being_deleted,
    to_identity,
    to_workload_ref,
)
from adapter.kube.discovery.options import ClusterObjects
from adapter.kube.discovery.told import Told
from adapter.kube.discovery.variant_facts import read_sheets, to_troubles
from optimizer.domain import WorkloadRef

_MODEL_KEYS: Mapping[Dialect, str] = {
    Dialect.OURS: our_labels.MODEL_KEY,
    Dialect.AIBRIX: aibrix_labels.MODEL_KEY,
    Dialect.LLM_D: llm_d_labels.MODEL_KEY,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A workload that somebody claims, with what its labels tell."""

    claimed: Claimed
    document: Json
    told: Told


@dataclass(frozen=True, slots=True)
class Candidates:
    """The workloads that are decided about, and what people should know of claims."""

    kept: tuple[Candidate, ...]
    troubles: tuple[Trouble, ...]


def find_candidates(
    objects: ClusterObjects,
    claims: Iterable[WorkloadClaim],
    dialects: tuple[Dialect, ...],
    held: Mapping[WorkloadRef, str],
) -> Candidates:
    """Return the workloads that are decided about, for which model and under which name.

    Parameters
    ----------
    objects
        Everything; workloads that are being deleted are left out.
    claims
        Of the configuration. A workload is called as they call it.
    dialects
        Whose labels claim workloads, the most important first.
    held
        The model that each workload was decided for until now.
    """
    configured: dict[Identity, list[WorkloadClaim]] = {}
    for claim in claims:
        configured.setdefault(to_identity(claim.workload), []).append(claim)
    scalers: Mapping[Identity, Json] = {}
    if Dialect.LLM_D in dialects:
        scalers = llm_d_labels.find_scalers(objects.hpas, objects.scaled_objects)
    keys = tuple(_MODEL_KEYS[dialect] for dialect in dialects)
    found: dict[WorkloadRef, Candidate] = {}
    troubles: list[Trouble] = []
    for ref, document in _list_workloads(objects):
        identity = to_identity(ref)
        own, scaler = configured.get(identity, []), scalers.get(identity)
        if not own and scaler is None and not _has_any(document, keys):
            continue
        workload = own[0].workload if own else ref
        sheets = read_sheets(document, dialects, scaler)
        choice = choose_claim(workload, own, sheets.claims, held.get(workload))
        told = sheets.merge(choice.model_id if choice is not None else "")
        troubles += to_troubles(workload, told)
        if choice is not None:
            troubles += choice.troubles
            found[workload] = Candidate(_to_claimed(workload, document, choice, told), document, told)
    return _settle(found, troubles)


def _settle(found: Mapping[WorkloadRef, Candidate], troubles: list[Trouble]) -> Candidates:
    """Return what is left of `found` when every variant has one workload."""
    by_uid = {get_uid(candidate.document): workload for workload, candidate in found.items()}
    owners = {}
    for workload, candidate in found.items():
        controller = get_controller(candidate.document)
        if controller is not None and controller.uid in by_uid:
            owners[workload] = by_uid[controller.uid]
    whole, parts = refuse_parts((candidate.claimed for candidate in found.values()), owners)
    kept, refused = settle_names(whole)
    candidates = (Candidate(entry, found[entry.workload].document, found[entry.workload].told) for entry in kept)
    return Candidates(tuple(candidates), (*troubles, *parts, *refused))


def _to_claimed(workload: WorkloadRef, document: Json, choice: Choice, told: Told) -> Claimed:
    chosen = told.variant if choice.configured is None else choice.configured.variant or told.variant
    return Claimed(
        workload,
        get_created_s(document) or 0.0,
        choice.model_id,
        chosen or workload.name,
        dialect=choice.dialect,
        is_configured=choice.configured is not None,
        is_named=chosen is not None,
    )


def _list_workloads(objects: ClusterObjects) -> Iterator[tuple[WorkloadRef, Json]]:
    for document in (*objects.deployments, *objects.stateful_sets, *objects.leader_worker_sets):
        if not is_being_deleted(document):
            yield to_workload_ref(document), document
    for entry in objects.scaled:
        if not is_being_deleted(entry.document):
            yield entry.workload, entry.document


def _has_any(document: Json, keys: tuple[str, ...]) -> bool:
    labels, annotations = get_labels(document), get_annotations(document)
    return any(key in labels or key in annotations for key in keys)
