"""Amounts that bound plans: quotas of namespaces, free devices of nodes, replicas that found a place. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adapter.cluster import ClusterAmount
from adapter.kube.client import Json
from adapter.kube.discovery.nodes import read_node_amounts
from adapter.kube.discovery.objects import get_namespace, get_uid, list_templates
from adapter.kube.discovery.options import ClusterObjects, DiscoveryOptions
from adapter.kube.discovery.quotas import QuotaUser, read_quota_amounts
from adapter.kube.discovery.running import Lens, Running
from adapter.kube.discovery.shortfall import Shortfall, to_amount
from adapter.kube.json_fields import get_objects
from optimizer.domain import WorkloadRef


def read_amounts(
    objects: ClusterObjects,
    running: tuple[Running, ...],
    shortfalls: Mapping[WorkloadRef, Shortfall],
    *,
    lens: Lens,
    options: DiscoveryOptions,
) -> tuple[ClusterAmount, ...]:
    """Return every amount that bounds plans now; what is not told is unknown, neither 0 nor infinite.

    `running` are the workloads that are planned for; pods of all others take from what there is.
    """
    planned = {entry.workload for entry in running}
    bounds = ((ref, found) for ref, found in shortfalls.items() if ref in planned and found.is_in_force(lens.now_s))
    amounts = [to_amount(ref, found) for ref, found in bounds]
    ours = frozenset(get_uid(pod) for entry in running for pod in entry.pods or ())
    if options.has_quotas:
        amounts += _read_quotas(objects, running, ours, lens)
    # Without rights on nodes the list is empty, which tells nothing; nor do nodes of whose pods some are unseen.
    if options.has_nodes and objects.nodes and not options.namespaces:
        amounts += read_node_amounts(
            objects.nodes,
            objects.pods,
            ours,
            accelerators=[entry.facts.accelerator for entry in running if entry.facts.accelerator is not None],
            tolerations=[toleration for entry in running for toleration in _list_tolerations(entry.document)],
            counter=lens.counter,
            catalog=lens.catalog,
        )
    return tuple(amounts)


def _read_quotas(
    objects: ClusterObjects, running: tuple[Running, ...], ours: frozenset[str], lens: Lens
) -> Iterator[ClusterAmount]:
    for quota in objects.resource_quotas:
        namespace = get_namespace(quota)
        users = [
            QuotaUser(_get_templates(entry.document), entry.template.devices, entry.facts.accelerator)
            for entry in running
            if entry.workload.namespace == namespace
        ]
        if users:
            others = (pod for pod in lens.index.by_namespace.get(namespace, ()) if get_uid(pod) not in ours)
            yield from read_quota_amounts(quota, others, users, lens.counter, lens.now_s)


def _get_templates(document: Json) -> tuple[Json, ...]:
    return tuple(template for template, _ in list_templates(document))


def _list_tolerations(document: Json) -> tuple[Json, ...]:
    templates = _get_templates(document)
    return tuple(entry for template in templates for entry in get_objects(template, "spec", "tolerations"))
