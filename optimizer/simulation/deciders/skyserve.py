"""SkyServe in a simulated cluster: arrivals of the last minute over a rate per replica, for every LLM by itself.

Instance-aware it knows a rate per accelerator and whom to remove, and leaves the type of what it launches to the
cheapest with free quota; plain it knows one rate for all. Quirks are kept: replicas that go away count as a base of
growth, zero is never left by the instance-aware rule, the wish of the last tick of a wait decides, and the first minute
is divided by a whole one. Arrivals are those of the gateway where there is one, else those that the pods' pages tell.

Source
------
SkyServe (``sky/serve``) at 01836b312d03: a decision every 20 s, every 5 s at zero, delays of 300 s and 1200 s, at
least one replica.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from optimizer.domain import (
    Accelerator,
    DemandWindow,
    ModelKey,
    ModelSnapshot,
    PodKey,
    ServedModel,
    Settings,
    SignalSpec,
    VariantKey,
)
from optimizer.errors import InvalidInput
from optimizer.policy.skyserve.admission import POLICIES, find_peer_problems
from optimizer.policy.skyserve.hysteresis import Waiting, get_decision_interval_s, step_waiting
from optimizer.policy.skyserve.launches import compute_scale_step
from optimizer.policy.skyserve.targets import QPS_WINDOW_S, compute_instance_aware_target, compute_plain_target
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.pools import MOST_REPLICAS, Pool, iterate_pools
from optimizer.simulation.deciders.skyserve_launcher import Launcher, count_devices, list_replicas, name_accelerator

_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class SkyServeShipped:
    """What the peer comes with.

    Attributes
    ----------
    upscale_delay_s, downscale_delay_s
        For how long more, or less, must be wished for [s].
    overprovision_replicas
        Kept beyond what is asked for.
    min_replicas
        Least replicas of an LLM that names none.
    """

    upscale_delay_s: float = 300.0
    downscale_delay_s: float = 1200.0
    overprovision_replicas: int = 0
    min_replicas: int = 1


def make_skyserve(
    models: tuple[ServedModel, ...],
    rates_per_s: Mapping[VariantKey, float],
    accelerators: tuple[Accelerator, ...] = (),
    quota: Mapping[str, int] | None = None,
    shipped: SkyServeShipped | None = None,
) -> SkyServeDecider:
    """Return the instance-aware scaler with the peer's defaults.

    `rates_per_s` is what a replica of each variant carries [1/s]; `accelerators` give the prices and `quota` the
    devices that the launcher may use.

    Raises
    ------
    InvalidInput
        When the peer would refuse what it is told.
    """
    settings = Settings(models, accelerators)
    return SkyServeDecider(settings, rates_per_s, quota or {}, shipped or SkyServeShipped(), is_instance_aware=True)


def make_skyserve_rate(
    models: tuple[ServedModel, ...],
    rates_per_s: Mapping[VariantKey, float],
    accelerators: tuple[Accelerator, ...] = (),
    quota: Mapping[str, int] | None = None,
    shipped: SkyServeShipped | None = None,
) -> SkyServeDecider:
    """Return the plain scaler: one rate for all replicas of an LLM, the least of its variants. See `make_skyserve`."""
    settings = Settings(models, accelerators)
    return SkyServeDecider(settings, rates_per_s, quota or {}, shipped or SkyServeShipped(), is_instance_aware=False)


class ArrivalLog:
    """Arrivals of the last minute, as windows of pods or of a gateway tell them; spread evenly within a window."""

    def __init__(self) -> None:
        self._windows: list[DemandWindow] = []
        self._ends_s: dict[PodKey | None, float] = {}

    def take(self, snapshot: ModelSnapshot, now_s: float) -> None:
        """Add what is new; the gateway alone where there is one. What is older than the minute is forgotten."""
        windows = snapshot.windows if snapshot.gateway is None else (snapshot.gateway,)
        for window in windows:
            if window.arrivals is not None and window.end_s > self._ends_s.get(window.pod, -1.0):
                self._windows.append(window)
                self._ends_s[window.pod] = window.end_s
        self._windows = [window for window in self._windows if window.end_s >= now_s - QPS_WINDOW_S]
        self._ends_s = {pod: end_s for pod, end_s in self._ends_s.items() if end_s >= now_s - QPS_WINDOW_S}

    def compute_rate_per_s(self, now_s: float) -> float:
        """Return the arrivals since a minute before `now_s` [s], over a minute [1/s]."""
        return sum(_count_within(window, now_s - QPS_WINDOW_S) for window in self._windows) / QPS_WINDOW_S


def _count_within(window: DemandWindow, since_s: float) -> float:
    """Return the arrivals of `window` that are taken to lie after `since_s` [s]."""
    arrivals = window.arrivals or 0.0
    if window.start_s >= since_s or window.duration_s <= 0.0:
        return arrivals
    return arrivals * max(window.end_s - since_s, 0.0) / window.duration_s


@dataclass(slots=True)
class _Memory:
    """What is remembered of one LLM: arrivals, the wait, and when it is asked again [s]."""

    arrivals: ArrivalLog = field(default_factory=ArrivalLog)
    waiting: Waiting | None = None
    next_s: float = 0.0


class SkyServeDecider:
    """See the module."""

    def __init__(
        self,
        settings: Settings,
        rates_per_s: Mapping[VariantKey, float],
        quota: Mapping[str, int],
        shipped: SkyServeShipped,
        *,
        is_instance_aware: bool,
    ) -> None:
        self._settings, self._rates_per_s, self._shipped = settings, dict(rates_per_s), shipped
        self._launcher, self._is_instance_aware = Launcher(settings, quota), is_instance_aware
        self._memories = {model.key: _Memory() for model in settings.models}
        for model in settings.models:
            self._check(model)

    @property
    def period_s(self) -> float:
        """Time between two ticks of whichever LLM is asked most often [s]."""
        waits = [memory.waiting for memory in self._memories.values()]
        finals = [1 if wait is None else self._get_final(wait) for wait in waits]
        return get_decision_interval_s(min(finals, default=1))

    @property
    def signals(self) -> Mapping[ModelKey, tuple[SignalSpec, ...]]:
        """None: the usual figures do."""
        return {}

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return the replicas of every variant of the LLMs whose tick it is; see `Decider`."""
        pools = {model.key: list(iterate_pools((model,), view)) for model in self._settings.models}
        used_devices: dict[str, int] = {}
        for model in self._settings.models:
            for name, count in count_devices(model, pools[model.key]).items():
                used_devices[name] = used_devices.get(name, 0) + count
        answers: dict[VariantKey, int] = {}
        for model in self._settings.models:
            memory = self._memories[model.key]
            snapshot = next((entry for entry in view.snapshot.models if entry.key == model.key), None)
            if snapshot is not None:
                memory.arrivals.take(snapshot, view.now_s)
            if pools[model.key] and view.now_s >= memory.next_s - _ROUNDING_S:
                answers |= self._step_model(model, pools[model.key], memory, view.now_s, used_devices)
        return answers

    def _step_model(
        self, model: ServedModel, pools: list[Pool], memory: _Memory, now_s: float, used_devices: dict[str, int]
    ) -> dict[VariantKey, int]:
        present = sum(pool.requested_replicas for pool in pools)
        wish = self._compute_wish(model, pools, memory.arrivals.compute_rate_per_s(now_s))
        waiting = memory.waiting or Waiting(max(present - self._shipped.overprovision_replicas, 0))
        delays_s = (self._shipped.upscale_delay_s, self._shipped.downscale_delay_s)
        memory.waiting = step_waiting(waiting, wish, *delays_s)
        step = compute_scale_step(memory.waiting.target_replicas, self._shipped.overprovision_replicas, present)
        memory.next_s = now_s + get_decision_interval_s(step.final_target_replicas)
        if step.launch_replicas:
            return self._launcher.launch(model, pools, step.launch_replicas, used_devices)
        table = self._get_table(model) if self._is_instance_aware else None
        return self._launcher.remove(pools, list_replicas(model, pools), step.remove_replicas, table)

    def _compute_wish(self, model: ServedModel, pools: list[Pool], arrival_rate_per_s: float) -> int:
        least, most = self._get_bounds(model, pools)
        table = self._get_table(model)
        if not self._is_instance_aware:
            return compute_plain_target(arrival_rate_per_s, min(table.values()), least, most)
        replicas = [replica for _, replica in list_replicas(model, pools)]
        return compute_instance_aware_target(arrival_rate_per_s, replicas, table, least, most)

    def _get_table(self, model: ServedModel) -> dict[str, float]:
        """Return the rates by accelerator, keyed as the peer wants them [1/s]; the first of one key stays."""
        table: dict[str, float] = {}
        for variant in model.variants:
            key = f"{name_accelerator(variant.accelerator)}:{variant.accelerators_per_replica}"
            table.setdefault(key, self._rates_per_s[variant.key(variant.main_role)])
        return table

    def _check(self, model: ServedModel) -> None:
        """Check what the peer would be told of one LLM.

        Raises
        ------
        InvalidInput
            When it would refuse that: it names everything.
        """
        table = self._get_table(model)
        bounds = [MOST_REPLICAS if one.max_replicas is None else one.max_replicas for one in model.variants]
        least, most = self._bound(model, sum(bounds))
        rule = POLICIES[0] if self._is_instance_aware else POLICIES[1]
        told = {
            "min_replicas": least,
            "max_replicas": most,
            "target_rate_per_s": table if self._is_instance_aware else min(table.values(), default=0.0),
            "load_balancing_policy": rule,
        }
        problems = find_peer_problems(told)
        if problems:
            raise InvalidInput(f"service {model.model_id}", f"such that it has {', '.join(problems)}", told)

    def _get_bounds(self, model: ServedModel, pools: list[Pool]) -> tuple[int, int]:
        return self._bound(model, sum(pool.max_replicas for pool in pools))

    def _bound(self, model: ServedModel, most: int) -> tuple[int, int]:
        most = min(most, MOST_REPLICAS if model.max_replicas is None else model.max_replicas)
        least = max(model.min_replicas, sum(entry.min_replicas for entry in model.variants), self._shipped.min_replicas)
        return min(least, most), most

    def _get_final(self, waiting: Waiting) -> int:
        return waiting.target_replicas + self._shipped.overprovision_replicas
