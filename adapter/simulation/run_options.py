"""What may differ from run to run, and how it makes the cluster behave. Data only; nothing is simulated here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from optimizer.simulation import Behavior, ScalingRules
from optimizer.simulation.cluster import (
    FOLLOWING_HPA,
    ClusterOptions,
    HpaOptions,
    KvTransfer,
    RouterKind,
    ScrapeOptions,
    StartOptions,
)
from optimizer.simulation.deciders import HpaMetric, HpaShipped


@dataclass(frozen=True, slots=True)
class TruthOptions:
    """In what the engines are not as scalers are told.

    Attributes
    ----------
    slowdown_ratio
        Iterations take so many times as long, > 0.
    noise_ratio
        Standard deviation of the logarithm of the noise on iterations, >= 0.
    cached_ratio
        Share of every prompt that its prefix cache holds [0-1]; scalers see it as far as pages tell it.
    """

    slowdown_ratio: float = 1.0
    noise_ratio: float = 0.0
    cached_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class HpaKnobs:
    """HPAs, those that follow a published number and those that are policies; None leaves each as it is.

    Attributes
    ----------
    sync_s
        From one sync to the next, > 0 [s].
    delay_s
        The number that a sync reads is at least so old [s].
    tolerance_ratio
        Dead band up and down [0-1].
    down_window_s
        Stabilization of steps down [s].
    """

    sync_s: float = 15.0
    delay_s: float = 0.0
    tolerance_ratio: float | None = None
    down_window_s: float | None = None

    def to_follower(self) -> HpaOptions:
        """Return the HPA that follows a published number; as we recommend it unless told otherwise."""
        behavior = FOLLOWING_HPA.behavior or Behavior()
        up, down = behavior.up, self._set_window(behavior.down)
        if self.tolerance_ratio is not None:
            up, down = (replace(rules, tolerance_ratio=self.tolerance_ratio) for rules in (up, down))
        spec = replace(FOLLOWING_HPA, behavior=Behavior(up, down))
        return HpaOptions(spec, self.sync_s, metric_delay_s=self.delay_s)

    def to_shipped(self, metric: HpaMetric) -> HpaShipped:
        """Return the HPA that scales on `metric`; as it is shipped unless told otherwise."""
        shipped, usual = replace(HpaShipped.on(metric), sync_s=self.sync_s), Behavior()
        if self.tolerance_ratio is not None:
            shipped = replace(shipped, tolerance_ratio=self.tolerance_ratio)
        if self.down_window_s is None:
            return shipped
        return replace(shipped, behavior=Behavior(usual.up, self._set_window(usual.down)))

    def _set_window(self, down: ScalingRules) -> ScalingRules:
        return down if self.down_window_s is None else replace(down, stabilization_window_s=self.down_window_s)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What may differ from run to run.

    Attributes
    ----------
    seed
        Of all chance.
    class_shares
        Weight of every service class by its name, in every LLM; None takes the shares of the configuration.
    startup_p95_s
        95 in 100 starts take no longer, their median being what scalers are told; None means all take just that [s].
    start
        What else may happen to a start.
    scrape
        How pages are read.
    router
        How requests find their replica.
    grace_s
        How long a replica that is told to end may finish what it has [s].
    kv_transfer
        From prefill to decode, where they are apart.
    hpa, truth
        See there.
    sizes
        Whether peers are told what one replica carries, instead of what they ship.
    has_bounds
        Whether the bounds are computed.
    has_measured_bounds
        Whether those are too that rest on ceilings measured on the engines.
    """

    seed: int = 0
    class_shares: Mapping[str, float] | None = None
    startup_p95_s: float | None = None
    start: StartOptions = field(default_factory=StartOptions)
    scrape: ScrapeOptions = field(default_factory=ScrapeOptions)
    router: RouterKind = RouterKind.LEAST_LOAD
    grace_s: float = 120.0
    kv_transfer: KvTransfer = field(default_factory=KvTransfer)
    hpa: HpaKnobs = field(default_factory=HpaKnobs)
    truth: TruthOptions = field(default_factory=TruthOptions)
    sizes: bool = False
    has_bounds: bool = True
    has_measured_bounds: bool = False

    def to_cluster_options(self) -> ClusterOptions:
        """Return how the cluster behaves.

        Raises
        ------
        InvalidInput
            Naming what is out of bounds.
        """
        return ClusterOptions(
            scrape=self.scrape,
            start=self.start,
            hpa=self.hpa.to_follower(),
            kv_transfer=self.kv_transfer,
            grace_s=self.grace_s,
            router=self.router,
        )
