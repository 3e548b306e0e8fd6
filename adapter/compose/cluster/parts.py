"""The parts of a pass in a cluster: the configuration file joined with what the watches know at that moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace

from adapter.clock import Clock
from adapter.cluster import ClusterView, Standstill, Trouble
from adapter.collector import Collector
from adapter.compose.configuration_poll import ConfigurationPoll, blame_ca_file
from adapter.compose.options import to_collector_options
from adapter.config.load import ConfigurationWatcher, LoadedConfiguration
from adapter.controller import Parts
from adapter.errors import Unreachable
from adapter.inventory import Inventory
from adapter.kube.discovery import ClusterWatch, WorkloadClaim, to_discovery_options
from adapter.kube.followers import StandstillMemory, find_bounds, find_standstills
from adapter.merging import Merged, list_claims, merge
from adapter.telemetry import Telemetry, log_event
from optimizer.domain import WorkloadRef

FindRefused = Callable[[Iterable[WorkloadRef]], Awaitable[tuple[Trouble, ...]]]
"""Returns a trouble for each workload that another installation decides about."""

GetZeroedBy = Callable[[], Awaitable[Mapping[WorkloadRef, str]]]
"""Returns who put which workload to zero, as recorded."""


class ClusterParts:
    """Gives the parts of each pass; use it as an async context manager.

    Parameters
    ----------
    watcher
        Looks at the configuration file.
    watch
        Looks at the cluster; somebody runs it.
    find_refused
        Tells which workloads are not ours to decide about.
    get_zeroed_by
        Tells who put which workload to zero.
    patches_zero
        Whether we step between 0 and 1 ourselves, until the next start.

    Attributes
    ----------
    view
        What the cluster told when the parts were given last, with refusals and the troubles of joining.
    merged
        What was made of it; None before the first time.
    """

    def __init__(
        self,
        watcher: ConfigurationWatcher,
        watch: ClusterWatch,
        clock: Clock,
        telemetry: Telemetry,
        *,
        find_refused: FindRefused,
        get_zeroed_by: GetZeroedBy,
        patches_zero: bool,
    ) -> None:
        self._watcher, self._watch, self._clock = watcher, watch, clock
        self._find_refused, self._get_zeroed_by = find_refused, get_zeroed_by
        self._standstills = StandstillMemory()
        self._poll = ConfigurationPoll(watcher, self._apply, telemetry)
        self._patches_zero = patches_zero
        with blame_ca_file():
            self._collector = Collector(to_collector_options(watcher.current), clock, telemetry)
        self.view = ClusterView()
        self.merged: Merged | None = None

    async def __aenter__(self) -> ClusterParts:
        """Open the connections to pods.

        Raises
        ------
        ConfigurationError
            When what the configuration refers to cannot be used.
        """
        with blame_ca_file():
            await self._collector.__aenter__()
        self._apply(self._watcher.current)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the connections."""
        await self._collector.__aexit__(*exc)

    async def get_parts(self) -> Parts:
        """Return the parts for the next pass, after a look at the configuration file and at the cluster.

        Raises
        ------
        Unreachable
            Before the cluster was known once.
        """
        self._poll.poll()
        loaded = self._watcher.current
        view = await self._watch.fetch_view()
        if not self._watch.is_synced:
            raise Unreachable(f"the cluster is not known yet: {view.inventory.reason}")
        refusals = await self._find_refused(facts.workload for facts in view.variants)
        view = replace(view, troubles=(*refusals, *view.troubles))
        bounds, refused = find_all_bounds(view, self._patches_zero), frozenset(trouble.workload for trouble in refusals)
        standstills = await self._find_standstills(view)
        merged = merge(loaded, view, bounds=bounds, now_s=self._clock.now_s(), refused=refused, standstills=standstills)
        self._collector.reconfigure(to_collector_options(merged.loaded))
        decided = {variant.workload for model in merged.settings.models for variant in model.variants}
        self._watch.undecided = frozenset(facts.workload for facts in view.variants) - decided
        self.view, self.merged = replace(view, troubles=merged.troubles), merged
        return Parts(merged.settings, _Seen(view.inventory), self._collector)

    async def _find_standstills(self, view: ClusterView) -> Mapping[WorkloadRef, Standstill]:
        found = find_standstills(
            view,
            await self._get_zeroed_by(),
            kubernetes_minor=self._watch.kubernetes_minor,
            patches_zero=self._patches_zero,
        )
        return self._standstills.keep_lasting(found, self._clock.now_s())

    def _apply(self, loaded: LoadedConfiguration) -> None:
        with blame_ca_file():
            self._collector.reconfigure(to_collector_options(loaded))
        wanted, watched = to_discovery_options(loaded.configuration), self._watch.options
        self._watch.options = replace(wanted, namespaces=watched.namespaces, has_quotas=watched.has_quotas)
        if self._watch.options != wanted:
            log_event(
                "at_next_start", what="discovery.namespaces and discovery.limits.quotas: they say what is watched"
            )
        self._watch.claim(_to_claims(loaded), loaded.configuration.accelerators)


class _Seen:
    """The inventory of one view, as a source of it."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    async def fetch_inventory(self) -> Inventory:
        return self._inventory


def _to_claims(loaded: LoadedConfiguration) -> tuple[WorkloadClaim, ...]:
    """Return the workloads that the configuration names."""
    return tuple(WorkloadClaim(it.workload, it.model_id, it.variant) for it in list_claims(loaded.configuration))


def find_all_bounds(view: ClusterView, patches_zero: bool) -> dict[WorkloadRef, tuple[int, int | None]]:
    """Return the fewest and the most replicas that followers allow, by workload."""
    return {
        workload: find_bounds(followers, patches_zero=patches_zero) for workload, followers in view.followers.items()
    }
