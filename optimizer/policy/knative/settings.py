"""Settings of Knative's autoscaler with its defaults, what it refuses of them, and its target. No step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

LEAST_TARGET = 0.01
DEFAULT_TOTAL_REQUESTS = 100.0
DEFAULT_TOTAL_PER_S = 200.0


class LoadMetric(StrEnum):
    """What is counted of a pool."""

    CONCURRENCY = "concurrency"  # requests in flight: running and waiting
    RATE = "rate"  # requests per second


@dataclass(frozen=True, slots=True)
class KnativeSettings:
    """Everything that is set, with the peer's defaults.

    Attributes
    ----------
    metric
        What is counted.
    total
        What one replica is taken to carry [requests, or 1/s]; None takes `container_concurrency`, else 100, or 200 1/s.
    utilization_ratio
        Share of it that is aimed at (0-1].
    container_concurrency
        Requests that one replica takes at once at most [requests]; 0 means no such limit.
    stable_window_s
        Window of the calm mean [s]: 6 to 3600, whole seconds.
    panic_window_ratio
        Share of it that the quick mean covers (0-1].
    is_weighted
        Whether newer seconds weigh more in both means.
    panic_threshold_ratio
        Quick demand over ready replicas from which panic starts.
    max_scale_up_rate, max_scale_down_rate
        Most a step may multiply or divide the ready replicas by, > 1.
    scale_down_delay_s
        A lower count must have been wanted for this long [s].
    target_burst_requests
        Burst to keep room for; only reported. -1 means unlimited, 0 none.
    activation_replicas
        Least replicas when leaving zero.
    scale_to_zero_grace_s, pod_retention_s
        How long the last replica stays after the calm mean fell to zero [s]; the longer counts.
    min_replicas, max_replicas
        Bounds; a maximum of 0 means none.
    initial_replicas, allow_zero_initial_scale
        Where a new revision starts; only checked, a fleet here has a history.
    """

    metric: LoadMetric = LoadMetric.CONCURRENCY
    total: float | None = None
    utilization_ratio: float = 0.7
    container_concurrency: float = 0.0
    stable_window_s: float = 60.0
    panic_window_ratio: float = 0.1
    is_weighted: bool = False
    panic_threshold_ratio: float = 2.0
    max_scale_up_rate: float = 1000.0
    max_scale_down_rate: float = 2.0
    scale_down_delay_s: float = 0.0
    target_burst_requests: float = 211.0
    activation_replicas: int = 0
    scale_to_zero_grace_s: float = 30.0
    pod_retention_s: float = 0.0
    min_replicas: int = 0
    max_replicas: int = 0
    initial_replicas: int = 1
    allow_zero_initial_scale: bool = False

    @property
    def total_requests(self) -> float:
        """What one replica is taken to carry [requests, or 1/s]."""
        if self.metric is LoadMetric.RATE:
            return DEFAULT_TOTAL_PER_S if self.total is None else self.total
        capped = self.container_concurrency > 0.0
        if self.total is None:
            return self.container_concurrency if capped else DEFAULT_TOTAL_REQUESTS
        return min(self.total, self.container_concurrency) if capped else self.total

    @property
    def target_requests(self) -> float:
        """What one replica is to carry [requests, or 1/s]."""
        return max(LEAST_TARGET, self.total_requests * self.utilization_ratio)

    @property
    def panic_window_s(self) -> float:
        """Window of the quick mean [s]."""
        return self.panic_window_ratio * self.stable_window_s


def iterate_faults(settings: KnativeSettings) -> Iterator[tuple[str, str, object]]:
    """Yield field, bound and value of everything that the peer refuses."""
    within: tuple[tuple[str, str, bool], ...] = (
        ("utilization_ratio", "> 0 and <= 1", 0.0 < settings.utilization_ratio <= 1.0),
        ("total", ">= 0.01", settings.total is None or settings.total >= LEAST_TARGET),
        ("container_concurrency", ">= 0", settings.container_concurrency >= 0.0),
        (
            "stable_window_s",
            "6..3600 whole seconds",
            6.0 <= settings.stable_window_s <= 3600.0 and settings.stable_window_s.is_integer(),
        ),
        ("panic_window_ratio", "0.01..1", 0.01 <= settings.panic_window_ratio <= 1.0),
        ("panic_threshold_ratio", "> 0", settings.panic_threshold_ratio > 0.0),
        ("max_scale_up_rate", "> 1", settings.max_scale_up_rate > 1.0),
        ("max_scale_down_rate", "> 1", settings.max_scale_down_rate > 1.0),
        ("scale_down_delay_s", "0..3600 [s]", 0.0 <= settings.scale_down_delay_s <= 3600.0),
        ("target_burst_requests", ">= 0, or -1", _is_burst(settings.target_burst_requests)),
        ("activation_replicas", ">= 0", settings.activation_replicas >= 0),
        ("scale_to_zero_grace_s", ">= 6 [s]", settings.scale_to_zero_grace_s >= 6.0),
        ("pod_retention_s", ">= 0 [s]", settings.pod_retention_s >= 0.0),
        ("min_replicas", "0..max_replicas", _is_ordered(settings.min_replicas, settings.max_replicas)),
        ("initial_replicas", ">= 1", settings.initial_replicas >= (0 if settings.allow_zero_initial_scale else 1)),
    )
    for name, bound, is_kept in within:
        if not is_kept:
            yield name, bound, getattr(settings, name)


def bound_replicas(desired: int, min_replicas: int, max_replicas: int) -> int:
    """Return `desired` within the bounds; a maximum of 0 means none."""
    raised = max(desired, min_replicas)
    return min(raised, max_replicas) if max_replicas > 0 else raised


def _is_burst(requests: float) -> bool:
    return requests >= 0.0 or requests == -1.0


def _is_ordered(least: int, most: int) -> bool:
    return least >= 0 and (most == 0 or least <= most)
