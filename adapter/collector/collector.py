"""From an inventory to a FleetSnapshot: every pod's page is fetched at once, read, and turned into windows and states.

It knows pages and pods; it knows no policy and no Kubernetes.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator

from adapter.clock import Clock
from adapter.collector.fetch import PageFetcher, PageSource, PageUnusable
from adapter.collector.gateway import GatewayHistory, collect_gateway
from adapter.collector.options import CollectorOptions, PageOptions
from adapter.collector.pod_history import PodHistory
from adapter.inventory import Inventory, PodEntry
from adapter.telemetry import Telemetry
from optimizer.domain import (
    DemandWindow,
    FleetSnapshot,
    ModelKey,
    ModelSnapshot,
    PodKey,
    PodPhase,
    Reason,
    ReasonCode,
    ServedModel,
    Settings,
    Variant,
    VariantState,
)


class Collector:
    """Turns an inventory into a snapshot; use it as an async context manager.

    It remembers the last good page of every pod, so that the next one closes a window. Pages come over HTTP unless
    another `pages` source is given.
    """

    def __init__(
        self, options: CollectorOptions, clock: Clock, telemetry: Telemetry, pages: PageSource | None = None
    ) -> None:
        self._options, self._clock = options, clock
        self._fetcher = PageFetcher(options.scrape, telemetry) if pages is None else pages
        self._pods: dict[PodKey, PodHistory] = {}
        self._gateways: dict[ModelKey, GatewayHistory] = {}
        self._last_pass_s: float | None = None

    async def __aenter__(self) -> Collector:
        """Open the connections."""
        await self._fetcher.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the connections."""
        await self._fetcher.__aexit__(*exc)

    async def collect(self, inventory: Inventory, settings: Settings) -> FleetSnapshot:
        """Return the fleet as it is now; whatever cannot be had is absent with its reason, nothing raises."""
        pods = list(_iterate_pods(inventory, settings))
        self._remember(pods)
        pages = (self._collect_pod(variant, entry) for variant, entry in pods if _has_page(entry))
        gateways = [self._collect_gateway(model) for model in settings.models]
        _, windows = await asyncio.gather(asyncio.gather(*pages), asyncio.gather(*gateways))
        now_s = self._clock.now_s()
        self._last_pass_s = now_s
        models = [
            self._to_model(model, window, inventory, settings, now_s)
            for model, window in zip(settings.models, windows, strict=True)
        ]
        return FleetSnapshot(now_s, tuple(models))

    def _remember(self, pods: list[tuple[Variant, PodEntry]]) -> None:
        """Keep one history per pod that exists, and note which of them were seen coming to life."""
        histories = {}
        for _, entry in pods:
            history = histories[entry.pod] = self._pods.get(entry.pod) or PodHistory(entry.pod)
            if entry.phase is PodPhase.STARTING:
                history.born_s = self._clock.now_s()
            elif entry.pod not in self._pods and self._is_new(entry):
                history.born_s = self._last_pass_s
        self._pods = histories

    def _is_new(self, entry: PodEntry) -> bool:
        """Whether the pod was made since the last pass, so that all its page counts was asked since then."""
        if self._last_pass_s is None or entry.created_s is None:
            return False
        return entry.created_s >= self._last_pass_s

    async def _collect_pod(self, variant: Variant, entry: PodEntry) -> None:
        await self._clock.sleep(_get_jitter_s(entry.pod, self._options.scrape.jitter_s))
        history = self._pods[entry.pod]
        options = self._options.pages.get(variant.key()) or PageOptions(engine=variant.engine)
        try:
            body = await self._fetcher.fetch(entry.url.rstrip("/") + options.path)
        except PageUnusable as failure:
            history.miss_page(failure.reason, self._clock.now_s())
            return
        history.take_page(body, options, variant.model_id, self._clock.now_s())

    async def _collect_gateway(self, model: ServedModel) -> DemandWindow | None:
        options = self._options.gateways.get(model.key)
        if options is None:
            return None
        history = self._gateways.get(model.key)
        if history is None or history.options != options:
            history = self._gateways[model.key] = GatewayHistory(options)
        return await collect_gateway(history, self._fetcher, self._clock)

    def _to_model(
        self,
        model: ServedModel,
        gateway: DemandWindow | None,
        inventory: Inventory,
        settings: Settings,
        now_s: float,
    ) -> ModelSnapshot:
        stale_after_s = settings.decision.stale_after_s
        states, windows = [], []
        for variant in model.variants:
            entry = inventory.get(variant.workload)
            if entry is None:
                message = f"{variant.workload.kind} {variant.workload.name} is not in the inventory"
                reason = inventory.reason or Reason(ReasonCode.NO_DATA, message)
                states.append(VariantState(variant.key(), None, (), reason))
                continue
            pods = tuple(self._pods[pod.pod].to_state(pod, now_s, stale_after_s) for pod in entry.pods)
            states.append(VariantState(variant.key(), entry.requested_replicas, pods, inventory.reason))
            windows += [window for pod in entry.pods if (window := self._get_window(pod)) is not None]
        return ModelSnapshot(model.key, tuple(states), tuple(windows), gateway)

    def _get_window(self, entry: PodEntry) -> DemandWindow | None:
        """Return the newest window of a pod that should have one; a pod that is going away may lack it."""
        window = self._pods[entry.pod].window if _has_page(entry) else None
        is_lost = window is not None and window.reason is not None and entry.phase is PodPhase.TERMINATING
        return None if is_lost else window


def _iterate_pods(inventory: Inventory, settings: Settings) -> Iterator[tuple[Variant, PodEntry]]:
    for model in settings.models:
        for variant in model.variants:
            entry = inventory.get(variant.workload)
            for pod in () if entry is None else entry.pods:
                yield variant, pod


def _has_page(entry: PodEntry) -> bool:
    return bool(entry.url) and entry.phase is not PodPhase.STARTING


def _get_jitter_s(pod: PodKey, jitter_s: float) -> float:
    """Return the pod's own fixed moment within `jitter_s` [s]: the same in every process, unlike `hash`."""
    return zlib.crc32(f"{pod.namespace}/{pod.name}/{pod.uid}".encode()) / 2**32 * jitter_s
