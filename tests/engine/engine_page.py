"""Reads the captured pages with the reference parser, apart from the adapter, to know that the server itself was right.

It judges the trial (was there a queue, do server and client agree), never the adapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from prometheus_client.parser import text_string_to_metric_families

from tests.engine.compare import Line
from tests.engine.compare_rates import RateEstimate
from tests.engine.record import OK, RequestRecord
from tests.engine.watch import Answer

LEAST_PEAK_WAITING = 10
#: By what name the engine's page calls each latency.
LATENCY_FAMILIES = {
    "ttft": "vllm:time_to_first_token_seconds",
    "itl": "vllm:inter_token_latency_seconds",
    "ttlt": "vllm:e2e_request_latency_seconds",
}


@dataclass(frozen=True, slots=True)
class EnginePage:
    """A few figures of one page at `time_s` [s since the trial began]."""

    time_s: float
    process_start_s: float
    running_requests: float
    waiting_requests: float
    ended_http_requests: float
    finished_requests: float
    prompt_tokens: float
    generated_tokens: float
    edges_s: dict[str, tuple[float, ...]]

    @property
    def arrived_requests(self) -> float:
        """Requests that ended or are in flight: all that came since this process started."""
        return self.ended_http_requests + self.running_requests + self.waiting_requests


def read_page(answer: Answer) -> EnginePage:
    """Return the figures of a page.

    Raises
    ------
    ValueError
        When it is not a Prometheus page.
    KeyError
        When a family is missing that vLLM 0.32 shows from its start.
    """
    values: dict[str, float] = {}
    edges_s: dict[str, list[float]] = {name: [] for name in LATENCY_FAMILIES}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            if sample.name == "http_requests_total" and (
                sample.labels["handler"] != "/v1/completions" or sample.labels["status"] not in ("2xx", "5xx")
            ):
                continue
            values[sample.name] = values.get(sample.name, 0.0) + sample.value
            for name, latency_family in LATENCY_FAMILIES.items():
                if sample.name == f"{latency_family}_bucket" and sample.labels["le"] != "+Inf":
                    edges_s[name].append(float(sample.labels["le"]))
    return EnginePage(
        answer.time_s,
        values["process_start_time_seconds"],
        values["vllm:num_requests_running"],
        values["vllm:num_requests_waiting"],
        values.get("http_requests_total", 0.0),  # the one family that is missing before the first request
        values["vllm:request_success_total"],
        values["vllm:prompt_tokens_total"],
        values["vllm:generation_tokens_total"],
        {name: tuple(edges) for name, edges in edges_s.items()},
    )


def read_pages(answers: Sequence[Answer]) -> list[EnginePage]:
    """Return the figures of every good page, in order of time."""
    return [read_page(answer) for answer in answers if answer.status == "200"]


def estimate_arrivals(pages: Sequence[EnginePage]) -> list[RateEstimate]:
    """Return the arrivals between successive pages of one process: the ended, and the change of those in flight."""
    return [
        RateEstimate(before.time_s, after.time_s, after.arrived_requests - before.arrived_requests)
        for before, after in pairwise(pages)
        if before.process_start_s == after.process_start_s
    ]


def judge_trial(
    pages: Sequence[EnginePage], records: Sequence[RequestRecord], restarts: int, origin_unix_s: float
) -> list[Line]:
    """Judge that the trial was one: it had a queue, its restarts, and a client and a server that agree.

    `origin_unix_s` is when the trial began [Unix s], for the page tells its process' start in that time.
    """
    peak = max((page.waiting_requests for page in pages), default=0.0)
    starts = len({page.process_start_s for page in pages})
    lines = [
        Line("trial: a queue was seen", f">= {LEAST_PEAK_WAITING}", f"{peak:.0f} waiting", "peak of the pages",
             peak >= LEAST_PEAK_WAITING),
        Line("trial: server processes seen", str(restarts + 1), str(starts), "exact", starts == restarts + 1),
    ]  # fmt: skip
    return lines + _judge_last_process(pages, records, origin_unix_s)


def _judge_last_process(
    pages: Sequence[EnginePage], records: Sequence[RequestRecord], origin_unix_s: float
) -> list[Line]:
    """Judge the server's totals of its last life, which ended in silence, against the client's record."""
    if not pages:
        return []
    last = pages[-1]
    done = [one for one in records if one.status == OK and one.sent_s >= last.process_start_s - origin_unix_s]
    pairs = {
        "finished requests": (float(len(done)), last.finished_requests),
        "input tokens": (float(sum(one.input_tokens for one in done)), last.prompt_tokens),
        "output tokens": (float(sum(one.output_tokens for one in done)), last.generated_tokens),
    }
    return [
        Line(f"trial: {name} of the last server", f"{truth:.0f}", f"{seen:.0f}", "exact", truth == seen)
        for name, (truth, seen) in pairs.items()
    ]
