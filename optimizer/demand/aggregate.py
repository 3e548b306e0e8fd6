"""One rate for one LLM out of everything that was seen of it: the gateway if it spoke, else its pods.

What is seen is a lower bound. Pods that gave no usable window are made up for by their measured shares of the load;
where that is not possible the sum stays as it is and is marked incomplete, so that nobody lowers anything because of
it. So is what pods show while the page of their gateway cannot be had: requests may wait there, or be refused. It keeps
no history and forecasts nothing.

    rate = sum over seen pods of arrivals / duration, divided by the share of the load that the seen pods had
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from optimizer.demand.pod_windows import PodWindows, explain_gap, explain_nothing, sort_windows
from optimizer.demand.shares import LoadShares, PodCount
from optimizer.domain import DemandWindow, ModelSnapshot, Observation, Reason, ReasonCode

LEAST_SEEN_RATIO = 0.1
"""The seen are never scaled by more than the inverse of this: ten pods are not inferred from one."""
BLINDING = frozenset(
    {ReasonCode.SCRAPE_FAILED, ReasonCode.SCRAPE_TIMEOUT, ReasonCode.BAD_PAGE, ReasonCode.FROZEN, ReasonCode.STALE}
)
"""Why the page of a gateway hides what arrives; a whole page without the wanted series may just not know it yet."""


@dataclass(frozen=True, slots=True)
class Offered:
    """What was offered to one LLM of late.

    Attributes
    ----------
    rate_per_s
        Requests offered [1/s], or why that is not known.
    start_s, end_s
        The stretch it speaks for [s]; both are the present when nothing is known.
    seen_ratio
        Share of the load that was counted (0-1].
    reason
        Why not everybody who carries load was counted, None when everybody was: then the rate is complete.
    waiting_requests, running_requests
        Held, queued and in service at the end, as far as seen; None when nobody told.
    counts
        What each pod got, for the shares: measured, or estimated where its window is missing.
    new_windows
        Windows that were not used before and may tell token lengths.
    """

    rate_per_s: Observation
    start_s: float
    end_s: float
    seen_ratio: float = 1.0
    reason: Reason | None = None
    waiting_requests: float | None = None
    running_requests: float | None = None
    counts: tuple[PodCount, ...] = ()
    new_windows: tuple[DemandWindow, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether the rate is known and everybody who carries load was counted."""
        return self.rate_per_s.is_known and self.reason is None


def aggregate_windows(
    snapshot: ModelSnapshot, shares: LoadShares, used_until_s: float, now_s: float, stale_after_s: float
) -> Offered:
    """Return what was offered to one LLM of late.

    Parameters
    ----------
    snapshot
        Its pods and windows.
    shares
        Measured load of each pod.
    used_until_s
        End of the newest window that was used before [s]; minus infinity when none was.
    now_s, stale_after_s
        Windows and pages from before ``now_s - stale_after_s`` count as missing [s].
    """
    oldest_s = now_s - stale_after_s
    pods = sort_windows(snapshot, shares, oldest_s, now_s)
    rate, start_s, end_s, seen_ratio, reason = _add_up_pods(pods, shares, now_s)
    fresh = [pod for variant in snapshot.variants for pod in variant.pods if (pod.seen_s or -1.0) >= oldest_s]
    waiting = [pod.waiting_requests for pod in fresh]
    gateway = snapshot.gateway
    if gateway is not None and gateway.end_s >= oldest_s:
        waiting.append(gateway.waiting_requests)
        if gateway.arrivals is not None and gateway.duration_s > 0.0:
            rate = Observation(gateway.arrivals / gateway.duration_s)
            start_s, end_s, seen_ratio, reason = gateway.start_s, gateway.end_s, 1.0, None
    blind = _explain_blindness(gateway)
    if blind is not None and (reason is None or reason.code is ReasonCode.NO_PODS):
        rate, reason = (rate if rate.is_known else Observation(reason=blind)), blind
    new = {pod: window for pod, window in pods.seen.items() if window.end_s > used_until_s}
    telling = (*new.values(), *([gateway] if gateway is not None and gateway.end_s > used_until_s else []))
    return Offered(
        rate_per_s=rate,
        start_s=start_s,
        end_s=end_s,
        seen_ratio=seen_ratio,
        reason=reason,
        waiting_requests=_sum_known(waiting),
        running_requests=_sum_known(pod.running_requests for pod in fresh),
        counts=tuple(_count_pods(pods, shares, set(new))) if new else (),
        new_windows=telling,
    )


def _explain_blindness(gateway: DemandWindow | None) -> Reason | None:
    """Return why requests at the gateway cannot be seen, None when they can or there is none."""
    if gateway is None or gateway.reason is None or gateway.reason.code not in BLINDING:
        return None
    return Reason(ReasonCode.PARTIAL_DATA, f"requests that no pod has yet are not seen: {gateway.reason}")


def _sum_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _add_up_pods(
    pods: PodWindows, shares: LoadShares, now_s: float
) -> tuple[Observation, float, float, float, Reason | None]:
    """Return rate, start, end, share seen, and the reason of what is missing."""
    if not pods.seen:
        nothing = explain_nothing(pods)
        return Observation(reason=nothing), now_s, now_s, 1.0, nothing
    seen_per_s = max(sum(_get_rate_per_s(window) for window in pods.seen.values()), 0.0)
    share_seen_per_s = shares.get_rate_per_s(pods.seen.keys() - pods.doubted)
    share_missing_per_s = sum(pods.missing_per_s.values())
    seen_ratio = 1.0
    if share_seen_per_s > 0.0:
        seen_ratio = max(share_seen_per_s / (share_seen_per_s + share_missing_per_s), LEAST_SEEN_RATIO)
    end_s = max(window.end_s for window in pods.seen.values())
    rate = Observation(seen_per_s / seen_ratio)
    return rate, end_s - pods.duration_s, end_s, seen_ratio, explain_gap(pods, seen_ratio)


def _count_pods(pods: PodWindows, shares: LoadShares, new: set[object]) -> Iterable[PodCount]:
    """Yield what each pod got since the last pass; a missing one as if it had grown with the others."""
    for pod, window in pods.seen.items():
        if pod in new:
            arrivals, is_doubted = window.arrivals or 0.0, pod in pods.doubted
            is_still = window.is_changed is False and arrivals == 0.0
            yield PodCount(pod, pods.variants[pod], arrivals, window.duration_s, is_doubted, is_still)
    share_seen_per_s = shares.get_rate_per_s(pods.seen.keys() - pods.doubted)
    if share_seen_per_s <= 0.0:
        return
    growth_ratio = sum(_get_rate_per_s(window) for window in pods.seen.values()) / share_seen_per_s
    for pod, missing_per_s in pods.missing_per_s.items():
        if missing_per_s > 0.0:
            arrivals = missing_per_s * growth_ratio * pods.duration_s
            yield PodCount(pod, pods.variants[pod], arrivals, pods.duration_s)


def _get_rate_per_s(window: DemandWindow) -> float:
    """Return the rate of a window [1/s], less what the windows before it counted too many."""
    return ((window.arrivals or 0.0) - window.overcounted_arrivals) / window.duration_s
