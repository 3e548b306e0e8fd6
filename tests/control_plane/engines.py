"""What runs in the pods of a fake node: simulated engines behind real HTTP servers. It chooses none by itself."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

from adapter.clock import Clock
from adapter.demo.engine_server import EngineServer, EngineSettings
from adapter.kube.client import Json
from optimizer.domain import IterationLaw
from tests.control_plane.fake_pod_life import MakeServer

ENGINE = EngineSettings(
    model_name="model",
    performance=IterationLaw(0.01, 0.0, 0.0, 0.0),
    kv_capacity_tokens=100_000,
    mean_output_tokens=None,
)
"""One whose iterations all take 10 ms, and whose outputs are as long as was asked for."""


def run_engines(clock: Clock, choose: Callable[[Json], EngineSettings | None]) -> MakeServer:
    """Return what makes the engine of a pod: as `choose` says, with noise of its own; nothing where it says None."""

    def make(pod: Json, host: str, port: int, ready_s: float) -> EngineServer | None:
        settings = choose(pod)
        if settings is None:
            return None
        seeded = replace(settings, seed=zlib.crc32(pod["metadata"]["name"].encode()))
        return EngineServer(seeded, clock, host, port, ready_s=ready_s)

    return make
