"""LLMs of a configuration whose demand a gateway's page tells, and what one replica of them carries. Data; no I/O."""

from __future__ import annotations

from collections.abc import Iterable

from adapter.kube.client import Json

CAPACITY_PER_S = 12.7
"""About what a plan gives one replica to carry: nine tenths of what it carries within the promise [1/s]."""

_PERFORMANCE: Json = {
    "law": {"fixed": "10ms", "per_request": "0.1ms", "per_context_token": "1ns", "per_prompt_token": "10us"},
    "kv_capacity_tokens": 100000,
}


def make_gateway_model(
    namespace: str, gateway_url: str, deployments: Iterable[str] = ("llama",), **settings: object
) -> Json:
    """Return the model ``chat``, served by `deployments` that are all equally quick; `settings` are further keys."""
    return {
        "name": "chat",
        "namespace": namespace,
        "gateway": {"url": gateway_url},
        "expected_workload": {"input_tokens": 200, "output_tokens": 50},
        "variants": [make_variant(name) for name in deployments],
        **settings,
    }


def make_variant(deployment: str) -> Json:
    """Return the variant that is named as its Deployment."""
    return {"name": deployment, "startup": "1s", "max_running_requests": 16, "performance": _PERFORMANCE}


def to_rate_per_s(replicas: int) -> float:
    """Return a demand for which so many replicas are needed, and one less is not enough [1/s]."""
    return (replicas - 0.5) * CAPACITY_PER_S
