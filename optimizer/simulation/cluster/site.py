"""What all parts of one simulated cluster share. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.simulation.cluster.events import EventQueue
from optimizer.simulation.cluster.options import ClusterOptions


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """What all parts share.

    Attributes
    ----------
    queue
        The future.
    options, seed
        Of the run.
    end_ns
        The horizon [ns]: nothing is billed or scaled after it, and what crashes then is not started again.
    """

    queue: EventQueue
    options: ClusterOptions
    seed: int
    end_ns: int
