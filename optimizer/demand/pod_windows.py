"""The pods of one LLM sorted by what their windows say: seen, missing, or seen and not believed. It adds up nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from optimizer.demand.shares import LoadShares
from optimizer.domain import (
    DemandWindow,
    ModelSnapshot,
    PodKey,
    PodPhase,
    PodState,
    Reason,
    ReasonCode,
)

DOUBTED_FROM_ARRIVALS = 12.0
"""A pod that shows no arrival where this many were due is doubted: by chance it happens six times in a million."""
LONG_WINDOW_RATIO = 2.0
"""A window this many times as long as the median speaks of the past more than of now."""


@dataclass(frozen=True, slots=True)
class PodWindows:
    """The pods of one LLM.

    Attributes
    ----------
    seen
        Newest usable window of each pod that has one.
    missing
        Why each pod that may carry load has none.
    missing_per_s
        Measured load of each of those [1/s]; 0 where it was never measured and nothing tells what it may be.
    variants
        The variant of each pod.
    doubted
        Seen pods that show no arrival although, by what the others show, many were due: frozen, most likely.
    duration_s
        Median length of the windows [s], 0 when there is none.
    reason
        Why the list of pods itself is not to be trusted, None when it is.
    """

    seen: dict[PodKey, DemandWindow]
    missing: dict[PodKey, Reason]
    missing_per_s: dict[PodKey, float]
    variants: dict[PodKey, str]
    doubted: frozenset[PodKey]
    duration_s: float
    reason: Reason | None


def sort_windows(snapshot: ModelSnapshot, shares: LoadShares, oldest_s: float, now_s: float) -> PodWindows:
    """Return the pods of `snapshot` sorted; windows that end before `oldest_s` [s] count as missing."""
    windows = {window.pod: window for window in snapshot.windows if window.pod is not None}
    seen: dict[PodKey, DemandWindow] = {}
    missing: dict[PodKey, Reason] = {}
    missing_per_s: dict[PodKey, float] = {}
    variants: dict[PodKey, str] = {}
    for variant in snapshot.variants:
        for pod in variant.pods:
            variants[pod.pod] = variant.key.variant
            window = windows.get(pod.pod)
            if window is not None and _is_usable(window) and window.end_s >= oldest_s:
                seen[pod.pod] = window
            elif _may_carry_load(pod, shares):
                missing[pod.pod] = _explain_missing(pod, window, now_s)
                missing_per_s[pod.pod] = _get_load_per_s(pod, variant.key.variant, shares, oldest_s)
    durations_s = sorted(window.duration_s for window in seen.values())
    return PodWindows(
        seen=seen,
        missing=missing,
        missing_per_s=missing_per_s,
        variants=variants,
        doubted=_find_doubted(seen, variants, shares),
        # Of an even number the lower one: when half of the pages come back at once, theirs are the long ones.
        duration_s=durations_s[(len(durations_s) - 1) // 2] if durations_s else 0.0,
        reason=_find_inventory_gap(snapshot, shares),
    )


def explain_nothing(pods: PodWindows) -> Reason:
    """Return why no pod was seen."""
    if not pods.missing:
        nobody = Reason(ReasonCode.NO_PODS, "no pod serves, and nothing else tells what is asked")
        return pods.reason or nobody
    code, count, example = _find_commonest(pods)
    return Reason(code, f"none of {len(pods.missing)} pods gave a usable window; {count} of them: {example}")


def explain_gap(pods: PodWindows, seen_ratio: float) -> Reason | None:
    """Return why not everybody who carries load was counted, None when everybody was."""
    total = len(pods.seen) + len(pods.missing)
    if pods.missing:
        code, count, example = _find_commonest(pods)
        text = f"{len(pods.missing)} of {total} pods gave no usable window ({count} {code}: {example})"
        return Reason(ReasonCode.PARTIAL_DATA, f"{text}; the others had {seen_ratio:.0%} of the measured load")
    if pods.doubted:
        names = ", ".join(sorted(pod.name for pod in pods.doubted)[:3])
        text = f"{len(pods.doubted)} of {total} pods show no arrival where many were due ({names})"
        return Reason(ReasonCode.PARTIAL_DATA, f"{text}; they are not believed")
    limit_s = LONG_WINDOW_RATIO * pods.duration_s
    long = sorted(pod.name for pod, window in pods.seen.items() if window.duration_s > limit_s)
    if long:
        text = f"{len(long)} of {total} windows reach far back ({long[0]})"
        return Reason(ReasonCode.PARTIAL_DATA, f"{text}; their mean says little of now")
    return pods.reason


def _find_inventory_gap(snapshot: ModelSnapshot, shares: LoadShares) -> Reason | None:
    """Return why the pods of a variant that may carry load are not known."""
    loaded = {load.variant for load in shares.loads.values()}
    for variant in snapshot.variants:
        if variant.reason is not None and (variant.pods or variant.key.variant in loaded):
            return variant.reason
    return None


def _is_usable(window: DemandWindow) -> bool:
    return window.arrivals is not None and window.duration_s > 0.0


def _may_carry_load(pod: PodState, shares: LoadShares) -> bool:
    """Whether requests may reach `pod`: also one that counts as starting only because its page is gone."""
    return pod.phase is PodPhase.READY or (pod.phase is PodPhase.STARTING and shares.get(pod.pod) is not None)


def _explain_missing(pod: PodState, window: DemandWindow | None, now_s: float) -> Reason:
    if window is not None and window.reason is not None:
        return window.reason
    if pod.reason is not None:
        return pod.reason
    if window is not None and _is_usable(window):
        return Reason(ReasonCode.STALE, f"{pod.pod.name}: its newest window ended {now_s - window.end_s:.0f} s ago")
    return Reason(ReasonCode.NO_DATA, f"{pod.pod.name}: it has no window")


def _get_load_per_s(pod: PodState, variant: str, shares: LoadShares, oldest_s: float) -> float:
    """Return the measured load of a pod that cannot be seen [1/s].

    A pod never measured counts like the mean of its variant once it has served for long; while it is new it counts
    nothing, since the seen pods still show what it is about to take from them.
    """
    load = shares.get(pod.pod)
    if load is not None:
        return load.rate_per_s
    is_settled = pod.ready_s is not None and pod.ready_s <= oldest_s
    return shares.compute_mean_rate_per_s(variant) if is_settled else 0.0


def _find_doubted(
    seen: dict[PodKey, DemandWindow], variants: dict[PodKey, str], shares: LoadShares
) -> frozenset[PodKey]:
    """Return the pods that were due too many arrivals to show none.

    By what all others show, that holds of one window. By what those of the same variant show, whom every router treats
    alike, it holds of all the time for which a page has not changed at all.
    """
    silent = [pod for pod, window in seen.items() if window.arrivals == 0.0]
    speaking = [pod for pod, window in seen.items() if window.arrivals]
    if not silent or not speaking:
        return frozenset()
    growth_ratio = _compute_growth_ratio(speaking, seen, shares)
    due = {pod: growth_ratio * shares.get_rate_per_s([pod]) * seen[pod].duration_s for pod in silent}
    for pod in (pod for pod in silent if seen[pod].is_changed is False):
        alike = [other for other in speaking if variants[other] == variants[pod]]
        load = shares.get(pod)
        if alike and load is not None:
            silent_s = load.silent_s + seen[pod].duration_s
            due[pod] = max(due[pod], _compute_growth_ratio(alike, seen, shares) * load.rate_per_s * silent_s)
    return frozenset(pod for pod, arrivals in due.items() if arrivals >= DOUBTED_FROM_ARRIVALS)


def _compute_growth_ratio(pods: list[PodKey], seen: dict[PodKey, DemandWindow], shares: LoadShares) -> float:
    """Return what `pods` show over what was measured of them before, at most 1; 0 where nothing was."""
    expected_per_s = shares.get_rate_per_s(pods)
    if expected_per_s <= 0.0:
        return 0.0
    return min(sum((seen[pod].arrivals or 0.0) / seen[pod].duration_s for pod in pods) / expected_per_s, 1.0)


def _find_commonest(pods: PodWindows) -> tuple[ReasonCode, int, str]:
    code, count = Counter(reason.code for reason in pods.missing.values()).most_common(1)[0]
    examples = sorted(reason.message for reason in pods.missing.values() if reason.code is code)
    return code, count, examples[0]
