"""The optimizer of AIBrix on demand as pages tell it: which requests it remembers, and one loop over them.

Unlike the peer it divides by the time that was watched, silence included, instead of the span of time stamps, so that
neither the first loop nor the end of traffic reads ten times the rate; and it speaks of whole replicas only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from optimizer.demand import DemandHistory
from optimizer.domain import Workload
from optimizer.policy.aibrix.gpu_optimizer import (
    CapacityProfile,
    OptimizedDeployment,
    OptimizerState,
    find_window_begin_s,
    step_optimizer,
    to_points,
)
from optimizer.policy.aibrix.memory import OptimizerMemory, SpreadDocument
from optimizer.policy.aibrix.request_trace import INTERVAL_S
from optimizer.policy.aibrix.spreading import share_lengths, write_spread


def track_requests(
    memory: OptimizerMemory, history: DemandHistory, workload: Workload | None, now_s: float
) -> OptimizerMemory:
    """Return the memory with the demand of `history` that is new at `now_s` [s], its lengths those of `workload`."""
    told_s = -math.inf if memory.told_s is None else memory.told_s
    fresh = [sample for sample in history.samples if sample.end_s > told_s]
    if not fresh or workload is None:
        return memory
    if memory.told_s is None:
        fresh = fresh[-1:]  # what was before it began is none of its business
    requests = math.fsum(sample.rate_per_s * sample.duration_s for sample in fresh)
    interval_s = math.fsum(sample.duration_s for sample in fresh)
    documents = memory.documents
    if documents and documents[-1].interval_s + interval_s <= INTERVAL_S:
        requests, interval_s = requests + documents[-1].requests, interval_s + documents[-1].interval_s
        documents = documents[:-1]
    newest = SpreadDocument(now_s, requests, interval_s, share_lengths(workload))
    return replace(memory, told_s=fresh[-1].end_s, documents=(*documents, newest))


def step_requests(
    memory: OptimizerMemory,
    now_s: float,
    profiles: Mapping[str, CapacityProfile],
    deployments: Sequence[OptimizedDeployment],
) -> OptimizerMemory:
    """Return the memory after a loop at `now_s` [s], with the replicas wanted of every one of `deployments`."""
    start_s = now_s if memory.start_s is None else memory.start_s
    begin_s = find_window_begin_s(start_s, now_s)
    documents = tuple(entry for entry in memory.documents if entry.time_s >= begin_s)
    written = [(entry.time_s, write_spread(entry.shares, entry.requests, entry.interval_s)) for entry in documents]
    is_new = bool(documents) and documents[-1].time_s == now_s
    older = tuple((time_s, to_points(document)) for time_s, document in (written[:-1] if is_new else written))
    found = OptimizerState.start(deployments).gauge
    gauge = {name: memory.replicas.get(name, count) for name, count in found.items()}
    before = OptimizerState(start_s, tuple(entry for entry in older if entry[1]), gauge)
    newest = written[-1][1] if is_new else None
    covered_s = math.fsum(entry.interval_s for entry in documents)
    after = step_optimizer(before, newest, now_s, profiles, deployments, covered_s=covered_s)
    replicas = {entry.name: after.get_replicas(entry.name) for entry in deployments}
    return replace(memory, start_s=start_s, documents=documents, replicas=replicas)
