"""Sections about working in a Kubernetes cluster: who we are there, and what we may change. Data and rules only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapter.config.amounts import duration
from adapter.config.fields import option, rule
from adapter.config.kinds import Flag, Text
from adapter.config.problems import Problem
from adapter.config.quantities import render_duration
from adapter.config.schema.names import KUBERNETES_NAME
from adapter.config.section import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderElectionConfig:
    """Which of several replicas of ours decides: the one that holds a Lease."""

    enabled: bool = option(
        Flag(),
        default=True,
        meaning="Decide only while holding the lease; `false` suits a single replica that is never run twice.",
        why="Two replicas that both decide would publish two numbers.",
    )
    lease_s: float = option(
        duration(at_least=1),
        default=12.0,
        meaning="Time after which a lease that was not renewed may be taken over, in whole seconds.",
        why="With `retry` a takeover after a crash takes less than 15 s, one sync of HPA.",
    )
    renew_s: float = option(
        duration(above=0),
        default=8.0,
        meaning="Time within which the holder must have renewed its lease; else it stops deciding.",
        why="It must have stopped before another one may begin.",
    )
    retry_s: float = option(
        duration(above=0),
        default=2.0,
        meaning="Pause between two attempts to take or renew it.",
        why="Four attempts fit into `renew`: one lost request is no reason to give up.",
    )

    @rule("lease", "renew", "retry")
    def check_order(self) -> Iterator[Problem]:
        """Yield a problem unless retry < renew < lease."""
        if self.lease_s != int(self.lease_s):
            yield Problem(
                "lease", f"must be whole seconds, as Lease objects hold it, got {render_duration(self.lease_s)}"
            )
        for key, shorter_s, bound, longer_s in (
            ("renew", self.renew_s, "lease", self.lease_s),
            ("retry", self.retry_s, "renew", self.renew_s),
        ):
            if shorter_s >= longer_s:
                given = render_duration(shorter_s)
                yield Problem(key, f"must be < {bound} {render_duration(longer_s)}, got {given}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServiceConfig:
    """The APIService through which the cluster asks us for external metrics; there is one per cluster."""

    manage: bool = option(
        Flag(),
        default=True,
        meaning="Keep the authority of a `self_signed` certificate in it. The chart makes the object: an absent one is "
        "told about and not made, one that belongs to another product never touched.",
        why="Nobody else knows an authority that we made.",
    )
    service: str = option(
        KUBERNETES_NAME,
        default="variant-autoscaler",
        meaning="Name of our Service in our namespace; a `self_signed` certificate is made out to it.",
        why="As the chart names it.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesConfig:
    """Who we are in the cluster and what we may change there; for `discovery.kind: kubernetes`.

    A change takes effect at the next start.
    """

    kubeconfig: str | None = option(
        Text("path of a file"),
        default=None,
        meaning="File that tells how to reach the cluster; none takes the account of our pod, else the usual "
        "kubeconfig of the user.",
    )
    namespace: str | None = option(
        KUBERNETES_NAME,
        default=None,
        meaning="Our own namespace, where lease, state and certificate are kept; none takes POD_NAMESPACE, else that "
        "of our service account, else `default`.",
    )
    installation: str = option(
        KUBERNETES_NAME,
        default="variant-autoscaler",
        meaning="Name of this installation; with our namespace it is who we are to other installations.",
        why="As the chart names its release.",
    )
    leader_election: LeaderElectionConfig = option(
        Section(LeaderElectionConfig), default=LeaderElectionConfig(), meaning="Which of several replicas decides."
    )
    events: bool = option(
        Flag(),
        default=True,
        meaning="Write events on workloads when a decision changes or something is wrong.",
        why="`kubectl describe` is where people look first.",
    )
    state_interval_s: float = option(
        duration(above=0),
        default=300.0,
        meaning="The memory of deciding is written on every change of a plan, and otherwise this often.",
        why="A crash then loses five minutes of a forecast's history at most, and the API server is left in peace.",
    )
    pod_deletion_cost: bool = option(
        Flag(),
        default=False,
        meaning="Annotate pods with `controller.kubernetes.io/pod-deletion-cost` by their running requests, so that "
        "the idlest goes first.",
        why="It writes to pods, which takes a right that nothing else needs.",
    )
    bridge_tolerance: bool = option(
        Flag(),
        default=False,
        meaning="Patch `/scale` where the tolerance of an HPA would lose a step.",
        why="Two writers of one number are a choice; tolerance 0 in the HPA needs no second one.",
    )
    patch_zero: bool = option(
        Flag(),
        default=False,
        meaning="Patch `/scale` between 0 and 1 where the HPA cannot; its `minReplicas` of 1 is then no lower bound.",
        why="Going to zero by our own hand is a choice.",
    )
    api_service: ApiServiceConfig = option(
        Section(ApiServiceConfig), default=ApiServiceConfig(), meaning="How the cluster finds our API."
    )
