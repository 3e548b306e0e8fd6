"""What SkyServe's launcher does in a simulated cluster: the cheapest type with free quota, and who is shut down.

The scaler names a number; the launcher names the type. It counts no arrivals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from optimizer.domain import PodPhase, PodState, ServedModel, Settings, VariantKey
from optimizer.policy.skyserve.replicas import PeerReplica, Status, choose_removed
from optimizer.simulation.deciders.pools import Pool

_STATUSES = {
    PodPhase.READY: Status.READY,
    PodPhase.STARTING: Status.STARTING,
    PodPhase.TERMINATING: Status.SHUTTING_DOWN,
}


class Launcher:
    """Turns a number of replicas of one LLM into replicas by variant.

    Parameters
    ----------
    settings
        LLMs and prices.
    quota
        Devices that may be used, by accelerator; of one that is absent as many as asked for.
    """

    def __init__(self, settings: Settings, quota: Mapping[str, int]) -> None:
        self._settings, self._quota = settings, dict(quota)

    def launch(
        self, model: ServedModel, pools: Sequence[Pool], count: int, used_devices: dict[str, int]
    ) -> dict[VariantKey, int]:
        """Return the replicas asked for with `count` more, as far as there is room; `used_devices` is kept up."""
        counts = {pool.key: pool.requested_replicas for pool in pools}
        variants = {variant.key(variant.main_role): variant for variant in model.variants}
        ordered = sorted(pools, key=lambda pool: self._settings.get_replica_cost_per_hour(variants[pool.key]))
        for _ in range(count):
            for pool in ordered:
                variant = variants[pool.key]
                used = used_devices.get(variant.accelerator, 0) + variant.accelerators_per_replica
                if counts[pool.key] < pool.max_replicas and used <= self._quota.get(variant.accelerator, used):
                    used_devices[variant.accelerator] = used
                    counts[pool.key] += 1
                    break
        return counts

    @staticmethod
    def remove(
        pools: Sequence[Pool],
        replicas: Sequence[tuple[VariantKey, PeerReplica]],
        count: int,
        rates_per_s: Mapping[str, float] | None,
    ) -> dict[VariantKey, int]:
        """Return the replicas asked for with `count` fewer, those that go first gone."""
        counts = {pool.key: pool.requested_replicas for pool in pools}
        owners = {replica.id: key for key, replica in replicas}
        for replica in choose_removed([replica for _, replica in replicas], count, rates_per_s):
            counts[owners[replica.id]] = max(counts[owners[replica.id]] - 1, 0)
        return counts


def list_replicas(model: ServedModel, pools: Sequence[Pool]) -> list[tuple[VariantKey, PeerReplica]]:
    """Return the replicas of `pools` with their variants: ids grow with age; what has no pod yet is provisioning."""
    names = {variant.key(variant.main_role): name_accelerator(variant.accelerator) for variant in model.variants}
    found: list[tuple[float, int, VariantKey, Status]] = []
    for position, pool in enumerate(pools):
        living = [pod for pod in pool.state.pods if pod.phase is not PodPhase.TERMINATING]
        for pod in pool.state.pods:
            found.append((_get_age_s(pod), position, pool.key, _STATUSES[pod.phase]))
        absent = max(pool.requested_replicas - len(living), 0)
        found += [(float("inf"), position, pool.key, Status.PROVISIONING)] * absent
    found.sort(key=lambda entry: entry[:2])
    return [(key, PeerReplica(names[key], status, number)) for number, (_, _, key, status) in enumerate(found)]


def name_accelerator(name: str) -> str:
    """Return what the peer must call an accelerator: capitals and digits alone."""
    return re.sub(r"[^A-Z0-9]", "", name.upper()) or "X"


def count_devices(model: ServedModel, pools: Sequence[Pool]) -> dict[str, int]:
    """Return the devices that replicas asked for use, by accelerator."""
    variants = {variant.key(variant.main_role): variant for variant in model.variants}
    used: dict[str, int] = {}
    for pool in pools:
        variant = variants[pool.key]
        devices = pool.requested_replicas * variant.accelerators_per_replica
        used[variant.accelerator] = used.get(variant.accelerator, 0) + devices
    return used


def _get_age_s(pod: PodState) -> float:
    return 0.0 if pod.created_s is None else pod.created_s
