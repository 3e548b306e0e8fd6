"""What is remembered of one LLM's demand, and its step from one snapshot to the next. It decides nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from optimizer.demand.aggregate import Offered, aggregate_windows
from optimizer.demand.history import DemandHistory, RateSample
from optimizer.demand.lengths import LengthHistory
from optimizer.demand.shares import LoadShares
from optimizer.domain import ModelSnapshot, Observation, Reason

JOINED_WITHIN_RATIO = 0.5
"""Windows follow one another without a gap when less than this share of a window lies between them."""


@dataclass(frozen=True, slots=True)
class DemandState:
    """What is remembered of one LLM's demand.

    Attributes
    ----------
    history
        Its rate.
    lengths
        Its token lengths.
    shares
        Which pod got how much of it.
    used_until_s
        End of the newest window that was used [s], None before the first.
    silent_since_s
        Since when it is known that nothing was asked [s], None when something was or nobody knows.
    """

    history: DemandHistory = field(default_factory=DemandHistory)
    lengths: LengthHistory = field(default_factory=LengthHistory)
    shares: LoadShares = field(default_factory=LoadShares)
    used_until_s: float | None = None
    silent_since_s: float | None = None


@dataclass(frozen=True, slots=True)
class DemandNow:
    """One LLM's demand as this pass sees it.

    Attributes
    ----------
    rate_per_s
        Requests offered in the newest windows [1/s], or why that is not known.
    reason
        What the rate lacks, None when everybody who carries load was counted.
    waiting_requests, running_requests
        Held or queued, and in service, as far as seen; None when nobody told.
    silent_s
        For how long it is known that nothing was asked [s].
    window_s
        Length of the newest windows [s], 0 when there is none: the age of the oldest arrival they tell.
    """

    rate_per_s: Observation
    reason: Reason | None
    waiting_requests: float | None
    running_requests: float | None
    silent_s: float
    window_s: float

    @property
    def is_complete(self) -> bool:
        """Whether the rate is known and whole: only then may anything be lowered."""
        return self.rate_per_s.is_known and self.reason is None


def track_demand(
    state: DemandState, snapshot: ModelSnapshot, now_s: float, stale_after_s: float
) -> tuple[DemandNow, DemandState]:
    """Return the demand as `snapshot` shows it, and what to remember for the next pass.

    Parameters
    ----------
    state
        Of the pass before.
    snapshot
        Pods and windows of one LLM.
    now_s
        Time of the pass [s].
    stale_after_s
        Age from which a window no longer counts [s].
    """
    used_until_s = -math.inf if state.used_until_s is None else state.used_until_s
    offered = aggregate_windows(snapshot, state.shares, used_until_s, now_s, stale_after_s)
    silent_since_s = _find_silence(state, offered)
    after = replace(state, silent_since_s=silent_since_s)
    if offered.rate_per_s.value is not None and offered.end_s > used_until_s:
        after = _remember(after, snapshot, offered, now_s)
    now = DemandNow(
        rate_per_s=offered.rate_per_s,
        reason=offered.reason,
        waiting_requests=offered.waiting_requests,
        running_requests=offered.running_requests,
        silent_s=0.0 if silent_since_s is None else max(offered.end_s - silent_since_s, 0.0),
        window_s=offered.end_s - offered.start_s,
    )
    return now, after


def _remember(state: DemandState, snapshot: ModelSnapshot, offered: Offered, now_s: float) -> DemandState:
    rate_per_s = offered.rate_per_s.value or 0.0
    sample = RateSample(offered.start_s, offered.end_s, rate_per_s, offered.seen_ratio, offered.is_complete)
    existing = [pod.pod for variant in snapshot.variants for pod in variant.pods]
    unlisted = frozenset(variant.key.variant for variant in snapshot.variants if variant.reason is not None)
    return replace(
        state,
        history=state.history.append(sample),
        lengths=state.lengths.add(offered.new_windows, now_s),
        shares=state.shares.count(offered.counts, existing, unlisted, now_s),
        used_until_s=offered.end_s,
    )


def _find_silence(state: DemandState, offered: Offered) -> float | None:
    """Return since when nothing was asked; a gap in what is known breaks a silence."""
    is_silent = offered.rate_per_s.value == 0.0 and not offered.waiting_requests and not offered.running_requests
    if not offered.rate_per_s.is_known:
        return None if offered.waiting_requests or offered.running_requests else state.silent_since_s
    if not is_silent or not offered.is_complete:
        return None
    if state.silent_since_s is None or state.used_until_s is None:
        return offered.start_s
    gap_s = offered.start_s - state.used_until_s
    is_joined = gap_s <= JOINED_WITHIN_RATIO * (offered.end_s - offered.start_s)
    return state.silent_since_s if is_joined else offered.start_s
