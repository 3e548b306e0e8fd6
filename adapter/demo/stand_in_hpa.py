"""A stand-in for the pod autoscalers of a cluster: reads the external metrics API over HTTP, and scales the fleet.

It asks as Kubernetes' controller asks and follows its arithmetic; whatever goes wrong, it keeps what is there.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

import aiohttp

from adapter.clock import Clock
from adapter.demo.fleet import Fleet
from adapter.errors import BadDocument, Refused, Unreachable
from optimizer.domain import PodPhase, WorkloadRef
from optimizer.simulation import (
    Behavior,
    HpaSpec,
    HpaState,
    PolicyType,
    ReplicaCounts,
    ScalingRules,
    StepPolicy,
    SyncOutcome,
    step_hpa,
)

METRIC = "deployment_replicas"
ACCEPT = "application/vnd.kubernetes.protobuf, */*"
_USER = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
_SUFFIXES = {"": Decimal(1), "m": Decimal("0.001"), "k": Decimal(1000), "M": Decimal(1_000_000)}

_LOG = logging.getLogger(__name__)


def make_recommended_spec(max_replicas: int) -> HpaSpec:
    """Return the autoscaler we recommend: every published count, zero included, is followed exactly and at once."""
    free_up = ScalingRules((StepPolicy(PolicyType.PODS, max_replicas),), tolerance_ratio=0.0)
    free_down = ScalingRules((StepPolicy(PolicyType.PERCENT, 100),), tolerance_ratio=0.0)
    return HpaSpec(min_replicas=0, max_replicas=max_replicas, behavior=Behavior(free_up, free_down))


@dataclass(slots=True)
class _Autoscaler:
    spec: HpaSpec
    state: HpaState = field(default_factory=HpaState)
    problem: str = ""


class StandInHpa:
    """One autoscaler per workload.

    Parameters
    ----------
    fleet
        What it scales.
    specs
        The autoscalers, by workload.
    api_url
        Base address of the external metrics API.
    clock
        Fleet time.
    sync_s
        Time between two looks [s of the clock].
    timeout_s
        Patience with one answer [s of wall time].
    """

    def __init__(
        self,
        fleet: Fleet,
        specs: Mapping[WorkloadRef, HpaSpec],
        api_url: str,
        clock: Clock,
        *,
        sync_s: float = 15.0,
        timeout_s: float = 5.0,
    ) -> None:
        self._fleet = fleet
        self._autoscalers = {ref: _Autoscaler(spec) for ref, spec in specs.items()}
        self._api_url = api_url
        self._clock = clock
        self._sync_s = sync_s
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    @property
    def problems(self) -> Mapping[WorkloadRef, str]:
        """Why a workload was not scaled at the latest sync, for those that were not."""
        return {ref: scaler.problem for ref, scaler in self._autoscalers.items() if scaler.problem}

    async def run(self) -> None:
        """Look every `sync_s`, for ever."""
        async with aiohttp.ClientSession(timeout=self._timeout) as session:
            due_s = self._clock.now_s()
            while True:
                await asyncio.gather(*(self.sync(session, ref) for ref in self._autoscalers))
                due_s = max(due_s + self._sync_s, self._clock.now_s())
                await self._clock.sleep_until(due_s)

    async def sync(self, session: aiohttp.ClientSession, ref: WorkloadRef) -> None:
        """Look at the metric of `ref` once, and scale it."""
        scaler = self._autoscalers[ref]
        try:
            values: tuple[int, ...] | None = await fetch_values_milli(session, self._api_url, ref)
            scaler.problem = ""
        except (Unreachable, Refused, BadDocument) as failure:
            values, problem = None, str(failure)
            if problem != scaler.problem:
                _LOG.warning("autoscaler of %s/%s holds: %s", ref.namespace, ref.name, problem)
            scaler.problem = problem
        sync, scaler.state = step_hpa(scaler.spec, scaler.state, self._count(ref), [values], self._clock.now_s())
        if sync.outcome is not SyncOutcome.METRIC_FAILED and sync.replicas != self._fleet.get_requested(ref):
            self._fleet.set_requested(ref, sync.replicas)

    def _count(self, ref: WorkloadRef) -> ReplicaCounts:
        starting = len(self._fleet.get_replicas(ref, PodPhase.STARTING))
        ready = len(self._fleet.get_replicas(ref, PodPhase.READY))
        return ReplicaCounts(spec=self._fleet.get_requested(ref), status=starting + ready, ready=ready)


async def fetch_values_milli(session: aiohttp.ClientSession, api_url: str, ref: WorkloadRef) -> tuple[int, ...]:
    """Return the values the external metrics API shows for `ref` [1/1000 replicas].

    Raises
    ------
    Unreachable
        When nobody answers in time, or with a failure of the server.
    Refused
        When the answer is another refusal.
    BadDocument
        When the answer cannot be read, or lists nothing, which is no zero.
    """
    url = f"{api_url}/apis/external.metrics.k8s.io/v1beta1/namespaces/{ref.namespace}/{METRIC}"
    headers = {"Accept": ACCEPT, "X-Remote-User": _USER}
    try:
        query = {"labelSelector": f"deployment={ref.name}"}
        async with session.get(url, params=query, headers=headers) as response:
            document = await response.json(content_type=None)
            status = response.status
    except (aiohttp.ClientError, TimeoutError) as cause:
        raise Unreachable(f"external metrics API: {type(cause).__name__} {cause}") from cause
    except ValueError as cause:
        raise BadDocument(f"external metrics API: {cause}") from cause
    if status != 200:
        message = document.get("message", "") if isinstance(document, dict) else ""
        raise (Unreachable if status >= 500 else Refused)(f"external metrics API answered {status}: {message}")
    try:
        values = tuple(parse_quantity_milli(item["value"]) for item in document["items"])
    except (KeyError, TypeError) as cause:
        raise BadDocument(f"external metrics API: {type(cause).__name__}: {cause}") from cause
    if not values:
        raise BadDocument("external metrics API listed no series")
    return values


def parse_quantity_milli(text: str) -> int:
    """Return a Kubernetes quantity such as ``4`` or ``4500m`` in thousandths, rounded up.

    Raises
    ------
    BadDocument
        When `text` is no quantity.
    """
    number = text.rstrip("mkM")
    try:
        return math.ceil(Decimal(number) * _SUFFIXES[text[len(number) :]] * 1000)
    except (InvalidOperation, KeyError, ValueError, OverflowError) as cause:
        raise BadDocument(f"{text!r} is no quantity") from cause
