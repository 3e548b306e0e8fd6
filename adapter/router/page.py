"""The router's own metrics page: what was asked of each LLM, counted at arrival. It renders, nothing else.

These are the counters a gateway source reads: they see requests that no engine sees, held and refused ones among them.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from optimizer.domain import ModelKey

_LABELS = ("namespace", "model")


class RouterMetrics:
    """Counters and gauges of the router in a registry of their own; every LLM shows from the start, at 0."""

    def __init__(self, keys: Iterable[ModelKey]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._requests = self._make_counter("requests", "Inference requests that arrived, whatever became of them.")
        self._refused = self._make_counter("refused", "Requests refused with 503 because nothing was ready in time.")
        self._failed = self._make_counter("failed", "Requests that no replica could be brought to answer.")
        self._retries = self._make_counter("retries", "Attempts repeated on another replica before the first byte.")
        self._waiting = Gauge(
            "variant_autoscaler_router_waiting_requests",
            "Requests held because no replica is ready.",
            _LABELS,
            registry=self._registry,
        )
        for key in keys:
            for counter in (self._requests, self._refused, self._failed, self._retries):
                counter.labels(key.namespace, key.model_id)
            self._waiting.labels(key.namespace, key.model_id)

    def count_request(self, key: ModelKey) -> None:
        """Count an arrival."""
        self._requests.labels(key.namespace, key.model_id).inc()

    def count_refused(self, key: ModelKey) -> None:
        """Count a request refused while nothing is ready."""
        self._refused.labels(key.namespace, key.model_id).inc()

    def count_failed(self, key: ModelKey) -> None:
        """Count a request whose every attempt failed."""
        self._failed.labels(key.namespace, key.model_id).inc()

    def count_retries(self, key: ModelKey, attempts: int) -> None:
        """Count the attempts of one request that were repeated elsewhere."""
        self._retries.labels(key.namespace, key.model_id).inc(attempts)

    def set_waiting(self, key: ModelKey, requests: int) -> None:
        """Show the requests held for `key`."""
        self._waiting.labels(key.namespace, key.model_id).set(requests)

    def render(self) -> bytes:
        """Return the page in the Prometheus text format."""
        return generate_latest(self._registry)

    def _make_counter(self, name: str, documentation: str) -> Counter:
        return Counter(f"variant_autoscaler_router_{name}", documentation, _LABELS, registry=self._registry)
