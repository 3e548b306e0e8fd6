"""From an inventory to a FleetSnapshot: every page is asked for at once, read, and turned into windows and states.

It knows pages and pods; it knows no policy and no Kubernetes.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Mapping

from adapter.clock import Clock
from adapter.collector.asked_series import AskedByModel
from adapter.collector.complaints import PageComplaints, SeriesComplaints
from adapter.collector.gateway import GatewayHistory
from adapter.collector.options import CollectorOptions
from adapter.collector.page_intake import PageIntake
from adapter.collector.pod_roster import ListedPod, ListedVariant, PodRoster
from adapter.inventory import Inventory
from adapter.telemetry import Telemetry
from optimizer.domain import FleetSnapshot, ModelKey, ModelSnapshot, PodKey, ServedModel, Settings, VariantKey


class Collector:
    """Turns an inventory into a snapshot; use it as an async context manager.

    It remembers the last good page of every pod and gateway, so that the next one closes a window.
    """

    def __init__(self, options: CollectorOptions, clock: Clock, telemetry: Telemetry) -> None:
        self._options, self._clock = options, clock
        self._intake = PageIntake(options.scrape, clock, telemetry)
        self._slots = asyncio.Semaphore(options.scrape.concurrency)
        self._roster, self._asked = PodRoster(), AskedByModel(options.signals)
        self._gateways: dict[ModelKey, GatewayHistory] = {}
        self._pages, self._series = PageComplaints(), SeriesComplaints()

    async def __aenter__(self) -> Collector:
        """Open the connections.

        Raises
        ------
        OSError
            When the file of authorities cannot be used.
        """
        await self._intake.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the connections."""
        await self._intake.__aexit__(*exc)

    def reconfigure(self, options: CollectorOptions) -> None:
        """Collect as `options` say from the next pass on; what is known of pods and gateways that stay is kept.

        Raises
        ------
        OSError
            When the file of authorities cannot be used; then nothing changes.
        """
        self._intake.reconfigure(options.scrape)
        if options.scrape.concurrency != self._options.scrape.concurrency:
            self._slots = asyncio.Semaphore(options.scrape.concurrency)
        self._asked.change(options.signals)
        self._options = options

    async def collect(self, inventory: Inventory, settings: Settings) -> FleetSnapshot:
        """Return the fleet as it is now; whatever cannot be had is absent with its reason, no page makes it raise.

        It takes as long as the slowest page: at most the time limit of one page for every `concurrency` pods that hang.
        Pods whose last page could not be had are asked after the others.
        """
        begin_s = self._clock.now_s()
        variants = self._roster.list_variants(inventory, settings, self._options.pages, begin_s, self._asked)
        pods = [pod for variant in variants.values() for pod in variant.pods if pod.has_page]
        pods.sort(key=lambda pod: pod.history.reason is not None)
        self._gateways = self._list_gateways(settings)
        keep_alive = len(pods) <= self._options.scrape.concurrency  # else idle connections could use up all files
        async with asyncio.TaskGroup() as group:
            for gateways in _group_by_page(self._gateways.values()):
                group.create_task(self._intake.take(gateways[0].options.url, gateways))
            for pod in pods:
                group.create_task(self._collect_pod(pod, keep_alive=keep_alive))
        now_s = self._clock.now_s()
        snapshot = FleetSnapshot(now_s, tuple(self._to_model(model, variants, now_s) for model in settings.models))
        self._pages.tell([*(pod.history.reason for pod in pods), *(one.reason for one in self._gateways.values())])
        self._series.tell([signals for model in snapshot.models for signals in model.signals])
        return snapshot

    async def _collect_pod(self, pod: ListedPod, *, keep_alive: bool) -> None:
        jitter_s = self._options.scrape.jitter_s
        late_s = 0.0 if pod.history.reason is None else jitter_s
        await self._clock.sleep(late_s + _get_jitter_s(pod.entry.pod, jitter_s))
        async with self._slots:
            await self._intake.take(pod.url, [pod.history], keep_alive=keep_alive)

    def _list_gateways(self, settings: Settings) -> dict[ModelKey, GatewayHistory]:
        """Return one history per LLM that has a gateway; another page, or other series of it, begin anew."""
        listed = {}
        for model in settings.models:
            options, history = self._options.gateways.get(model.key), self._gateways.get(model.key)
            if options is not None:
                is_same = history is not None and history.options == options
                listed[model.key] = history if history is not None and is_same else GatewayHistory(options)
        return listed

    def _to_model(self, model: ServedModel, listed: Mapping[VariantKey, ListedVariant], now_s: float) -> ModelSnapshot:
        variants = [listed[variant.key(variant.main_role)] for variant in model.variants]
        pods = (pod for variant in variants for pod in variant.pods)
        windows = tuple(window for pod in pods if (window := pod.get_window()) is not None)
        gateway = self._gateways.get(model.key)
        if gateway is not None:
            gateway.compare(windows)
        states = tuple(variant.to_state(now_s) for variant in variants)
        pairs = zip(variants, states, strict=True)
        signals = tuple(one for variant, state in pairs for one in variant.list_signals(state, now_s))
        return ModelSnapshot(model.key, states, windows, None if gateway is None else gateway.window, signals)


def _group_by_page(gateways: Iterable[GatewayHistory]) -> list[list[GatewayHistory]]:
    """Return the gateways that share a page together, so that it is asked for once."""
    groups: dict[str, list[GatewayHistory]] = {}
    for gateway in gateways:
        groups.setdefault(gateway.options.url, []).append(gateway)
    return list(groups.values())


def _get_jitter_s(pod: PodKey, jitter_s: float) -> float:
    """Return the pod's own fixed moment within `jitter_s` [s]: the same in every process, unlike `hash`."""
    return zlib.crc32(f"{pod.namespace}/{pod.name}/{pod.uid}".encode()) / 2**32 * jitter_s
