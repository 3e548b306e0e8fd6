"""A real vLLM page whose counters go on as if more requests had come and gone."""

from __future__ import annotations

import re
from collections.abc import Callable

_SAMPLE = re.compile(r"^([a-zA-Z_:]+)(\{[^}]*\})? (\S+)$")


def grow_page(page: str, *, requests: int, input_tokens: int = 200, output_tokens: int = 60) -> str:
    """Return `page` after `requests` more of those lengths, all answered; running and waiting stay as they are."""
    steps = _count_steps(requests, input_tokens, output_tokens)

    def grow(line: str) -> str:
        found = _SAMPLE.match(line)
        if found is None or found[1] not in steps:
            return line
        labels = found[2] or ""
        return f"{found[1]}{labels} {float(found[3]) + steps[found[1]](labels)}"

    return "\n".join(grow(line) for line in page.splitlines()) + "\n"


def _count_steps(requests: int, input_tokens: int, output_tokens: int) -> dict[str, Callable[[str], float]]:
    """Return by how much each sample moves, given its labels."""

    def up_to(value: float) -> Callable[[str], float]:
        return lambda labels: requests * (float(re.findall(r'le="([^"]+)"', labels)[0]) >= value)

    steps: dict[str, Callable[[str], float]] = {
        "http_requests_total": lambda labels: requests * ("completions" in labels and "2xx" in labels),
        "vllm:request_success_total": lambda labels: requests * ('"length"' in labels),
        "vllm:prompt_tokens_total": lambda _: requests * input_tokens,
        "vllm:generation_tokens_total": lambda _: requests * output_tokens,
        "process_cpu_seconds_total": lambda _: 0.1 + 0.01 * requests,
    }
    observed = {
        "vllm:request_prompt_tokens": input_tokens,
        "vllm:request_generation_tokens": output_tokens,
        "vllm:time_to_first_token_seconds": 0.05,
        "vllm:e2e_request_latency_seconds": 1.5,
    }
    for name, value in observed.items():
        steps[f"{name}_count"] = lambda _: requests
        steps[f"{name}_sum"] = lambda _, value=value: requests * value  # type: ignore[misc]
        steps[f"{name}_bucket"] = up_to(value)
    return steps
