"""How many tokens the simulated engine carries: alone, and through its HTTP server, one token an event, in one process.

Alone it leaps from one change of its batch to the next, so it is compared with itself made to iterate. The server runs
in a process of its own; the client only counts frames, so that it is not what is measured.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from multiprocessing.connection import Connection

import numpy as np

from adapter.clock import ScaledClock
from adapter.demo.engine_server import EngineServer, EngineSettings
from optimizer.domain import IterationLaw
from optimizer.simulation import EngineLimits, EngineRequest, TokenEngine, make_step_time
from tests.builders.single_steps import SingleSteps

LEAPT_REQUESTS = 4000
STREAMS = 64
WALL_S = 4.0
LAW = IterationLaw(fixed_s=0.01, per_request_s=2e-4, per_context_token_s=3e-7, per_prompt_token_s=5e-5)
FAST = IterationLaw(fixed_s=5e-4, per_request_s=0.0, per_context_token_s=0.0, per_prompt_token_s=0.0)


def measure() -> dict[str, float]:
    return {
        **_measure_engine(is_streaming=True),
        **_measure_engine(is_streaming=False),
        **_measure_leaps(),
        **_measure_server(),
    }


def _measure_leaps() -> dict[str, float]:
    """Return what leaping takes of an engine whose batch holds a few requests, over iterating [CPU s]."""
    generator = np.random.default_rng(2)
    arrivals = np.cumsum(generator.exponential(4.0, LEAPT_REQUESTS))
    lengths = generator.integers(1, (2000, 420), (LEAPT_REQUESTS, 2))
    requests = [
        EngineRequest(str(number), arrival_s, i, o)
        for number, (arrival_s, (i, o)) in enumerate(zip(arrivals.tolist(), lengths.tolist(), strict=True))
    ]
    taken_s: list[float] = []
    for step_time in (make_step_time(LAW), SingleSteps(make_step_time(LAW))):
        engine = TokenEngine(step_time, EngineLimits(kv_capacity_tokens=400_000), tells_tokens=False)
        begin_s = time.process_time()
        for request in requests:
            engine.submit(request)
        engine.advance(requests[-1].arrival_s + 100.0)
        taken_s.append(time.process_time() - begin_s)
        assert engine.counters.finished == LEAPT_REQUESTS
    leaping_s, iterating_s = taken_s
    return {
        "engine alone, leaping [CPU us a request]": leaping_s / LEAPT_REQUESTS * 1e6,
        "engine alone, iterating over leaping [CPU ratio]": iterating_s / leaping_s,
    }


def _measure_engine(is_streaming: bool) -> dict[str, float]:
    """A busy replica, 57 requests in the batch on average, asked for its tokens every iteration or at arrivals only."""
    generator = np.random.default_rng(1)
    engine = TokenEngine(make_step_time(LAW), EngineLimits(kv_capacity_tokens=400_000))
    arrivals = np.cumsum(generator.exponential(1 / 5, 3000))
    lengths = generator.integers(1, (2000, 420), (3000, 2))
    begin_s = time.perf_counter()
    for number, (arrival_s, (i, o)) in enumerate(zip(arrivals.tolist(), lengths.tolist(), strict=True)):
        while is_streaming and engine.next_event_s is not None and engine.next_event_s < arrival_s:
            engine.advance(engine.next_event_s)
        engine.submit(EngineRequest(str(number), arrival_s, i, o))
        engine.advance(arrival_s)
    wall_s = time.perf_counter() - begin_s
    name = "one event a token" if is_streaming else "events at arrivals"
    return {f"engine alone, {name} [tokens/s]": engine.counters.generated_tokens / wall_s}


def _measure_server() -> dict[str, float]:
    """A server whose engine is due all the time: the frames it sends, and the CPU time each takes."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    server.start()
    try:
        port = here.recv()
        return asyncio.run(_count_frames(port, here))
    finally:
        server.terminate()
        server.join()


def _serve(pipe: Connection) -> None:
    async def serve() -> None:
        settings = EngineSettings("llama", FAST, 10_000_000, max_running_requests=STREAMS, max_model_tokens=1_000_000)
        server = EngineServer(settings, ScaledClock.starting_now())
        await server.start()
        pipe.send(int(server.url.rsplit(":", 1)[1]))
        while True:
            await asyncio.sleep(0.01)
            if pipe.poll():
                pipe.recv()
                pipe.send((time.process_time(), server.running_requests))

    asyncio.run(serve())


async def _count_frames(port: int, pipe: Connection) -> dict[str, float]:
    body = {"model": "llama", "prompt": "w", "max_tokens": 900_000, "ignore_eos": True, "stream": True}
    payload = json.dumps(body).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: {len(payload)}\r\n\r\n".encode()
    frames, tokens = 0, 0

    async def read() -> None:
        nonlocal frames, tokens
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + payload)
        while data := await reader.read(1 << 16):
            frames += data.count(b"data: ")
            tokens += data.count(b" w")

    tasks = [asyncio.create_task(read()) for _ in range(STREAMS)]
    await asyncio.sleep(1.0)
    pipe.send(None)
    before, _ = await asyncio.to_thread(pipe.recv)
    frames, tokens, begin_s = 0, 0, time.perf_counter()
    await asyncio.sleep(WALL_S)
    seen, carried, wall_s = frames, tokens, time.perf_counter() - begin_s
    pipe.send(None)
    after, running = await asyncio.to_thread(pipe.recv)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert running == STREAMS
    return {
        "server at its limit [events/s]": seen / wall_s,
        "server at its limit [tokens/s]": carried / wall_s,
        "server CPU per event [us]": (after - before) / seen * 1e6,
    }
