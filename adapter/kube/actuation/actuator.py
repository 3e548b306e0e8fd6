"""The only hand that changes workloads: what ``/scale`` is asked for, and which pods go first. It decides no number.

It acts on published, fresh decisions only: never in shadow, never on an old one, never while the watches are behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from adapter.clock import Clock
from adapter.cluster import ClusterView
from adapter.errors import AdapterError, Conflict, NotFound, Unreachable
from adapter.kube.actuation.action import Action, ActionKind
from adapter.kube.actuation.deletion_cost import ANNOTATION, COSTED_KINDS, CostChange, find_cost_changes
from adapter.kube.actuation.step import Permission, Situation, Step, find_step
from adapter.kube.client import KubeClient
from adapter.kube.mapper import ResourceMapper
from adapter.kube.resource import PODS
from adapter.kube.scale import patch_scale, read_scale
from adapter.store import Publication, Series
from optimizer.domain import ModelTraffic, PodKey, VariantKey, VariantTraffic, WorkloadRef

_TRIES = 4


@dataclass(frozen=True, slots=True)
class ActuationOptions:
    """What may be done.

    Attributes
    ----------
    kubernetes_minor
        Of the control plane, 37 for 1.37.
    max_decision_age_s
        Age beyond which a decision is not acted on [s].
    scaled_workloads
        Those whose replicas we set ourselves (``actuation: scale``).
    patches_zero, bridges_tolerance, sets_deletion_cost
        As in the configuration, off by default.
    max_pod_patches
        Most pods written to in one pass.
    """

    kubernetes_minor: int
    max_decision_age_s: float
    scaled_workloads: frozenset[WorkloadRef] = frozenset()
    patches_zero: bool = False
    bridges_tolerance: bool = False
    sets_deletion_cost: bool = False
    max_pod_patches: int = 20

    def get_permission(self, workload: WorkloadRef) -> Permission:
        """Return what may be done to one workload."""
        return Permission(
            self.kubernetes_minor,
            scales=workload in self.scaled_workloads,
            patches_zero=self.patches_zero,
            bridges_tolerance=self.bridges_tolerance,
        )


class Actuator:
    """Takes the steps that nobody else takes.

    Parameters
    ----------
    client, mapper
        The cluster, and its kinds.
    clock
        By which the age of a decision is told.
    """

    def __init__(self, client: KubeClient, mapper: ResourceMapper, clock: Clock) -> None:
        self._client, self._mapper, self._clock = client, mapper, clock
        self._costs: dict[PodKey, int] = {}

    async def act(
        self,
        publication: Publication,
        view: ClusterView,
        options: ActuationOptions,
        zeroed_by: Mapping[WorkloadRef, str] | None = None,
    ) -> tuple[Action, ...]:
        """Do what `options` allow for every published number, and return what was done and what was refused.

        Parameters
        ----------
        publication
            What is published.
        view
            The cluster as the watches know it.
        options
            What may be done.
        zeroed_by
            Who put which workload to zero, as recorded so far; see `record_zeroes`.

        Returns
        -------
        tuple
            Failures among it, one workload's each. When the API cannot be reached the rest is left to the next pass.
        """
        if view.inventory.reason is not None:
            return ()
        actions: list[Action] = []
        series = self._find_acting(publication, options)
        try:
            for entry in series:
                action = await self._act_on(entry, view, options, (zeroed_by or {}).get(entry.workload, ""))
                actions += [action] if action else []
            if options.sets_deletion_cost:
                actions += await self._set_costs(series, publication.traffic, options.max_pod_patches)
        except _Unfinished as stop:
            actions.append(stop.action)
        return tuple(actions)

    def _find_acting(self, publication: Publication, options: ActuationOptions) -> tuple[Series, ...]:
        """Return the numbers to act on: fresh, not in shadow, and the only one of their workload."""
        oldest_s = self._clock.now_s() - options.max_decision_age_s
        published = Counter(entry.workload for entry in publication.series)
        return tuple(
            entry
            for entry in publication.series
            if not entry.is_shadow and entry.decided_at_s >= oldest_s and published[entry.workload] == 1
        )

    # --- Replicas -----------------------------------------------------------------------------------------------------
    async def _act_on(
        self, entry: Series, view: ClusterView, options: ActuationOptions, zeroed_by: str
    ) -> Action | None:
        workload, known = entry.workload, view.inventory.get(entry.workload)
        if known is None or known.requested_replicas is None:
            return None
        followers, permission = view.followers.get(workload, ()), options.get_permission(workload)
        requested = known.requested_replicas
        situation = Situation(workload, entry.replicas, requested, requested, followers, zeroed_by)
        step = find_step(situation, permission)
        if step is None or step.replicas is None:
            return None if step is None else Action(workload, step.kind, step.message, zeroed_by=step.zeroed_by)
        try:
            return await self._ask_again(situation, permission)
        except Unreachable as failure:
            raise _Unfinished(Action(workload, ActionKind.FAILED, str(failure))) from failure
        except Conflict as failure:
            return Action(workload, ActionKind.POSTPONED, f"{step.message}: {failure}")
        except AdapterError as failure:
            return Action(workload, ActionKind.FAILED, f"{step.message}: {failure}")

    async def _ask_again(self, seen: Situation, permission: Permission) -> Action | None:
        """Ask until nobody changes the workload in the same moment, a few times: its status changes often."""
        for _ in range(_TRIES - 1):
            try:
                return await self._ask(seen, permission)
            except Conflict:
                continue
        return await self._ask(seen, permission)

    async def _ask(self, seen: Situation, permission: Permission) -> Action | None:
        """Look at the workload itself, and ask for what is still right then."""
        workload = seen.workload
        resource = await self._mapper.find(workload.api_version, workload.kind)
        scale = await read_scale(self._client, resource, workload.namespace, workload.name)
        now = Situation(
            workload, seen.planned, scale.spec_replicas, scale.status_replicas, seen.followers, seen.zeroed_by
        )
        step: Step | None = find_step(now, permission)
        if step is None or step.replicas is None:
            return None  # somebody else was faster; the watch will tell
        await patch_scale(self._client, resource, workload.namespace, workload.name, step.replicas, seen=scale)
        return Action(workload, step.kind, step.message, now.requested, step.replicas, step.zeroed_by)

    # --- Pods ---------------------------------------------------------------------------------------------------------
    async def _set_costs(
        self, series: tuple[Series, ...], traffic: tuple[ModelTraffic, ...], max_patches: int
    ) -> list[Action]:
        """Write the costs of pods that changed: workloads that are to shrink first, in each the idlest first."""
        seen = {variant.key: variant for model in traffic for variant in model.variants}
        self._forget_pods(seen)
        shrinking_first = sorted(series, key=lambda entry: entry.replicas >= entry.variant.observed_replicas)
        actions: list[Action] = []
        for entry in shrinking_first:
            told = seen.get(entry.variant.key)
            if told is None or entry.workload.kind not in COSTED_KINDS:
                continue
            changes = find_cost_changes(told.pods, self._costs)[:max_patches]
            written = 0
            for change in changes:
                written += await self._write_cost(entry.workload, change)
            max_patches -= len(changes)
            if written:
                message = f"pods that tell anew how busy they are: {written}"
                actions.append(Action(entry.workload, ActionKind.COSTS_SET, message))
        return actions

    async def _write_cost(self, workload: WorkloadRef, change: CostChange) -> bool:
        patch = {"metadata": {"annotations": {ANNOTATION: str(change.cost)}}}
        try:
            await self._client.patch(PODS, change.pod.namespace, change.pod.name, patch)
        except NotFound:
            return False  # it is gone already
        except AdapterError as failure:
            raise _Unfinished(Action(workload, ActionKind.FAILED, f"pod {change.pod.name}: {failure}")) from failure
        self._costs[change.pod] = change.cost
        return True

    def _forget_pods(self, seen: Mapping[VariantKey, VariantTraffic]) -> None:
        present = {pod.pod for variant in seen.values() for pod in variant.pods}
        self._costs = {pod: cost for pod, cost in self._costs.items() if pod in present}


class _Unfinished(Exception):
    """The rest of a pass cannot be done either; carries the action that showed it."""

    def __init__(self, action: Action) -> None:
        self.action = action
        super().__init__(action.message)
