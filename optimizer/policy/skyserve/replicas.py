"""Replicas as SkyServe sees them, and the order in which they are removed. It decides no number.

    plain            stage, older version, newer id
    instance-aware   smaller rate, older version, newer id

Source
------
SkyServe (``sky/serve``) at 01836b312d03. The stage is meant to come first in the instance-aware order too, but its
values compare equal there: a large replica that is starting outlives a small one that is ready.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from optimizer.policy.skyserve.rates import get_autoscaler_rate_per_s


class Status(StrEnum):
    """Life of a replica."""

    PENDING = "PENDING"
    PROVISIONING = "PROVISIONING"
    STARTING = "STARTING"
    NOT_READY = "NOT_READY"
    READY = "READY"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    FAILED = "FAILED"
    PREEMPTED = "PREEMPTED"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing comes of it any more."""
        return self in (Status.SHUTTING_DOWN, Status.FAILED, Status.PREEMPTED)

    @property
    def has_capacity(self) -> bool:
        """Whether the instance-aware rule counts its rate as capacity."""
        return self in (Status.READY, Status.STARTING, Status.PROVISIONING)


STAGES = (Status.PENDING, Status.PROVISIONING, Status.STARTING, Status.NOT_READY, Status.READY)
"""In the order in which they are removed."""


@dataclass(frozen=True, slots=True)
class PeerReplica:
    """One replica.

    Attributes
    ----------
    accelerator
        Name of its first accelerator.
    status
        Where it is in its life.
    id, version
        Both grow with time; an id is unique.
    """

    accelerator: str
    status: Status
    id: int = 0
    version: int = 1


def order_plain(replica: PeerReplica) -> tuple[int, int, int]:
    """Return the key of the plain order of removal."""
    return STAGES.index(replica.status), replica.version, -replica.id


def order_by_rate(rates_per_s: Mapping[str, float]) -> Callable[[PeerReplica], tuple[float, int, int]]:
    """Return the key of the instance-aware order of removal, for rates by accelerator [1/s]."""

    def rank(replica: PeerReplica) -> tuple[float, int, int]:
        return get_autoscaler_rate_per_s(replica.accelerator, rates_per_s), replica.version, -replica.id

    return rank


def choose_removed(
    replicas: Iterable[PeerReplica], count: int, rates_per_s: Mapping[str, float] | None = None
) -> Sequence[PeerReplica]:
    """Return the `count` replicas that are removed first, of those that are not terminal; plain without a table."""
    living = [replica for replica in replicas if not replica.status.is_terminal]
    if rates_per_s is None:
        return sorted(living, key=order_plain)[: max(count, 0)]
    return sorted(living, key=order_by_rate(rates_per_s))[: max(count, 0)]
