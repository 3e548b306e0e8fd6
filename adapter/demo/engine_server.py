"""A replica: a token engine behind a real HTTP server, with the metrics page of vLLM or SGLang.

It takes an address, an engine and a clock; it knows neither routers, load, HPA nor clusters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from adapter.clock import Clock
from optimizer.domain import IterationLaw, IterationTable
from optimizer.simulation.request import EndedRequest


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How one replica behaves.

    Attributes
    ----------
    model_name
        The LLM as the engine calls it.
    performance
        Iteration times.
    kv_capacity_tokens
        Size of the KV cache [tokens].
    engine, version
        Whose pages and names it shows, and the version it claims.
    max_running_requests
        Most requests in the batch.
    max_batched_tokens
        Tokens one iteration computes at most, >= `max_running_requests`.
    max_queued_requests
        Requests held beyond the batch before new ones are refused with 503; None means any number.
    max_model_tokens
        Longest prompt plus output; None means what the KV cache holds, at most 131072.
    block_tokens
        Size of a KV block [tokens].
    cached_ratio
        Share of every prompt found in the prefix cache [0-1].
    """

    model_name: str
    performance: IterationLaw | IterationTable
    kv_capacity_tokens: int
    engine: Literal["vllm", "sglang"] = "vllm"
    version: str = "0.32.0"
    max_running_requests: int = 256
    max_batched_tokens: int = 2048
    max_queued_requests: int | None = None
    max_model_tokens: int | None = None
    block_tokens: int = 16
    cached_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Lag:
    """How late a server woke since `take_lag` was last called.

    Attributes
    ----------
    wakes
        How often it woke.
    mean_s, max_s
        Time of the clock from what was due to the wake [s], 0 without one; over the clock's speed it is wall time.
    """

    wakes: int
    mean_s: float
    max_s: float


class EngineServer:
    """One replica on a loopback address.

    Endpoints: ``/metrics``, ``/health``, ``/version``, ``/v1/models``, ``POST /v1/completions``; all answer 503 before
    `ready_s`.

    Parameters
    ----------
    settings
        The engine.
    clock
        Engine time.
    host, port
        Where to listen; port 0 takes any free one.
    ready_s
        When it begins to serve [s]; None means at once.
    on_end
        Called with the record of every request that finished, was rejected, or whose client left.
    """

    def __init__(
        self,
        settings: EngineSettings,
        clock: Clock,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        ready_s: float | None = None,
        on_end: Callable[[EndedRequest], None] | None = None,
    ) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        """Listen; `url` is valid afterwards."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Stop listening and drop every connection; does nothing the second time."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """Base address, such as ``http://127.0.0.1:9001``."""
        raise NotImplementedError

    @property
    def is_ready(self) -> bool:
        """Whether it serves."""
        raise NotImplementedError

    @property
    def running_requests(self) -> int:
        """Requests in the batch."""
        raise NotImplementedError

    @property
    def waiting_requests(self) -> int:
        """Requests queued; running + waiting is 0 when drained."""
        raise NotImplementedError

    def take_lag(self) -> Lag:
        """Return how late the server woke since the last call, and begin anew."""
        raise NotImplementedError
