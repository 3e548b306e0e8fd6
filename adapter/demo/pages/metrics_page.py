"""Which page an engine shows. The pages themselves stand beside this file."""

from __future__ import annotations

from typing import Protocol

from adapter.demo.engine_settings import EngineSettings
from adapter.demo.pages.http_counts import HttpCounts
from adapter.demo.pages.sglang_page import SglangPage, compute_sglang_edges
from adapter.demo.pages.vllm_page import VllmPage
from optimizer.simulation import EndedRequest, HistogramEdges, TokenEngine, compute_length_edges_tokens


class MetricsPage(Protocol):
    """The metrics page of one server; `counts_scrapes` says whether requests for it are counted on it as others are."""

    content_type: str
    counts_scrapes: bool

    def note_first_token(self, ttft_s: float, is_streaming: bool) -> None:
        """Hear of the first token of a request whose client still listens, `ttft_s` [s] after its arrival."""
        ...

    def note_finished(self, ended: EndedRequest, is_streaming: bool) -> None:
        """Hear that such a request finished."""
        ...

    def note_progress(self) -> None:
        """Hear that the engine moved."""
        ...

    def render(self) -> str:
        """Return the page."""
        ...


def get_edges(settings: EngineSettings) -> HistogramEdges:
    """Return the buckets of the histograms that the engine of `settings` shows."""
    if settings.engine == "sglang":
        return compute_sglang_edges()
    return HistogramEdges(lengths_tokens=compute_length_edges_tokens(settings.context_tokens))


def make_page(
    settings: EngineSettings, engine: TokenEngine, http: HttpCounts, started_s: float, ready_s: float
) -> MetricsPage:
    """Return the page of a server whose process started at `started_s` and that serves from `ready_s` on [s]."""
    if settings.engine == "sglang":
        return SglangPage(settings, engine, http, ready_s - started_s)
    return VllmPage(settings, engine, http, started_s, ready_s)
