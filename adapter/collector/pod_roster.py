"""Which pods there are to collect from: an inventory and the settings, joined with what is remembered of each pod.

It asks for no page and reads none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapter.collector.asked_series import AskedByModel
from adapter.collector.options import PageOptions
from adapter.collector.pod_history import PodHistory
from adapter.inventory import Inventory, PodEntry, WorkloadEntry
from optimizer.domain import (
    DemandWindow,
    ModelKey,
    PodKey,
    PodPhase,
    PodSignals,
    Reason,
    ReasonCode,
    Settings,
    Variant,
    VariantKey,
    VariantState,
)


@dataclass(frozen=True, slots=True)
class ListedPod:
    """One pod of a variant, and what is remembered of it."""

    entry: PodEntry
    history: PodHistory

    @property
    def has_page(self) -> bool:
        """Whether to ask for its page. One that served before is asked though it is not ready: it may be too busy."""
        is_serving = self.entry.phase is not PodPhase.STARTING or self.history.reading is not None
        return is_serving and bool(self.entry.url)

    @property
    def url(self) -> str:
        """Where its page is."""
        return self.entry.url.rstrip("/") + self.history.options.path

    def get_window(self) -> DemandWindow | None:
        """Return its newest window; one without arrivals only of a pod that should have some, being ready."""
        window = self.history.window if self.has_page else None
        is_owed = self.entry.phase is PodPhase.READY
        return window if window is None or window.reason is None or is_owed else None


@dataclass(frozen=True, slots=True)
class ListedVariant:
    """A variant with its pods.

    Attributes
    ----------
    key
        Identity.
    pods
        Those that exist, each once.
    requested_replicas
        As the inventory has it, None when nobody can tell.
    reason
        Why the pods are not known, or not those of now; None when they are.
    """

    key: VariantKey
    pods: tuple[ListedPod, ...]
    requested_replicas: int | None
    reason: Reason | None

    def to_state(self, now_s: float) -> VariantState:
        """Return its state at `now_s` [s]."""
        states = tuple(pod.history.to_state(pod.entry, now_s) for pod in self.pods)
        return VariantState(self.key, self.requested_replicas, states, self.reason)

    def list_signals(self, state: VariantState, now_s: float) -> tuple[PodSignals, ...]:
        """Return what a policy asked for of those pods that serve, as `state` of `now_s` [s] tells."""
        serving = {pod.pod for pod in state.pods if pod.phase is PodPhase.READY}
        found = (pod.history.to_signals(self.key, now_s) for pod in self.pods if pod.entry.pod in serving)
        return tuple(signals for signals in found if signals is not None)


class PodRoster:
    """Remembers one history per pod and variant, as long as the pod exists.

    It notes when a pod was seen not serving yet, so that its first page already closes a window: what that page counts
    was asked since then.
    """

    def __init__(self) -> None:
        self._histories: dict[tuple[VariantKey, PodKey], PodHistory] = {}
        self._listed_s: float | None = None

    def list_variants(
        self,
        inventory: Inventory,
        settings: Settings,
        pages: Mapping[VariantKey, PageOptions],
        now_s: float,
        asked: AskedByModel,
    ) -> dict[VariantKey, ListedVariant]:
        """Return every variant of `settings` with its pods, as `inventory` has them at `now_s` [s].

        `pages` names variants whatever their role is; `asked` tells what policies ask of them.
        """
        workloads = {entry.workload: entry for entry in inventory.workloads}
        listed = {}
        for variant in (variant for model in settings.models for variant in model.variants):
            options = pages.get(variant.key()) or PageOptions(engine=variant.engine)
            entry = workloads.get(variant.workload)
            one = self._list_variant(variant, entry, inventory.reason)
            series = asked.find(ModelKey(variant.namespace, variant.model_id), options.engine)
            for pod in one.pods:
                pod.history.expect(options, series)
            listed[one.key] = one
        pods = {(key, pod.entry.pod): pod for key, variant in listed.items() for pod in variant.pods}
        self._histories = {identity: pod.history for identity, pod in pods.items()}
        for pod in pods.values():
            pod.history.stale_after_s = settings.decision.stale_after_s
            if inventory.reason is None and pod.entry.phase is PodPhase.STARTING:
                pod.history.born_s = now_s
        if inventory.reason is None:
            self._listed_s = now_s
        return listed

    def _list_variant(self, variant: Variant, workload: WorkloadEntry | None, reason: Reason | None) -> ListedVariant:
        if workload is None:
            message = f"{variant.workload.kind} {variant.workload.name} is not in the inventory"
            return ListedVariant(_to_key(variant), (), None, reason or Reason(ReasonCode.NO_DATA, message))
        entries = {entry.pod: entry for entry in workload.pods}
        pods = tuple(ListedPod(entry, self._recall(variant, entry)) for entry in entries.values())
        return ListedVariant(_to_key(variant), pods, workload.requested_replicas, reason)

    def _recall(self, variant: Variant, entry: PodEntry) -> PodHistory:
        history = self._histories.get((_to_key(variant), entry.pod))
        if history is None:
            born_s = self._listed_s if self._is_new(entry) else None
            history = PodHistory(entry.pod, variant.model_id, born_s=born_s)
        return history

    def _is_new(self, entry: PodEntry) -> bool:
        """Whether the pod was made after pods were last listed."""
        if self._listed_s is None or entry.created_s is None:
            return False
        return entry.created_s >= self._listed_s


def _to_key(variant: Variant) -> VariantKey:
    return variant.key(variant.main_role)
