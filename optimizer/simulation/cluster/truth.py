"""From the truth about a variant to the step time of one of its replicas, and what routers take it for."""

from __future__ import annotations

from optimizer.domain import IterationLaw, IterationTable
from optimizer.simulation.cluster.chance import Purpose, make_stream
from optimizer.simulation.cluster.scenario import Plant
from optimizer.simulation.step_time import StepTime, make_step_time
from optimizer.simulation.ticks import TICKS_PER_S

_REFERENCE_BATCH = 32
_REFERENCE_CONTEXT_TOKENS = 1500


def make_replica_step_time(plant: Plant, seed: int, variant: int, ordinal: int) -> StepTime:
    """Return the step time of replica number `ordinal` of variant number `variant` in the run of `seed`."""
    if isinstance(plant.performance, IterationLaw | IterationTable):
        return make_step_time(plant.performance)
    return plant.performance(ordinal, make_stream(seed, Purpose.ENGINE, variant, ordinal))


def compute_routing_rate_per_s(plant: Plant, seed: int) -> float:
    """Return what instance-aware routers take a replica for [1/s, or in proportion]; see `Plant`."""
    if plant.routing_rate_per_s is not None:
        return plant.routing_rate_per_s
    batch = min(_REFERENCE_BATCH, plant.limits.max_running_requests)
    step_time = make_replica_step_time(plant, seed, 0, 0)
    first = step_time.plan_steps(batch, batch * _REFERENCE_CONTEXT_TOKENS, 0, 0).first_ticks
    return batch * TICKS_PER_S / first
