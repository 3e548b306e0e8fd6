"""Which judgements a trial is put to, in the order of the report: the trial itself first, then the adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.engine.adapter_view import LEVELS, AdapterView, read_decisions, select_disjoint, select_quantile
from tests.engine.arrivals import find_truth
from tests.engine.compare import (
    LATENCIES,
    Line,
    Span,
    judge_mean_tokens,
    judge_quantile,
)
from tests.engine.compare_rates import judge_certainty, judge_rates, judge_signs, judge_spikes, select_windows
from tests.engine.engine_page import estimate_arrivals, judge_trial, read_pages
from tests.engine.play import Sighting
from tests.engine.record import RequestRecord


def judge_sighting(sighting: Sighting, *, with_adapter: bool) -> list[Line]:
    """Return every judgement of what was seen."""
    pages, records, restarts = read_pages(sighting.pages), sighting.records, sighting.list_restarts()
    truth, whole = find_truth(records), Span(0.0, sighting.end_s)
    lines = judge_trial(pages, records, len(restarts), sighting.clock.origin_unix_s)
    windows = select_windows(estimate_arrivals(pages), whole, restarts)
    lines += [judge_certainty(windows, truth), judge_rates("trial: pages by conservation", windows, truth)]
    if not with_adapter:
        return lines
    view = read_decisions(sighting.decisions, sighting.clock.origin_unix_s)
    lines.append(Line("adapter: decisions", ">= 1", f"{view.answers} answers", "", view.answers > 0))
    lines.append(judge_rates("adapter", select_windows(view.rates, whole, restarts), truth))
    lines.append(judge_signs(view.rates))
    lines += [judge_spikes(view.rates, truth, span) for span in restarts]
    for name, span in sighting.list_steady():
        lines += _judge_steady(name, span, view, records, pages[-1].edges_s if pages else {})
    return lines


def _judge_steady(
    name: str,
    span: Span,
    view: AdapterView,
    records: Sequence[RequestRecord],
    edges_s: Mapping[str, tuple[float, ...]],
) -> list[Line]:
    """Judge token lengths and latency quantiles over a minute of steady traffic."""
    lines = [
        judge_mean_tokens(f"input tokens, {name}", select_disjoint(view.input_lengths, span), records,
                          lambda one: one.input_tokens),
        judge_mean_tokens(f"output tokens, {name}", select_disjoint(view.output_lengths, span), records,
                          lambda one: one.output_tokens),
    ]  # fmt: skip
    for latency in LATENCIES:
        for level in LEVELS.values():
            estimate = select_quantile(view.quantiles, latency, level, span)
            if estimate is None:
                subject = f"{latency.upper()} p{level * 100:.0f}, {name}"
                lines.append(Line(subject, "some", "absent", "its bucket", is_passed=False))
            else:
                lines.append(judge_quantile(name, estimate, records, edges_s.get(latency, ())))
    return lines
