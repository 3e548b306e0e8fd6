"""What a fleet says of itself while it runs and at the end, as one plain document. It reads parts, and changes none.

Its words are read by another process: the one that shows the live table and the summary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from adapter.demo.catalog import DemoModel
from adapter.demo.fleet import FleetWorkload, ReplicaBill
from adapter.demo.request_log import Attainment, Fate, RequestLog, RequestRecord, is_met
from optimizer.domain import ModelKey, PodPhase, WorkloadRef

Document = dict[str, Any]

ATTAINMENT_STEP_S = 10.0


class RunningFleet(Protocol):
    """What is asked of a fleet; `adapter.demo.fleet.Fleet` is one."""

    @property
    def workloads(self) -> tuple[FleetWorkload, ...]:
        """What there is."""
        ...

    def get_requested(self, ref: WorkloadRef) -> int:
        """Return the replicas that are asked for."""
        ...

    def get_replicas(self, ref: WorkloadRef, phase: PodPhase) -> Sequence[object]:
        """Return the replicas of `ref` in `phase`."""
        ...

    def to_bills(self, ref: WorkloadRef | None = None) -> list[ReplicaBill]:
        """Return the bill of every replica there is or was, of `ref` or of all workloads."""
        ...


def to_status(
    models: Sequence[DemoModel],
    fleet: RunningFleet,
    log: RequestLog,
    waiting: Mapping[ModelKey, int],
    *,
    begin_s: float,
    now_s: float,
) -> Document:
    """Return the present state of the fleet.

    Parameters
    ----------
    models
        The LLMs.
    fleet, log
        Replicas and requests.
    waiting
        Requests the router holds, per LLM.
    begin_s, now_s
        When the traffic began, and now [s].
    """
    recent, recent_by_replica = log.compute_recent(now_s), log.compute_recent_by_replica(now_s)
    return {
        "now_s": now_s,
        "begin_s": begin_s,
        "cost": compute_cost(fleet.to_bills(), begin_s, now_s),
        "models": [
            {
                "namespace": model.key.namespace,
                "model_id": model.key.model_id,
                "nickname": model.nickname,
                "held_requests": waiting.get(model.key, 0),
                "fates": {fate.value: log.fates.get((model.key, fate), 0) for fate in Fate},
                "recent": _to_pair(recent.get(model.key)),
                "total": _to_pair(log.judged.get(model.key)),
            }
            for model in models
        ],
        "workloads": [_to_workload(fleet, workload, log, recent_by_replica) for workload in fleet.workloads],
    }


def to_report(
    models: Sequence[DemoModel], fleet: RunningFleet, log: RequestLog, begin_s: float, now_s: float
) -> Document:
    """Return what a summary needs beside the status: every request, and the latencies of engine and client.

    Requests are rows of: number of the LLM in `models`, arrival after `begin_s` [s], input and output tokens.
    Attainment is one list per LLM, of rows: beginning of ten seconds after `begin_s` [s], requests that arrived within
    and ended, those of them that met every target.
    """
    late = log.judge_open(now_s)
    status = to_status(models, fleet, log, {}, begin_s=begin_s, now_s=now_s)
    for workload, document in zip(fleet.workloads, status["workloads"], strict=True):
        document["cost"] = compute_cost(fleet.to_bills(workload.ref), begin_s, now_s)
    numbers = {model.key: number for number, model in enumerate(models)}
    return {
        **status,
        "open_missed": [late.get(model.key, Attainment()).requests for model in models],
        "latencies": [_to_latencies(log.select(model.key)) for model in models],
        "attainment": [_to_attainment(log, model.key, begin_s, now_s) for model in models],
        "requests": [
            [numbers[record.key], round(record.arrived_s - begin_s, 4), record.input_tokens, record.output_tokens]
            for record in log.records
        ],
    }


def _to_attainment(log: RequestLog, key: ModelKey, begin_s: float, now_s: float) -> list[list[float]]:
    steps = int((now_s - begin_s) // ATTAINMENT_STEP_S) + 1
    found = [Attainment() for _ in range(steps)]
    for record in log.select(key, begin_s, now_s):
        if record.fate is not Fate.OPEN:
            found[int((record.arrived_s - begin_s) // ATTAINMENT_STEP_S)].add(is_met(record, log.slos[key]))
    return [[index * ATTAINMENT_STEP_S, step.requests, step.met] for index, step in enumerate(found)]


def compute_cost(bills: Sequence[ReplicaBill], begin_s: float, now_s: float) -> float:
    """Return what replicas cost between `begin_s` and `now_s` [currency]: each from its creation to its deletion."""
    return sum(bill.compute_cost(now_s) - bill.compute_cost(begin_s) for bill in bills)


def _to_workload(
    fleet: RunningFleet, workload: FleetWorkload, log: RequestLog, recent: Mapping[str, Attainment]
) -> Document:
    counts = {phase: len(fleet.get_replicas(workload.ref, phase)) for phase in PodPhase}
    owner = f"{workload.ref.name}-"
    return {
        "namespace": workload.ref.namespace,
        "name": workload.ref.name,
        "model_id": workload.variant.model_id,
        "variant": workload.variant.name,
        "accelerator": workload.variant.accelerator,
        "requested": fleet.get_requested(workload.ref),
        **{phase.value: count for phase, count in counts.items()},
        "cost_per_hour": sum(counts.values()) * workload.cost_per_hour,
        "recent": _to_pair(_sum_owned(recent, owner)),
        "total": _to_pair(_sum_owned(log.judged_by_replica, owner)),
    }


def _sum_owned(by_replica: Mapping[str, Attainment], owner: str) -> Attainment:
    owned = [found for name, found in by_replica.items() if name.rpartition("-")[0] + "-" == owner]
    return Attainment(sum(found.requests for found in owned), sum(found.met for found in owned))


def _to_pair(attainment: Attainment | None) -> list[int]:
    return [0, 0] if attainment is None else [attainment.requests, attainment.met]


def _to_latencies(records: Sequence[RequestRecord]) -> Document:
    """Return means and high quantiles [s]: of engine time, and of what the client saw."""
    finished = [record for record in records if record.fate is Fate.FINISHED]
    client = [record for record in finished if record.client_first_s is not None]
    return {
        "engine_ttft": _describe([record.ttft_s for record in finished if record.ttft_s is not None]),
        "engine_itl": _describe([record.itl_s for record in finished if record.itl_s is not None]),
        "client_ttft": _describe([(record.client_first_s or 0.0) - record.arrived_s for record in client]),
        "client_itl": _describe([itl_s for record in client if (itl_s := _compute_client_itl_s(record)) is not None]),
    }


def _compute_client_itl_s(record: RequestRecord) -> float | None:
    if record.client_first_s is None or record.client_end_s is None or record.output_tokens < 2:
        return None
    return (record.client_end_s - record.client_first_s) / (record.output_tokens - 1)


def _describe(values_s: list[float]) -> Document:
    if not values_s:
        return {"count": 0}
    ordered = sorted(values_s)
    last = len(ordered) - 1
    return {
        "count": len(ordered),
        "mean_s": sum(ordered) / len(ordered),
        "p50_s": ordered[round(0.5 * last)],
        "p99_s": ordered[round(0.99 * last)],
    }
