"""One replica: its life, its engine while it serves, and the requests it has. It does not decide when it lives."""

from __future__ import annotations

from enum import Enum

from optimizer.domain import PodKey, Role, VariantKey
from optimizer.simulation.cluster.devices import Placement
from optimizer.simulation.engine import TokenEngine
from optimizer.simulation.request import EndedRequest, EngineRequest


class Life(Enum):
    """What a replica does."""

    PENDING = "pending"  # waits for devices
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"  # finishes what it has
    GONE = "gone"


class Replica:
    """One replica of one variant.

    Attributes
    ----------
    key, pod, ordinal
        Its variant, its identity, and its number among the replicas of its variant.
    life
        What it does.
    created_ns, placed_ns, ready_ns, ended_ns
        When it was asked for, got its devices, became ready and was told to end [ns]; None before.
    placement
        Its devices, None while it waits for them.
    engine
        While it serves and drains, else None.
    attempts
        Attempts to start that crashed.
    routing_rate_per_s
        What instance-aware routers take it for.
    requests
        Index of every request it has by the name the engine knows it by, in the order they came.
    wake_ns
        The moment for which it is planned to be driven [ns], None when it is not.
    """

    __slots__ = (
        "attempts",
        "created_ns",
        "ended_ns",
        "engine",
        "key",
        "life",
        "ordinal",
        "placed_ns",
        "placement",
        "pod",
        "ready_ns",
        "requests",
        "routing_rate_per_s",
        "wake_ns",
    )

    def __init__(self, key: VariantKey, pod: PodKey, ordinal: int, created_ns: int, routing_rate_per_s: float) -> None:
        self.key, self.pod, self.ordinal = key, pod, ordinal
        self.life = Life.PENDING
        self.created_ns = created_ns
        self.placed_ns: int | None = None
        self.ready_ns: int | None = None
        self.ended_ns: int | None = None
        self.placement: Placement | None = None
        self.engine: TokenEngine | None = None
        self.attempts = 0
        self.routing_rate_per_s = routing_rate_per_s
        self.requests: dict[str, int] = {}
        self.wake_ns: int | None = None

    @property
    def load(self) -> int:
        """Requests it has, running and waiting."""
        return len(self.requests)

    def can_hold(self, input_tokens: int, output_tokens: int) -> bool:
        """Return whether what a replica of its role does of such a request fits [tokens]."""
        assert self.engine is not None
        own_tokens = 1 if self.key.role is Role.PREFILL else output_tokens
        return input_tokens + own_tokens <= self.engine.max_request_tokens

    def submit(self, index: int, request: EngineRequest) -> bool:
        """Hand `request`, number `index`, to the engine; return whether it took it."""
        assert self.engine is not None
        if not self.engine.submit(request):
            return False
        self.requests[request.request_id] = index
        return True

    def drive(self, now_ns: int) -> list[tuple[int, EndedRequest]]:
        """Drive the engine to `now_ns` [ns]; return number and record of every request that finished meanwhile."""
        events = () if self.engine is None else self.engine.advance_ns(now_ns)
        pop = self.requests.pop
        return [(pop(event.request_id), event.ended) for event in events if event.ended is not None]
