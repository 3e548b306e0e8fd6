"""From decisions, and what the cluster tells beside them, to the objects that should be there. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from adapter.cluster import ClusterView, Obstacle, Trouble, VariantFacts
from adapter.kube.client import Json
from adapter.kube.decisions.encode import encode_head, encode_refusal_head, encode_refusal_status, encode_status
from adapter.kube.decisions.installation import Installation
from adapter.kube.decisions.keeper import Wish
from adapter.kube.decisions.record import DecisionRecord
from optimizer.domain import Condition, ConditionType, ModelDecision, Reason, ReasonCode, VariantDecision, WorkloadRef


class Verdict(Protocol):
    """Whether a workload follows its number, and what keeps it from doing so."""

    @property
    def status(self) -> bool | None:
        """Whether it does, None for not known yet."""
        ...

    @property
    def reason(self) -> Reason:
        """Why."""
        ...

    @property
    def obstacles(self) -> tuple[Obstacle, ...]:
        """What is in the way, worst first."""
        ...


@dataclass(frozen=True)
class Surroundings:
    """What stands beside the decisions of one pass.

    Attributes
    ----------
    installation
        Whose decisions they are.
    view
        The cluster.
    following
        Verdicts, by workload.
    zeroed_by
        Who put which workload to zero; None leaves in place what is recorded.
    now_s
        The time of writing [Unix s].
    """

    installation: Installation
    view: ClusterView
    following: Mapping[WorkloadRef, Verdict]
    zeroed_by: Mapping[WorkloadRef, str] | None
    now_s: float
    facts: Mapping[WorkloadRef, VariantFacts] = field(init=False)
    troubles: Mapping[WorkloadRef, tuple[Trouble, ...]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", {entry.workload: entry for entry in self.view.variants})
        object.__setattr__(self, "troubles", group_troubles(self.view.troubles))


def group_troubles(troubles: Iterable[Trouble]) -> dict[WorkloadRef, tuple[Trouble, ...]]:
    """Return `troubles` by the workload they are about."""
    grouped: dict[WorkloadRef, tuple[Trouble, ...]] = defaultdict(tuple)
    for trouble in troubles:
        grouped[trouble.workload] += (trouble,)
    return dict(grouped)


def make_wish(model: ModelDecision, decision: VariantDecision, around: Surroundings) -> Wish:
    """Return the object that tells of `decision`, a part of the decision about `model`."""
    verdict = around.following.get(decision.workload)
    conditions = model.conditions
    if verdict is not None:
        others = tuple(entry for entry in conditions if entry.type is not ConditionType.FOLLOWING)
        conditions = (*others, Condition(ConditionType.FOLLOWING, verdict.status, verdict.reason))
    record = DecisionRecord(
        installation=around.installation,
        decision=decision,
        decided_at_s=model.decided_at_s,
        model_reason=model.reason,
        routing=model.routing,
        conditions=conditions,
        obstacles=() if verdict is None else verdict.obstacles,
    )
    facts = around.facts.get(decision.workload)
    return Wish(
        decision.workload,
        encode_head(record, facts.uid if facts else ""),
        partial(_make_status, record, around),
        model.decided_at_s,
    )


def _make_status(record: DecisionRecord, around: Surroundings, before: Json) -> Json:
    workload = record.decision.workload
    recorded = before.get("zeroedBy", "") if around.zeroed_by is None else around.zeroed_by.get(workload, "")
    return encode_status(replace(record, zeroed_by=recorded), around.troubles.get(workload, ()), before, around.now_s)


def make_refusal(
    workload: WorkloadRef, troubles: tuple[Trouble, ...], around: Surroundings, refused: Json | None = None
) -> Wish:
    """Return the object that tells why nothing is decided about `workload`; `refused` is the one it stands for."""
    head = encode_refusal_head(workload, around.facts.get(workload), around.installation, refused)
    return Wish(workload, head, partial(_make_refusal_status, troubles, around.now_s))


def _make_refusal_status(troubles: tuple[Trouble, ...], now_s: float, before: Json) -> Json:
    return encode_refusal_status(troubles, before, now_s)


def refuse_claim(workload: WorkloadRef, obstacle: str) -> Trouble:
    """Return the trouble of a workload that another installation decides about."""
    remedy = (
        f"let only one of both decide about {workload.kind} {workload.name}: narrow discovery.namespaces or the labels "
        "of one, or uninstall it; its claim ends by itself five minutes after its last sign of life, or when its "
        "VariantDecision is deleted"
    )
    return Trouble(workload, Reason(ReasonCode.CONFLICTING_CLAIM, obstacle), remedy, is_claim_refused=True)
