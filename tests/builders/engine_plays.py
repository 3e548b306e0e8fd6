"""Random requests and departures for one token engine, and a way to play them to the end."""

from __future__ import annotations

import numpy as np

from optimizer.simulation import EndedRequest, EngineEvent, EngineRequest, TokenEngine


def draw_requests(seed: int, count: int, rate_per_s: float = 20.0, longest: int = 120) -> list[EngineRequest]:
    generator = np.random.default_rng(seed)
    arrivals = np.cumsum(generator.exponential(1 / rate_per_s, count))
    lengths = generator.integers(1, longest, (count, 2))
    cached = generator.integers(0, 40, count)
    return [
        EngineRequest(f"r{number}", float(arrival_s), int(i), int(o), int(min(h, i)))
        for number, (arrival_s, (i, o), h) in enumerate(zip(arrivals, lengths, cached, strict=True))
    ]


def draw_departures(seed: int, requests: list[EngineRequest], share_ratio: float) -> dict[str, float]:
    generator = np.random.default_rng(seed)
    return {
        request.request_id: request.arrival_s + float(generator.exponential(0.5))
        for request in requests
        if generator.random() < share_ratio
    }


def play(
    engine: TokenEngine, requests: list[EngineRequest], departures: dict[str, float] | None = None
) -> tuple[list[EngineEvent], list[EndedRequest]]:
    """Drive `engine` through everything; the events, and the records of those that finished or left."""
    happenings: list[tuple[float, EngineRequest | str]] = [(request.arrival_s, request) for request in requests]
    happenings += [(time_s, name) for name, time_s in (departures or {}).items()]
    happenings.sort(key=lambda happening: happening[0])
    left, events = [], []
    for time_s, subject in happenings:
        if isinstance(subject, EngineRequest):
            engine.submit(subject)
        elif ended := engine.cancel(subject, time_s):
            left.append(ended)
    while engine.next_event_s is not None:
        events += engine.advance(engine.next_event_s)
    events += engine.advance(engine.time_s)
    return events, left + [event.ended for event in events if event.ended is not None]


def list_figures(engine: TokenEngine) -> list[object]:
    """Return everything it counted, as plain values."""
    counters = engine.counters
    found: list[object] = []
    for name in counters.__dataclass_fields__:
        value = getattr(counters, name)
        found.append((name, value.counts, value.total) if hasattr(value, "counts") else (name, value))
    return found
