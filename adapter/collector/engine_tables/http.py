"""Which HTTP requests are inference, and how they ended, as the labels of request counters tell it. Pure text."""

from __future__ import annotations

from adapter.collector.exposition import Labels

INFERENCE_PATHS = frozenset(
    {
        "/generate",
        "/inference/v1/generate",
        "/invocations",
        "/vertex_generate",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/messages",
        "/v1/responses",
        "/v1/audio/transcriptions",
        "/v1/audio/translations",
        "/api/chat",
        "/api/generate",
    }
)
"""Paths that put a sequence into the engine; health, metrics, model lists and administration are not among them."""

_PATH_LABELS = ("handler", "endpoint", "path")
_STATUS_LABELS = ("status", "status_code", "code")


def is_inference(labels: Labels) -> bool:
    """Return whether `labels` are those of inference requests."""
    path = next((labels[name] for name in _PATH_LABELS if name in labels), "")
    return path.rstrip("/") in INFERENCE_PATHS


def is_answered(labels: Labels) -> bool:
    """Return whether `labels` are those of inference requests that ended with 2xx, or whose client left."""
    return is_inference(labels) and _get_status_class(labels) == "2"


def is_admitted_or_failed(labels: Labels) -> bool:
    """Return whether `labels` are those of inference requests that were offered: 2xx and 5xx, not 4xx."""
    return is_inference(labels) and _get_status_class(labels) in ("2", "5")


def _get_status_class(labels: Labels) -> str:
    """Return the first digit of the status: pages write ``2xx`` or ``200``."""
    return next((labels[name] for name in _STATUS_LABELS if name in labels), "")[:1]
