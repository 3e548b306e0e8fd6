"""Runs as one JSON document: what was asked for, every figure, every rung, the course. Equal runs give equal bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from adapter.simulation.asking import find_class_shares
from adapter.simulation.course import Course
from adapter.simulation.figures import Figures, compute_model_figures
from adapter.simulation.running import Outcome, Stage
from optimizer.domain import VariantKey
from optimizer.simulation.bounds import Ladder
from optimizer.simulation.cluster import VariantFigures

VERSION = 2


def render_document(
    asked: Mapping[str, object],
    stage: Stage,
    runs: Sequence[tuple[Outcome, Figures, Course]],
    notes: Sequence[str] = (),
) -> bytes:
    """Return the document of `runs` on `stage`; `asked` is what the user asked for, plain values.

    Keys are sorted, numbers are written so that reading gives the same number; what is infinite is null.
    """
    scenario = stage.scenario
    document = {
        "version": VERSION,
        "asked": dict(asked),
        "notes": list(notes),
        "scenario": {
            "name": scenario.name,
            "counted_from_s": stage.counted_from_s,
            "horizon_s": scenario.horizon_s,
            "requests": len(scenario.requests),
            "opening": {_name(key): plant.initial_replicas for key, plant in scenario.plants.items()},
            "jumps_s": list(stage.jumps_s),
            "class_shares": {
                f"{model.namespace}/{model.model_id}": {
                    one.name: share
                    for one, share in zip(
                        model.service_classes,
                        find_class_shares(model.service_classes, stage.options.class_shares),
                        strict=True,
                    )
                }
                for model in scenario.models
            },
        },
        "runs": [_to_run(stage, *run) for run in runs],
    }
    return (json.dumps(_clean(document), sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n").encode()


def _to_run(stage: Stage, outcome: Outcome, figures: Figures, course: Course) -> dict[str, Any]:
    result = outcome.result
    return {
        "policy": outcome.policy,
        "initial_replicas": {_name(key): plant.initial_replicas for key, plant in result.scenario.plants.items()},
        "digest": result.to_digest(),
        "figures": asdict(figures),
        "endings": {ending.name.lower(): count for ending, count in result.endings.items()},
        "pages": {"read": result.pages, "lost": result.lost_pages},
        "decisions": [[change.time_s, _name(change.key), change.replicas] for change in result.decisions],
        "variants": {
            _name(key): _to_variant(result.list_replica_steps(key), one) for key, one in result.variants.items()
        },
        "course": asdict(course),
        "bounds": None if outcome.ladder is None else _to_ladder(outcome.ladder.total),
        "violations": [] if outcome.ladder is None else list(outcome.ladder.violations),
        "models": _to_models(stage, outcome),
    }


def _to_models(stage: Stage, outcome: Outcome) -> dict[str, Any]:
    """Return figures and ladder of every LLM by itself."""
    figures = compute_model_figures(outcome, stage.briefing.peaks, stage.jumps_s)
    ladders = {} if outcome.ladder is None else {one.model: one.ladder for one in outcome.ladder.models}
    return {
        f"{key.namespace}/{key.model_id}": {
            "figures": asdict(one),
            "bounds": _to_ladder(ladders[key]) if key in ladders else None,
        }
        for key, one in figures.items()
    }


def _to_variant(steps: list[tuple[float, int]], figures: VariantFigures) -> dict[str, Any]:
    return {
        "cost": figures.cost,
        "created": figures.created,
        "failed_starts": figures.failed_starts,
        "requested": [[time_s, replicas] for time_s, replicas in steps],
    }


def _to_ladder(ladder: Ladder) -> dict[str, Any]:
    return {
        "attainment_ratio": ladder.attainment_ratio,
        "bound": ladder.bound,
        "bound_name": ladder.bound_name,
        "measured": None if ladder.measured is None else ladder.measured.cost,
        "rungs": [asdict(rung) for rung in ladder.rungs],
    }


def _name(key: VariantKey) -> str:
    role = "" if key.role == "both" else f" {key.role}"
    return f"{key.namespace}/{key.model_id}/{key.variant}{role}"


def _clean(value: Any) -> Any:
    """Return `value` as JSON can hold it."""
    if isinstance(value, dict):
        return {str(key): _clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
