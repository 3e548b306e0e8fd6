"""What the leader does with decisions: tells them to all replicas and to people, and acts where it was asked to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from adapter.clock import Clock
from adapter.cluster import ClusterView
from adapter.compose.cluster.parts import ClusterParts
from adapter.config.load import LoadedConfiguration
from adapter.errors import AdapterError, Unreachable
from adapter.kube.actuation import Action, ActionKind, ActuationOptions, Actuator
from adapter.kube.decisions import DecisionWatch, DecisionWriter
from adapter.kube.followers import FollowingVerdict, judge_following
from adapter.store import DecisionStore, Publication
from adapter.telemetry import log_event
from optimizer.domain import ModelDecision, ModelTraffic, VariantDecision, WorkloadRef

_QUIET = frozenset({ActionKind.RECORDED, ActionKind.COSTS_SET, ActionKind.POSTPONED})


class ClusterPublisher:
    """Writes decisions as objects, then acts on them; what is served comes back from those objects.

    Parameters
    ----------
    store
        Where this replica keeps every figure, beside the numbers that all replicas serve.
    parts
        Knows what the cluster told when the pass was made.
    watch
        Knows what was told before.
    writer, actuator
        Tell, and act.
    get_options
        Tells what may be done now.
    is_leader
        Whether it may still be done by us.
    clock
        The time of writing.
    """

    def __init__(
        self,
        store: DecisionStore,
        parts: ClusterParts,
        watch: DecisionWatch,
        *,
        writer: DecisionWriter,
        actuator: Actuator,
        get_options: Callable[[], ActuationOptions],
        is_leader: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._store, self._parts, self._watch = store, parts, watch
        self._writer, self._actuator, self._clock = writer, actuator, clock
        self._get_options, self._is_leader = get_options, is_leader
        self._said: frozenset[Action] = frozenset()

    async def publish(self, decisions: tuple[ModelDecision, ...], traffic: tuple[ModelTraffic, ...]) -> None:
        """Tell everybody, then act.

        Raises
        ------
        Unreachable
            When something could not be written; the next pass tries again.
        """
        self._store.detail(decisions, traffic)
        if not self._is_leader():
            raise Unreachable("the lease was lost while deciding: the next leader tells")
        options, zeroed_by = self._get_options(), await self._watch.get_zeroed_by()
        following = judge_all(decisions, self._parts.view, options, zeroed_by)
        report = await self._writer.write(decisions, self._parts.view, following=following, now_s=self._clock.now_s())
        refused = frozenset(trouble.workload for trouble in report.refused)  # others were faster, since the pass began
        publication = Publication(_leave_out(decisions, refused), traffic=traffic)
        if self._is_leader():
            actions = await self._actuator.act(publication, self._parts.view, options, zeroed_by)
            await self._record(actions)
        if report.failures:
            raise Unreachable(f"not everything was told: {report.failures[0]}")

    def count_failed_pass(self) -> None:
        """Count it; what was told stays."""
        self._store.count_failed_pass()

    async def _record(self, actions: tuple[Action, ...]) -> None:
        """Log what was done, what lasts only when it begins, and keep who put what to zero."""
        for action in actions:
            if action.kind not in _QUIET and action not in self._said:
                level = "warning" if action.kind in (ActionKind.REFUSED, ActionKind.FAILED) else "info"
                workload = f"{action.workload.kind} {action.workload.namespace}/{action.workload.name}"
                log_event("acted", level=level, workload=workload, action=action.kind.value, message=action.message)
            if action.zeroed_by is not None:
                try:
                    await self._writer.record_zeroed(action.workload, action.zeroed_by)
                except AdapterError as failure:
                    log_event("zero_not_recorded", level="warning", error=str(failure))
        self._said = frozenset(actions)


def judge_all(
    decisions: tuple[ModelDecision, ...],
    view: ClusterView,
    options: ActuationOptions,
    zeroed_by: Mapping[WorkloadRef, str],
) -> dict[WorkloadRef, FollowingVerdict]:
    """Return whether each published number is followed, by workload."""
    return {
        line.workload: _judge(line, view, options, zeroed_by.get(line.workload, ""))
        for model in decisions
        for line in model.variants
    }


def _judge(line: VariantDecision, view: ClusterView, options: ActuationOptions, zeroed_by: str) -> FollowingVerdict:
    return judge_following(
        line.planned_replicas,
        line.requested_replicas,
        view.followers.get(line.workload, ()),
        workload=line.workload,
        kubernetes_minor=options.kubernetes_minor,
        zero_by_patch=options.patches_zero,
        bridges_tolerance=options.bridges_tolerance,
        acts_by_scale=line.workload in options.scaled_workloads,
        zeroed_by=zeroed_by,
    )


def to_actuation_options(
    loaded: LoadedConfiguration, scaled: Collection[WorkloadRef], kubernetes_minor: int
) -> ActuationOptions:
    """Return what the configuration allows; `scaled` are the workloads whose replicas we set."""
    kubernetes = loaded.configuration.kubernetes
    return ActuationOptions(
        kubernetes_minor=kubernetes_minor,
        max_decision_age_s=loaded.configuration.publishing.max_decision_age_s,
        scaled_workloads=frozenset(scaled),
        patches_zero=kubernetes.patch_zero,
        bridges_tolerance=kubernetes.bridge_tolerance,
        sets_deletion_cost=kubernetes.pod_deletion_cost,
    )


def _leave_out(decisions: tuple[ModelDecision, ...], refused: Collection[WorkloadRef]) -> tuple[ModelDecision, ...]:
    """Return `decisions` without the workloads that are not ours to decide about."""
    return tuple(
        replace(model, variants=tuple(line for line in model.variants if line.workload not in refused))
        for model in decisions
    )
