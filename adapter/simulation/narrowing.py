"""A run as if one LLM, or one of its service classes, were the only one: for figures of each. It simulates nothing."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from optimizer.simulation.cluster import Ending, RequestColumns, Requests, SimulationResult


def narrow(result: SimulationResult, model: int, service_class: int | None = None) -> SimulationResult:
    """Return `result` with the requests and variants of LLM number `model` alone, or of one of its classes.

    Latencies of single requests must have been kept; pages and steps are those of the whole run.
    """
    scenario = result.scenario
    if service_class is None and len(scenario.models) == 1:
        return result
    whole, kept = scenario.requests, scenario.models[model]
    mine: NDArray[np.bool_] = whole.model == model
    if service_class is not None:
        mine = mine & (whole.service_class == service_class)
    requests = Requests(
        whole.arrival_ns[mine],
        whole.input_tokens[mine],
        whole.output_tokens[mine],
        whole.cached_tokens[mine],
        whole.service_class[mine],
        whole.model[mine] * 0,
    )
    keys = {variant.key(variant.main_role) for variant in kept.variants}
    columns = _narrow_columns(result.columns, mine)
    names = {one.name for place, one in enumerate(kept.service_classes) if service_class in (None, place)}
    return replace(
        result,
        scenario=replace(scenario, models=(kept,), requests=requests),
        columns=columns,
        endings={Ending(ending): count for ending, count in sorted(Counter(columns.ending).items())},
        classes=tuple(one for one in result.classes if one.model == kept.key and one.service_class in names),
        variants={key: one for key, one in result.variants.items() if key in keys},
        decisions=tuple(change for change in result.decisions if change.key in keys),
    )


def _narrow_columns(columns: RequestColumns, mine: NDArray[np.bool_]) -> RequestColumns:
    return RequestColumns(
        bytearray(np.frombuffer(columns.ending, dtype=np.uint8)[mine].tobytes()),
        *(array("d", np.asarray(one)[mine].tobytes()) for one in (columns.ttft_s, columns.itl_s, columns.ttlt_s)),
    )
