"""How fast the count may move: rate limits, stabilization windows and panic, with their defaults. Data only.

Source
------
Kthena's ``AutoscalingPolicy`` at 3cc057284c34 (2026-08-21). Its schema fills an object that is written in part with
other figures than its webhook fills one that is left out; the defaults here are those of the webhook, for all: up by
the larger of 4 replicas and 100 % in 60 s, down by 100 % in 60 s after 5 minutes of stabilization, no panic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Select(StrEnum):
    """Which of two limits counts."""

    OR = "Or"  # the one that lets more pass
    AND = "And"  # the one that lets less pass
    NEITHER = "Neither"  # no limit: what the peer makes of any other word


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How far the count may move from its extreme within a period, and what the wish for it must outlast.

    Attributes
    ----------
    instances_replicas, percent
        Most it may move [replicas] [% of the extreme, parts of a replica cut off].
    select
        Which of the two counts.
    period_s
        The period [s]; 0 switches the limit off.
    stabilization_s
        The window whose mildest recommendation is followed [s]; 0 switches it off.
    """

    instances_replicas: int
    percent: int
    select: Select = Select.OR
    period_s: float = 60.0
    stabilization_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PanicRule:
    """When to grow faster and not to shrink at all.

    Attributes
    ----------
    percent
        Most it may grow in a period of panic [%].
    period_s
        That period [s]; 0 switches the limit off.
    threshold_percent
        Recommended over current replicas at which panic begins [%].
    hold_s
        How long it lasts after the last time [s]; 0 means never.
    """

    percent: int = 0
    period_s: float = 0.0
    threshold_percent: int = 200
    hold_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Behavior:
    """How fast the count may move, either way and in panic."""

    scale_up: RateLimit = RateLimit(4, 100)
    scale_down: RateLimit = RateLimit(0, 100, stabilization_s=300.0)
    panic: PanicRule = field(default_factory=PanicRule)
