"""Who may decide about which workload: claims of labels and of the configuration, and their conflicts. Pure.

Of several claims on one workload the configuration's counts, else the one that held it before, else that of the first
dialect. Of several workloads under one name of a variant the configured one keeps it, else the older one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from adapter.cluster import Dialect, Trouble
from optimizer.domain import Reason, ReasonCode, WorkloadRef


@dataclass(frozen=True, slots=True)
class WorkloadClaim:
    """A workload that the configuration names.

    Attributes
    ----------
    workload
        The object; its namespace is the model's.
    model_id
        The model it serves.
    variant
        The name it has there; None takes what its labels say, else its own.
    """

    workload: WorkloadRef
    model_id: str
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class LabelClaim:
    """A model that labels of one dialect name, and where that stands."""

    dialect: Dialect
    model_id: str
    key: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A workload with the model that it is decided for.

    Attributes
    ----------
    workload, created_s
        The object, and when it was made [Unix s].
    model_id, variant
        What it serves, under which name.
    dialect
        Whose label says so, None where only the configuration does.
    is_configured
        Whether the configuration does.
    is_named
        Whether somebody chose the name of the variant; else it is the workload's own.
    """

    workload: WorkloadRef
    created_s: float
    model_id: str
    variant: str
    dialect: Dialect | None = None
    is_configured: bool = False
    is_named: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of several claims on one workload counts."""

    model_id: str
    dialect: Dialect | None
    configured: WorkloadClaim | None
    troubles: tuple[Trouble, ...] = ()


def choose_claim(
    workload: WorkloadRef,
    configured: Iterable[WorkloadClaim],
    labeled: Iterable[LabelClaim],
    held: str | None = None,
) -> Choice | None:
    """Return the claim on `workload` that counts, with a trouble for each that does not; None without any.

    Parameters
    ----------
    configured, labeled
        Claims on this workload, the first of each more important than the next.
    held
        The model that it was decided for until now.
    """
    by_configuration, by_label = tuple(configured), tuple(labeled)
    says = [*((claim.model_id, "the configuration") for claim in by_configuration)]
    says += [(claim.model_id, claim.key) for claim in by_label]
    if not says:
        return None
    eligible = [claim.model_id for claim in by_configuration] or [claim.model_id for claim in by_label]
    model_id = held if held in eligible else eligible[0]
    assert model_id is not None
    keeper = next(where for said, where in says if said == model_id)
    troubles = tuple(
        _refuse_label(workload, said, where, (model_id, keeper)) for said, where in says if said != model_id
    )
    dialect = next((claim.dialect for claim in by_label if claim.model_id == model_id), None)
    claim = next((claim for claim in by_configuration if claim.model_id == model_id), None)
    return Choice(model_id, dialect, claim, troubles)


def settle_names(claimed: Iterable[Claimed]) -> tuple[tuple[Claimed, ...], tuple[Trouble, ...]]:
    """Return the workloads that are decided about, each under a name of its own, and a trouble for each that is not.

    A name that nobody chose gives way: the younger of a Deployment and a StatefulSet of one name, both without a name
    of a variant, is called after its kind too.
    """
    taken: dict[tuple[str, str, str], WorkloadRef] = {}
    kept, troubles = [], []
    for entry in sorted(claimed, key=_get_seniority):
        named = entry if entry.is_named or _get_slot(entry) not in taken else _name_by_kind(entry)
        holder = taken.setdefault(_get_slot(named), named.workload)
        if holder == named.workload:
            kept.append(named)
        else:
            troubles.append(_refuse_workload(named, holder))
    return tuple(sorted(kept, key=lambda entry: entry.workload)), tuple(troubles)


def refuse_parts(
    claimed: Iterable[Claimed], owners: Mapping[WorkloadRef, WorkloadRef]
) -> tuple[tuple[Claimed, ...], tuple[Trouble, ...]]:
    """Return what is not run by another claimed workload, and a trouble for what is; `owners` tells who runs whom."""
    listed = tuple(claimed)
    workloads = {entry.workload for entry in listed}
    kept, troubles = [], []
    for entry in listed:
        owner = owners.get(entry.workload)
        if owner is None or owner not in workloads:
            kept.append(entry)
            continue
        message = f"{_render(owner)} runs {_render(entry.workload)} and is a variant itself, so it counts alone"
        reason = Reason(ReasonCode.CONFLICTING_CLAIM, message)
        troubles.append(Trouble(entry.workload, reason, "Label one of the two, not both.", is_claim_refused=True))
    return tuple(kept), tuple(troubles)


def _get_seniority(entry: Claimed) -> tuple[bool, float, WorkloadRef]:
    return not entry.is_configured, entry.created_s, entry.workload


def _get_slot(entry: Claimed) -> tuple[str, str, str]:
    return entry.workload.namespace, entry.model_id, entry.variant


def _name_by_kind(entry: Claimed) -> Claimed:
    return replace(entry, variant=f"{entry.variant}-{entry.workload.kind.lower()}")


def _refuse_label(workload: WorkloadRef, said: str, where: str, keeper: tuple[str, str]) -> Trouble:
    model_id, keeper_where = keeper
    message = f"{where} says model {said}, but {keeper_where} says {model_id}: it stays with {model_id}"
    remedy = f"Remove {where} from {_render(workload)}, or let it say {model_id}."
    return Trouble(workload, Reason(ReasonCode.CONFLICTING_CLAIM, message), remedy)


def _refuse_workload(entry: Claimed, holder: WorkloadRef) -> Trouble:
    message = (
        f"{_render(holder)} already is variant {entry.variant} of model {entry.model_id}, so {_render(entry.workload)} "
        "is not decided about"
    )
    remedy = f"Give it a name of its own: variant-autoscaler.io/variant on {_render(entry.workload)}."
    return Trouble(entry.workload, Reason(ReasonCode.CONFLICTING_CLAIM, message), remedy, is_claim_refused=True)


def _render(workload: WorkloadRef) -> str:
    return f"{workload.kind} {workload.name}"
