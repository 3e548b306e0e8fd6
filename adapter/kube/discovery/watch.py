"""Everything that discovery needs of a cluster, watched, and what it makes of it whenever somebody asks.

It reads; it writes nothing to the cluster and decides nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from adapter.clock import Clock
from adapter.cluster import ClusterView, Dialect
from adapter.errors import Unreachable
from adapter.kube.client import Json, KubeClient
from adapter.kube.discovery.claims import WorkloadClaim
from adapter.kube.discovery.llm_d_labels import find_scalers
from adapter.kube.discovery.memory import Memory
from adapter.kube.discovery.objects import to_identity
from adapter.kube.discovery.options import ClusterObjects, DiscoveryOptions
from adapter.kube.discovery.scaled import ScaledObjects
from adapter.kube.discovery.server_version import ServerVersion
from adapter.kube.discovery.trimming import (
    trim_autoscaler,
    trim_node,
    trim_other,
    trim_pod,
    trim_replica_set,
    trim_workload,
)
from adapter.kube.discovery.view import build_view
from adapter.kube.json_fields import get_object
from adapter.kube.mapper import ResourceMapper
from adapter.kube.reflector import ObjectCache
from adapter.kube.resource import (
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    LEADER_WORKER_SETS,
    NODES,
    POD_AUTOSCALERS,
    PODS,
    REPLICA_SETS,
    RESOURCE_QUOTAS,
    SCALED_OBJECTS,
    STATEFUL_SETS,
    Resource,
)
from adapter.kube.wire_times import render_time
from optimizer.domain import Reason, ReasonCode, WorkloadRef

_LOOK_EVERY_S = 0.05

BEHIND_S = 10.0
"""A watch that lost touch is given so long to find it again before what it knows counts as old [s]."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind is watched.

    Plans are made without what is optional, and none while what must be fresh is behind.
    """

    resource: Resource
    trim: Callable[[Json], Json]
    is_optional: bool = False
    must_be_fresh: bool = False


_KINDS: Mapping[str, _Kind] = {
    "deployments": _Kind(DEPLOYMENTS, trim_workload, must_be_fresh=True),
    "stateful_sets": _Kind(STATEFUL_SETS, trim_workload, must_be_fresh=True),
    "leader_worker_sets": _Kind(LEADER_WORKER_SETS, trim_workload, is_optional=True, must_be_fresh=True),
    "replica_sets": _Kind(REPLICA_SETS, trim_replica_set, must_be_fresh=True),
    "pods": _Kind(PODS, trim_pod, must_be_fresh=True),
    "nodes": _Kind(NODES, trim_node, is_optional=True),
    "resource_quotas": _Kind(RESOURCE_QUOTAS, trim_other, is_optional=True),
    "hpas": _Kind(HORIZONTAL_POD_AUTOSCALERS, trim_autoscaler, must_be_fresh=True),
    "scaled_objects": _Kind(SCALED_OBJECTS, trim_other, is_optional=True, must_be_fresh=True),
    "pod_autoscalers": _Kind(POD_AUTOSCALERS, trim_other, is_optional=True, must_be_fresh=True),
}
_WATCHED_WORKLOADS = {
    (kind.resource.group, kind.resource.kind)
    for kind in (_KINDS[name] for name in ("deployments", "stateful_sets", "leader_worker_sets"))
}


class ClusterWatch:
    """Watches a cluster, or some namespaces of it.

    Parameters
    ----------
    client
        Of its API; needs the rights to ``list`` and ``watch`` what `_KINDS` has.
    clock
        Times everything.
    options
        How to look.
    mapper
        Finds paths of further kinds; one of its own by default.

    Attributes
    ----------
    options
        As above, with the accelerators that were claimed last; may be replaced, but not what is watched.
    undecided
        Workloads that are claimed and yet not decided about, as whoever decides says: what they use of quotas and nodes
        is not ours to plan with.
    """

    def __init__(
        self,
        client: KubeClient,
        clock: Clock,
        options: DiscoveryOptions | None = None,
        *,
        mapper: ResourceMapper | None = None,
    ) -> None:
        self._clock, self.options = clock, options or DiscoveryOptions()
        self._caches = {
            name: tuple(
                ObjectCache(client, kind.resource, namespace, clock=clock, is_optional=kind.is_optional, trim=kind.trim)
                for namespace in self._list_scopes(kind.resource)
            )
            for name, kind in _KINDS.items()
            if name != "resource_quotas" or self.options.has_quotas
        }
        self._version = ServerVersion(client, clock)
        self._scaled = ScaledObjects(client, mapper or ResourceMapper(client), clock)
        self._claims: tuple[WorkloadClaim, ...] = ()
        self._memory, self._last = Memory(), ClusterView()
        self.undecided: frozenset[WorkloadRef] = frozenset()
        self._seen: frozenset[str] = frozenset()
        self._recalled: dict[WorkloadRef, str] = {}
        self._looked_s, self._lock = -math.inf, asyncio.Lock()

    @property
    def is_synced(self) -> bool:
        """Whether everything is known; once it was, it stays so while the API is away."""
        return self._version.minor is not None and all(cache.is_synced for cache in self._list_caches())

    async def wait_synced(self, timeout_s: float) -> None:
        """Return once everything is known.

        Raises
        ------
        Unreachable
            When that takes longer than `timeout_s` [s]; the text tells what is wrong.
        """
        until_s = self._clock.now_s() + timeout_s
        while not self.is_synced:
            if self._clock.now_s() >= until_s:
                raise Unreachable(str(self._find_reason()))
            await self._clock.sleep(_LOOK_EVERY_S)

    @property
    def kubernetes_minor(self) -> int:
        """Minor version of the API server, 37 for 1.37; 0 before it is known."""
        return self._version.minor or 0

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong with the watches now; a missing right is named with its verb and its resource."""
        return tuple(cache.failure for cache in self._list_caches() if cache.failure is not None)

    def claim(self, claims: Iterable[WorkloadClaim], accelerators: Iterable[str] = ()) -> None:
        """Take the workloads and the names of accelerators that the configuration has from now on."""
        self._claims = tuple(claims)
        self.options = replace(self.options, accelerators=tuple(accelerators))
        self._scaled.want(self._list_unwatched())

    def recall(self, held: Mapping[WorkloadRef, str]) -> None:
        """Take the models that workloads are decided for by whoever decided until now: the older claim counts."""
        self._recalled = dict(held)

    async def run(self) -> None:
        """Follow the cluster until canceled; no failure ends it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._version.run())
            tasks.create_task(self._scaled.run())
            for cache in self._list_caches():
                tasks.create_task(cache.run())

    def get_view(self, max_age_s: float = 0.0) -> ClusterView:
        """Return what the cluster tells now; a view that was made up to `max_age_s` [s] ago will do.

        Before everything was known once, it tells nothing but why. While a watch of workloads or pods has lost touch,
        or a right was taken away, the last view stays, with the reason in its inventory.
        """
        found = self._find_standing(max_age_s)
        return self._take(*self._make_look()()) if found is None else found

    async def fetch_view(self, max_age_s: float = 0.0) -> ClusterView:
        """Return the same as `get_view`, made in a thread: pages and the API answer meanwhile."""
        async with self._lock:
            found = self._find_standing(max_age_s)
            return self._take(*await asyncio.to_thread(self._make_look())) if found is None else found

    async def refresh_unwatched(self) -> None:
        """Ask at once for the claimed objects of kinds that are not watched, which otherwise happens now and then."""
        self._scaled.want(self._list_unwatched())
        await self._scaled.refresh()

    def _find_standing(self, max_age_s: float) -> ClusterView | None:
        """Return the last view where a new one cannot be made, or need not."""
        reason = self._find_reason()
        if reason is not None:
            return replace(self._last, inventory=replace(self._last.inventory, reason=reason))
        return self._last if self._clock.now_s() - self._looked_s < max_age_s else None

    def _make_look(self) -> Callable[[], tuple[ClusterView, Memory]]:
        """Return a look at the cluster as it is now, for any thread: objects are never changed in place."""
        self._scaled.want(self._list_unwatched())
        listed = {name: self._list(name) for name in _KINDS}
        self._seen = frozenset(name for name, items in listed.items() if items)
        self._looked_s = self._clock.now_s()
        held, self._recalled = {**self._memory.held, **self._recalled}, {}
        return partial(
            build_view,
            ClusterObjects(**listed, scaled=self._scaled.list()),
            replace(self._memory, held=held),
            claims=self._claims,
            options=self.options,
            kubernetes_minor=self.kubernetes_minor,
            now_s=self._looked_s,
            undecided=self.undecided,
        )

    def _take(self, view: ClusterView, memory: Memory) -> ClusterView:
        """Remember a view and what belongs to it."""
        self._last = replace(view, troubles=(*view.troubles, *self._scaled.list_troubles()))
        self._memory = memory
        return self._last

    def _find_reason(self) -> Reason | None:
        """Return why the cluster cannot be looked at now."""
        if not self.is_synced:
            missing = sorted({name for name, caches in self._caches.items() for cache in caches if not cache.is_synced})
            what = ", ".join(missing) or "version of the server"
            why = "".join(f"; {failure}" for failure in self.failures[:1])
            return Reason(ReasonCode.STALE, f"the cluster is not known yet: {what}{why}")
        now_s = self._clock.now_s()
        for name, cache in ((name, cache) for name, caches in self._caches.items() for cache in caches):
            kind, since_s = _KINDS[name], cache.behind_since_s
            if kind.must_be_fresh and since_s is not None and now_s - since_s > BEHIND_S:
                why = cache.failure or "no answer"
                return Reason(ReasonCode.STALE, f"{name} are those of {render_time(since_s)}: {why}")
            if since_s is None and cache.failure is not None and name in self._seen:  # no longer for us to read
                return Reason(ReasonCode.STALE, f"{name} are no longer known: {cache.failure}")
        return None

    def _list(self, name: str) -> tuple[Json, ...]:
        """Return all objects of one of `_KINDS`."""
        return tuple(item for cache in self._caches.get(name, ()) for item in cache.list())

    def _list_unwatched(self) -> tuple[WorkloadRef, ...]:
        """Return the workloads of further kinds that the configuration, or a scaler with llm-d's keys, claims."""
        claimed = {to_identity(claim.workload): claim.workload for claim in self._claims}
        if Dialect.LLM_D in self.options.dialects:
            scalers = find_scalers(self._list("hpas"), self._list("scaled_objects"))
            for (namespace, name, kind, group), scaler in scalers.items():
                version = get_object(scaler, "spec", "scaleTargetRef").get("apiVersion") or "apps/v1"
                claimed.setdefault((namespace, name, kind, group), WorkloadRef(namespace, name, kind, str(version)))
        return tuple(ref for (_, _, kind, group), ref in claimed.items() if (group, kind) not in _WATCHED_WORKLOADS)

    def _list_scopes(self, resource: Resource) -> tuple[str | None, ...]:
        return self.options.namespaces if resource.namespaced and self.options.namespaces else (None,)

    def _list_caches(self) -> tuple[ObjectCache, ...]:
        return tuple(cache for caches in self._caches.values() for cache in caches)
