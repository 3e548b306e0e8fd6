"""Propose: what the policy of one LLM wants, calmed, or why it is held. One that fails touches nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from optimizer.deciding.sight import Sight
from optimizer.domain import CapacityTable, Need, PodPhase, Reason, ReasonCode, Routing, Settings, VariantKey
from optimizer.errors import InvalidInput
from optimizer.policy import CapacityNeed, FixedReplicas, Policy, Proposal, VariantView, compute_lead_time_s
from optimizer.stabilization import calm_need, calm_replicas
from optimizer.state import ModelState

USUAL_GAP_PERIODS = 2.0
"""Periods between two decisions that are nothing unusual: a pass may be late, or fail once."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one LLM is to be given.

    Attributes
    ----------
    sight
        The LLM.
    remembered
        The memory of it, with what its policy and its calm window remember.
    proposal
        As the policy made it; None when it is held.
    hold
        Why what was published last is kept; None when there is a proposal to follow.
    keep
        Why nothing may shrink although there is a proposal, None when it may.
    need, capacity_table
        The proposed ones, calmed: what is planned with.
    replicas
        Proposed counts, calmed; None where capacity is proposed.
    least_replicas
        Replicas of all variants together that there must be.
    unbound_least_replicas
        The same if no variant had a lower bound of its own.
    """

    sight: Sight
    remembered: ModelState
    proposal: Proposal | None
    hold: Reason | None
    keep: Reason | None
    need: Need
    capacity_table: CapacityTable
    replicas: Mapping[VariantKey, int] | None
    least_replicas: int
    unbound_least_replicas: int

    @property
    def routing(self) -> Routing:
        """The routing the plan assumes."""
        return self.proposal.routing if isinstance(self.proposal, CapacityNeed) else Routing.UNIFORM


def ask_policy(sight: Sight, policies: Mapping[str, Policy], now_s: float, settings: Settings) -> Wish:
    """Return what the policy of one LLM wants at `now_s` [s]."""
    demand = sight.view.demand
    if not demand.rate_per_s.is_known:
        return _hold(sight, demand.reason or Reason(ReasonCode.NO_DATA, "demand is not known"))
    name = sight.model.policy
    policy = policies.get(name)
    if policy is None:
        return _hold(sight, Reason(ReasonCode.POLICY_FAILED, f"there is no policy {name!r}"))
    memory = sight.remembered.policy_state if sight.remembered.policy == name else {}
    try:
        proposal, memory = policy.propose(sight.view, memory, now_s, settings)
    except (InvalidInput, ArithmeticError) as failure:
        message = f"policy {name} failed: {type(failure).__name__}: {failure}"
        return _hold(sight, Reason(ReasonCode.POLICY_FAILED, message))
    remembered = replace(sight.remembered, policy=name, policy_state=memory)
    return _calm(replace(sight, remembered=remembered), proposal, now_s, settings)


def _calm(sight: Sight, proposal: Proposal, now_s: float, settings: Settings) -> Wish:
    """Return the wish for `proposal`, planned with what lasts over the calm window."""
    window_s, gap_s = compute_calm_window_s(sight, settings), USUAL_GAP_PERIODS * settings.decision.period_s
    before = sight.remembered.stabilization
    need, table, replicas = Need(), CapacityTable(), None
    if isinstance(proposal, FixedReplicas):
        stale_after_s = settings.decision.stale_after_s
        wanted = {
            line.key: max(proposal.by_variant.get(line.key, 0), _count_unseen(line, now_s, stale_after_s))
            for line in sight.view.variants
        }
        replicas, after = calm_replicas(before, wanted, now_s, window_s, longest_gap_s=gap_s)
    else:
        need, table, after = calm_need(
            before, proposal.need, proposal.capacity_table, now_s, window_s, longest_gap_s=gap_s
        )
    hold = _find_obstacle(proposal)
    keep = sight.view.demand.reason or hold  # whoever holds takes nothing away
    if keep is None and not after.has_been_calm(now_s, window_s):
        keep = Reason(ReasonCode.CALM_WINDOW, f"watched for less than the calm window of {window_s:.0f} s")
    return Wish(
        sight=sight,
        remembered=replace(sight.remembered, stabilization=after),
        proposal=proposal,
        hold=hold,
        keep=keep,
        need=need,
        capacity_table=table,
        replicas=replicas,
        least_replicas=_find_least_replicas(sight, keep),
        unbound_least_replicas=_find_least_replicas(sight, keep, has_bounds=False),
    )


def _count_unseen(line: VariantView, now_s: float, stale_after_s: float) -> int:
    """Return the replicas below which counts rest on missing data: all published ones where a ready pod is silent."""
    is_silent = line.state.reason is not None or any(
        pod.phase is PodPhase.READY
        and (last_s := pod.ready_s if pod.seen_s is None else pod.seen_s) is not None
        and now_s - last_s > stale_after_s
        for pod in line.state.pods
    )
    return line.published_replicas if is_silent else 0


def compute_calm_window_s(sight: Sight, settings: Settings) -> float:
    """Return how long a fall must last [s]: as configured, no less than the lead time of what is in use, nor a period.

    A replica that is kept idle for as long as it takes to get it back has cost what starting it again would: the
    break-even of ski rental. Spikes as far apart as a start takes are thus bridged.
    """
    used = [line.variant for line in sight.view.variants if line.published_replicas > 0]
    decision = settings.decision
    return max([decision.calm_window_s, decision.period_s, *(compute_lead_time_s(entry, decision) for entry in used)])


def _find_obstacle(proposal: Proposal) -> Reason | None:
    """Return why `proposal` cannot be planned for: it holds, or needs something and no variant has a capacity."""
    if isinstance(proposal, FixedReplicas):
        return proposal.hold
    if proposal.need.peak_per_s <= 0.0:
        return None
    if any(entry.capacity_per_s > 0.0 for entry in proposal.capacity_table.entries):
        return None
    reasons = [estimate.reason for estimate in proposal.estimates.values() if estimate.reason is not None]
    return reasons[0] if reasons else Reason(ReasonCode.NO_PROFILE, "no variant has a known capacity")


def _hold(sight: Sight, reason: Reason) -> Wish:
    return Wish(
        sight=sight,
        remembered=sight.remembered,
        proposal=None,
        hold=reason,
        keep=reason,
        need=Need(),
        capacity_table=CapacityTable(),
        replicas=None,
        least_replicas=_find_least_replicas(sight, reason),
        unbound_least_replicas=_find_least_replicas(sight, reason, has_bounds=False),
    )


def _find_least_replicas(sight: Sight, keep: Reason | None, *, has_bounds: bool = True) -> int:
    """Return how many replicas there must be of all variants together; without `has_bounds` theirs do not count.

    Zero is a decision, never a default: one stays until the silence is known to have lasted, and one comes back with
    the first request.
    """
    model, demand = sight.model, sight.view.demand
    bounds = model.min_replicas
    if has_bounds:
        bounds += sum(variant.min_replicas for variant in model.variants)
    if bounds > 0 or not model.has_gateway:
        return max(model.min_replicas, 1)
    if sight.is_wanted:
        return 1
    is_idle = keep is None and demand.is_complete and demand.silent_s >= model.idle_to_zero_s
    return 0 if sight.is_empty or is_idle else 1
