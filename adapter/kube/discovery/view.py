"""All objects of a cluster to what we make of them: variants, replicas, followers, amounts, troubles. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from adapter.cluster import ClusterView, Follower
from adapter.inventory import Inventory
from adapter.kube.discovery.amounts import read_amounts
from adapter.kube.discovery.candidates import find_candidates
from adapter.kube.discovery.claims import WorkloadClaim
from adapter.kube.discovery.devices import DeviceCounter
from adapter.kube.discovery.memory import Memory
from adapter.kube.discovery.objects import get_name
from adapter.kube.discovery.options import ClusterObjects, DiscoveryOptions
from adapter.kube.discovery.ownership import PodIndex
from adapter.kube.discovery.placement import read_node_accelerator
from adapter.kube.discovery.running import Lens, Running, look_at_workload
from adapter.kube.discovery.shortfall import PlacementSight, step_shortfalls, to_trouble
from adapter.kube.followers import read_followers
from optimizer.domain import WorkloadRef


def build_view(
    objects: ClusterObjects,
    memory: Memory,
    *,
    claims: Iterable[WorkloadClaim],
    options: DiscoveryOptions,
    kubernetes_minor: int,
    now_s: float,
    undecided: frozenset[WorkloadRef] = frozenset(),
) -> tuple[ClusterView, Memory]:
    """Return what `objects` tell at `now_s` [Unix s], and what to remember of it.

    Parameters
    ----------
    memory
        What the last call returned.
    claims
        Workloads that the configuration names.
    kubernetes_minor
        Of the API server, 37 for 1.37.
    undecided
        Workloads that are claimed and yet not decided about: what they use is not ours to plan with.
    """
    counter = DeviceCounter(options.accelerator_resources)
    named = ((get_name(node), read_node_accelerator(node, options.accelerators)) for node in objects.nodes)
    lens = Lens(
        index=PodIndex(objects.pods, objects.replica_sets),
        node_types={name: accelerator for name, accelerator in named if accelerator is not None},
        scaled={entry.workload: entry for entry in objects.scaled},
        catalog=options.accelerators,
        counter=counter,
        memory=memory,
        now_s=now_s,
    )
    candidates = find_candidates(objects, claims, options.dialects, memory.held)
    running = tuple(look_at_workload(candidate, lens) for candidate in candidates.kept)
    sights = {entry.workload: entry.look_at_placement(now_s, options.unschedulable_after_s) for entry in running}
    after = _remember(running, memory, sights, now_s)
    planned = tuple(entry for entry in running if entry.workload not in undecided)
    waiting = (to_trouble(ref, sight, options.unschedulable_after_s) for ref, sight in sights.items() if sight.waiting)
    view = ClusterView(
        inventory=Inventory(tuple(entry.to_inventory() for entry in running if entry.has_known_pods)),
        variants=tuple(entry.facts for entry in running),
        followers=_find_followers(objects, running, options, kubernetes_minor),
        amounts=read_amounts(objects, planned, after.shortfalls, lens=lens, options=options),
        troubles=(*candidates.troubles, *(trouble for entry in running for trouble in entry.troubles), *waiting),
    )
    return view, after


def _remember(
    running: tuple[Running, ...], before: Memory, sights: Mapping[WorkloadRef, PlacementSight], now_s: float
) -> Memory:
    accelerators = {entry.facts.uid: entry.seen_accelerator for entry in running}
    return Memory(
        held={entry.workload: entry.facts.model_id for entry in running if entry.facts.model_id is not None},
        accelerators={uid: accelerator for uid, accelerator in accelerators.items() if accelerator is not None},
        shortfalls=step_shortfalls(before.shortfalls, sights, now_s),
        owners={entry.facts.uid: entry.owner for entry in running if entry.owner is not None},
    )


def _find_followers(
    objects: ClusterObjects, running: tuple[Running, ...], options: DiscoveryOptions, kubernetes_minor: int
) -> Mapping[WorkloadRef, tuple[Follower, ...]]:
    """Return who sets the replicas of our variants; what configuration may change of their labels is left open."""
    labels = {
        entry.workload: {"model_name": entry.facts.model_id or "", "variant": entry.facts.variant or ""}
        for entry in running
    }
    followers = read_followers(
        objects.hpas,
        objects.scaled_objects,
        objects.pod_autoscalers,
        kubernetes_minor=kubernetes_minor,
        page_units_per_replica=options.page_units_per_replica,
        series_labels=labels,
    )
    return {workload: found for workload, found in followers.items() if workload in labels}
