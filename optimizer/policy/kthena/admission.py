"""What the peer's webhook refuses of a policy object, and what it lets pass. It reads no option of ours.

The peer in the simulator is judged by it before a run; the product's own checks are stricter.

Source
------
Kthena's validation at 3cc057284c34 (2026-08-21). Let pass, though it fails later: bounds the wrong way round outside
of roles, one target named twice, one target of two policies, metrics without a source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

from optimizer.policy.kthena.ratio import Bounds, RatioRule, is_ratio_reachable

LONGEST_PERIOD_S = 1800.0
"""Longest period or window [s]."""


@dataclass(frozen=True, slots=True)
class PeerTarget:
    """One object that is scaled."""

    name: str
    kind: str = "ModelServing"
    min_replicas: int = 0
    max_replicas: int = 1
    cost: int = 0


@dataclass(frozen=True, slots=True)
class PeerRatio:
    """The proportion of two roles, with the bounds of both."""

    numerator: str
    denominator: str
    min_ratio: float
    max_ratio: float
    numerator_bounds: Bounds
    denominator_bounds: Bounds


@dataclass(frozen=True, slots=True)
class PeerPolicy:
    """What of a policy object is checked.

    Attributes
    ----------
    kinds
        Which of the kinds of target it has.
    targets
        What it scales.
    metrics
        Name and target of each.
    tolerance_percent, panic_threshold_percent
        As written [%].
    periods_s
        Every period and window [s].
    has_panic_without_period
        Whether a panic policy is written without its period.
    ratio
        The proportion of two roles, None for none.
    """

    kinds: tuple[str, ...]
    targets: tuple[PeerTarget, ...]
    metrics: tuple[tuple[str, float], ...]
    tolerance_percent: int = 10
    panic_threshold_percent: int = 200
    periods_s: tuple[float, ...] = ()
    has_panic_without_period: bool = False
    ratio: PeerRatio | None = None


def find_peer_problems(policy: PeerPolicy) -> tuple[str, ...]:
    """Return everything that the peer refuses, in words; nothing when it accepts."""
    ratio_problems = () if policy.ratio is None else _find_ratio_problems(policy.ratio)
    return (*_find_target_problems(policy), *_find_behavior_problems(policy), *ratio_problems)


def _find_target_problems(policy: PeerPolicy) -> Iterator[str]:
    if len(policy.kinds) != 1:
        yield "exactly one kind of target"
    if any(target.kind != "ModelServing" or not target.name for target in policy.targets):
        yield "targets are named objects of kind ModelServing"
    if any(target.cost < 0 for target in policy.targets):
        yield "costs are >= 0"
    names = [name for name, _ in policy.metrics]
    if not names and policy.kinds != ("disaggregated",):
        yield "at least one metric"
    if len(set(names)) != len(names):
        yield "metrics of different names"
    if any(not isfinite(target) or target <= 0.0 for _, target in policy.metrics):
        yield "target values are finite and > 0"


def _find_behavior_problems(policy: PeerPolicy) -> Iterator[str]:
    if not 0 <= policy.tolerance_percent <= 100:
        yield "tolerance is 0..100 %"
    if not 110 <= policy.panic_threshold_percent <= 1000:
        yield "the threshold of panic is 110..1000 %"
    if policy.has_panic_without_period:
        yield "a panic policy has a period"
    if any(not 0.0 <= period_s <= LONGEST_PERIOD_S for period_s in policy.periods_s):
        yield "periods and windows are 0..30 min"


def _find_ratio_problems(ratio: PeerRatio) -> Iterator[str]:
    if ratio.numerator == ratio.denominator:
        yield "a ratio is of two roles"
    if (ratio.numerator_bounds[0] == 0) != (ratio.denominator_bounds[0] == 0):
        yield "both roles of a ratio may be zero, or neither"
    finite = isfinite(ratio.min_ratio) and isfinite(ratio.max_ratio)
    if not finite or not 0.0 <= ratio.min_ratio <= ratio.max_ratio or ratio.max_ratio <= 0.0:
        yield "0 <= least <= most ratio, most > 0"
    elif not is_ratio_reachable(
        ratio.numerator_bounds, ratio.denominator_bounds, RatioRule(ratio.min_ratio, ratio.max_ratio)
    ):
        yield "counts within the bounds can keep the ratio"
