"""Why something is as it is: a code for machines, a sentence for people. No other module is touched."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ReasonCode(StrEnum):
    """Every reason the product gives, in the pages, the JSON and the log."""

    # Data that is not there, or not to be trusted.
    FIRST_READING = "FirstReading"
    COUNTER_RESET = "CounterReset"
    METRIC_MISSING = "MetricMissing"
    SCRAPE_FAILED = "ScrapeFailed"
    SCRAPE_TIMEOUT = "ScrapeTimeout"
    BAD_PAGE = "BadPage"
    STALE = "Stale"
    FROZEN = "Frozen"
    SLEEPING = "Sleeping"
    NO_PODS = "NoPods"
    NO_DATA = "NoData"
    PARTIAL_DATA = "PartialData"
    FEW_SAMPLES = "FewSamples"
    POLICY_FAILED = "PolicyFailed"
    STATE_LOST = "StateLost"
    # What a plan met.
    OPTIMAL = "Optimal"
    GAP_LEFT = "GapLeft"
    SHORTAGE = "Shortage"
    LIMIT_BINDS = "LimitBinds"
    BOUND_BINDS = "BoundBinds"
    TARGET_BELOW_LONE_REQUEST = "TargetBelowLoneRequest"
    NO_PROFILE = "NoProfile"
    ROUTING_SUBSTITUTED = "RoutingSubstituted"
    # What became of it.
    SCALE_UP = "ScaleUp"
    SCALE_DOWN = "ScaleDown"
    STEADY = "Steady"
    WAKE_FROM_ZERO = "WakeFromZero"
    SCALE_TO_ZERO = "ScaleToZero"
    CALM_WINDOW = "CalmWindow"
    WAITING_FOR_READY = "WaitingForReady"
    SWITCH_TOO_SMALL = "SwitchTooSmall"
    SURGE_BLOCKED = "SurgeBlocked"
    # What a person decided.
    SHADOW = "Shadow"
    PAUSED = "Paused"
    PINNED = "Pinned"
    # What the cluster says.
    UNSCHEDULABLE = "Unschedulable"
    CONFLICTING_CLAIM = "ConflictingClaim"
    BAD_ANNOTATION = "BadAnnotation"
    INCOMPLETE = "Incomplete"
    NO_FOLLOWER = "NoFollower"
    NOT_FOLLOWED = "NotFollowed"
    FOLLOWED = "Followed"


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason code with one sentence that carries the figures."""

    code: ReasonCode
    message: str

    def __str__(self) -> str:
        """Return ``Code: message``."""
        return f"{self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class Observation:
    """A number that was seen, or the reason why it was not: exactly one of the two is set.

    Absence is never 0 and never NaN.
    """

    value: float | None = None
    reason: Reason | None = None

    @classmethod
    def absent(cls, code: ReasonCode, message: str) -> Observation:
        """Return an observation without a value."""
        return cls(None, Reason(code, message))

    @property
    def is_known(self) -> bool:
        """Whether there is a value."""
        return self.value is not None
