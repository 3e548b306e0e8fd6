"""What must be known to read figures of policies fairly: who began otherwise, and what is beyond one of them."""

from __future__ import annotations

from collections.abc import Sequence

from adapter.simulation.names import STATIC, WHOLE_REQUESTS
from adapter.simulation.running import Outcome, Stage
from optimizer.domain import Role, ServedModel
from optimizer.simulation.cluster import Scenario

_WHOLE_OPTIONS = ("slo", "skyserve", "saturation", "aibrix")  # as policies of a configuration


def list_notes(stage: Stage, outcomes: Sequence[Outcome]) -> list[str]:
    """Return a line for each policy that began otherwise than the others, or that cannot scale this fleet."""
    notes = []
    for outcome in outcomes:
        apart = _list_beyond(outcome.policy, stage)
        if apart:
            names = ", ".join(model.model_id for model in apart)
            notes.append(
                f"{outcome.policy} plans every variant as if it served whole requests; it does not scale prefill and "
                f"decode of {names} apart"
            )
        if outcome.policy not in STATIC and _list_opening(outcome.result.scenario) != _list_opening(stage.scenario):
            notes.append(
                f"{outcome.policy} scales each variant by itself and never below one: it began with "
                f"{_render_opening(outcome.result.scenario)}, others with {_render_opening(stage.scenario)}"
            )
    return notes


def _list_beyond(policy: str, stage: Stage) -> list[ServedModel]:
    """Return the LLMs with prefill and decode apart that `policy` plans as if they were not."""
    if policy not in WHOLE_REQUESTS:
        return []
    return [
        model
        for model in stage.scenario.models
        if any(variant.main_role is not Role.BOTH for variant in model.variants)
        and (policy != "configured" or model.policy in _WHOLE_OPTIONS)
    ]


def _list_opening(scenario: Scenario) -> list[int]:
    return [plant.initial_replicas for plant in scenario.plants.values()]


def _render_opening(scenario: Scenario) -> str:
    return " + ".join(f"{plant.initial_replicas} {key.variant}" for key, plant in scenario.plants.items())
