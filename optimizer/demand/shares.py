"""Which pod carries which share of the load: fading counts per pod, and what a part of the pods says about the whole.

Sums fade with a half-life, so that shares follow the router within minutes and are not thrown by one short window. It
knows no performance and no plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from optimizer.domain import PodKey

HALF_LIFE_S = 60.0
"""Time after which an arrival counts half [s]: about 90 s of traffic speak."""
DOUBT_HALF_LIFE_S = 3600.0
"""Half-life of the share of a pod that fell silent against expectation [s]: believed after hours."""
KEPT_PODS = 200
"""Most pods remembered; those with the most load, so that the state stays small."""
FORGOTTEN_BELOW_S = 0.5
"""A pod whose faded count covers less time than this [s] is forgotten: minutes after it was last heard of."""


@dataclass(frozen=True, slots=True)
class PodLoad:
    """Fading count of one pod.

    Attributes
    ----------
    variant
        The variant it belongs to.
    arrivals, duration_s
        Arrivals, and the time they were counted in [s].
    silent_s
        For how long its page has stood still since [s]; that time is not counted before it is over.
    """

    variant: str
    arrivals: float
    duration_s: float
    silent_s: float = 0.0

    @property
    def rate_per_s(self) -> float:
        """Arrivals per second that this pod was given of late [1/s]; 0 before anything was counted."""
        return self.arrivals / self.duration_s if self.duration_s > 0.0 else 0.0


@dataclass(frozen=True, slots=True)
class PodCount:
    """What one pod got in one window.

    Attributes
    ----------
    pod, variant
        Which pod, of which variant.
    arrivals, duration_s
        Arrivals, and the time they were counted in [s].
    is_doubted
        Whether it is not believed that it really got so little.
    is_still
        Whether it got nothing on a page that did not change at all.
    """

    pod: PodKey
    variant: str
    arrivals: float
    duration_s: float
    is_doubted: bool = False
    is_still: bool = False


@dataclass(frozen=True, slots=True)
class LoadShares:
    """Measured load of every pod, by its name and uid; those who are absent were never measured."""

    loads: Mapping[str, PodLoad] = field(default_factory=dict)
    counted_until_s: float | None = None

    def get(self, pod: PodKey) -> PodLoad | None:
        """Return the load of `pod`, None when it was never measured."""
        return self.loads.get(to_name(pod))

    def get_rate_per_s(self, pods: Iterable[PodKey]) -> float:
        """Return the measured load of `pods` together [1/s]; those never measured count nothing."""
        loads = (self.get(pod) for pod in pods)
        return sum(load.rate_per_s for load in loads if load is not None)

    def compute_mean_rate_per_s(self, variant: str) -> float:
        """Return the mean measured load of a pod of `variant`, or of any pod where that has none [1/s]."""
        of_variant = [load.rate_per_s for load in self.loads.values() if load.variant == variant]
        rates = of_variant or [load.rate_per_s for load in self.loads.values()]
        return sum(rates) / len(rates) if rates else 0.0

    def count(
        self, counts: Iterable[PodCount], existing: Iterable[PodKey], unlisted: frozenset[str], time_s: float
    ) -> LoadShares:
        """Return the shares with `counts` added at `time_s` [s].

        Pods that are not among `existing` are forgotten, save those of `unlisted` variants, whose pods nobody can list
        at present: they fade. The count of a pod that could not be read is the caller's best estimate of it, so that
        its share keeps its proportion to the others while it cannot be seen.
        """
        elapsed_s = 0.0 if self.counted_until_s is None else max(time_s - self.counted_until_s, 0.0)
        fade_ratio = 0.5 ** (elapsed_s / HALF_LIFE_S)
        names = {to_name(pod) for pod in existing}
        loads = {
            name: replace(load, arrivals=load.arrivals * fade_ratio, duration_s=load.duration_s * fade_ratio)
            for name, load in self.loads.items()
            if name in names or (load.variant in unlisted and load.duration_s * fade_ratio >= FORGOTTEN_BELOW_S)
        }
        for entry in counts:
            loads[to_name(entry.pod)] = _add(loads.get(to_name(entry.pod)), entry)
        kept = sorted(loads.items(), key=lambda item: (-item[1].rate_per_s, item[0]))[:KEPT_PODS]
        return LoadShares({name: _round(load) for name, load in sorted(kept)}, time_s)


def to_name(pod: PodKey) -> str:
    """Return the short name under which a pod of one LLM is remembered."""
    return f"{pod.name}/{pod.uid}"


def _add(load: PodLoad | None, entry: PodCount) -> PodLoad:
    before = load or PodLoad(entry.variant, 0.0, 0.0)
    duration_s = before.duration_s + entry.duration_s
    silent_s = before.silent_s + entry.duration_s if entry.is_still else 0.0
    if entry.is_doubted:
        rate_per_s = before.rate_per_s * 0.5 ** (entry.duration_s / DOUBT_HALF_LIFE_S)
        return PodLoad(entry.variant, rate_per_s * duration_s, duration_s, silent_s)
    if entry.is_still and before.arrivals > 0.0:
        return replace(before, silent_s=silent_s)
    return PodLoad(entry.variant, before.arrivals + entry.arrivals, duration_s)


def _round(load: PodLoad) -> PodLoad:
    return replace(load, arrivals=round(load.arrivals, 4), duration_s=round(load.duration_s, 4))
