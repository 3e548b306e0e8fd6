"""A captured page of vLLM 0.32 whose main figures a test moves, as serving would move them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SAMPLES = Path(__file__).resolve().parent.parent / "data" / "samples"
MODEL_NAME = "tiny-llama"  # as the captured server called it

_MOVING = {
    "answered": r'http_requests_total\{handler="/v1/completions",method="POST",status="2xx"\} ',
    "finished": r'vllm:request_success_total\{engine="0",finished_reason="length",model_name="tiny-llama"\} ',
    "generated_tokens": r'vllm:generation_tokens_total\{engine="0",model_name="tiny-llama"\} ',
    "running": r'vllm:num_requests_running\{engine="0",model_name="tiny-llama"\} ',
    "waiting": r'vllm:num_requests_waiting\{engine="0",model_name="tiny-llama"\} ',
    "awake": r'vllm:engine_sleep_state\{engine="0",model_name="tiny-llama",sleep_state="awake"\} ',
    "begun": r'vllm:time_to_first_token_seconds_count\{engine="0",model_name="tiny-llama"\} ',
    "begun_in_any_time": r'vllm:time_to_first_token_seconds_bucket\{engine="0",le="\+Inf",model_name="tiny-llama"\} ',
    "cpu_s": "process_cpu_seconds_total ",
    "start_s": "process_start_time_seconds ",
}


@dataclass(slots=True)
class PodPage:
    """The page of one server; `serve` moves it as requests do.

    Only what arrivals are counted from moves, and what tells a living server from a frozen page.
    """

    answered: float = 191.0
    running: float = 10.0
    waiting: float = 0.0
    awake: float = 1.0
    cpu_s: float = 8.13
    start_s: float = 1_795_240_246.62
    extra: str = ""  # lines of somebody's own

    def serve(self, requests: float, *, running: float | None = None, waiting: float | None = None) -> None:
        """Let `requests` arrive; those that are not `running` or `waiting` afterwards were answered."""
        before = self.running + self.waiting
        self.running = self.running if running is None else running
        self.waiting = self.waiting if waiting is None else waiting
        self.answered += requests + before - self.running - self.waiting

    def restart(self, start_s: float) -> None:
        """Begin anew as another process, with nothing in hand."""
        self.answered = self.running = self.waiting = 0.0
        self.start_s = start_s

    def render(self, model_name: str = MODEL_NAME) -> bytes:
        """Return the page; every call costs the server 10 ms of CPU time, as answering does."""
        self.cpu_s += 0.01
        values = {
            "answered": self.answered,
            "finished": self.answered,
            "generated_tokens": 66.0 * self.answered,
            "running": self.running,
            "waiting": self.waiting,
            "awake": self.awake,
            "begun": self.answered + self.running,
            "begun_in_any_time": self.answered + self.running,
            "cpu_s": round(self.cpu_s, 2),
            "start_s": self.start_s,
        }
        texts, names = _split_sample()
        moved = "".join(f"{text}{values[name]!r}" for text, name in zip(texts, names, strict=False)) + texts[-1]
        moved += self.extra
        return (moved if model_name == MODEL_NAME else moved.replace(MODEL_NAME, model_name)).encode()


def read_sample(name: str) -> bytes:
    """Return a page of `tests/data/samples`."""
    return (SAMPLES / name).read_bytes()


@cache
def _split_sample() -> tuple[list[str], list[str]]:
    """Return the captured text around the values that move, and the names of these, in the order of the page."""
    text = read_sample("vllm-0.32.0-busy.prom").decode()
    pattern = "|".join(f"(?P<{name}>^{line})" for name, line in _MOVING.items())
    texts, names, position = [], [], 0
    for match in re.finditer(pattern, text, re.MULTILINE):
        texts.append(text[position : match.end()])
        names.append(str(match.lastgroup))
        position = text.index("\n", match.end())
    assert sorted(names) == sorted(_MOVING), names
    return [*texts, text[position:]], names
