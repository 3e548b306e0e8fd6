"""Ours as a scaler of a simulated cluster: `decide` with its memory, asked as the product asks it.

Its numbers are published, and an HPA follows; it is shown pages, never the truth.
"""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.decide import decide
from optimizer.domain import ModelDecision, ModelKey, Settings, SignalSpec, VariantKey
from optimizer.policy import BUILT_IN_POLICIES, Policy, SignalReader
from optimizer.simulation.cluster.options import Actuation
from optimizer.simulation.decider import ScraperView
from optimizer.state import State


def make_slo(settings: Settings, policies: Mapping[str, Policy] = BUILT_IN_POLICIES) -> OurDecider:
    """Return the product as a scaler: every LLM of `settings` by the policy that it names, ``slo`` unless it does."""
    return OurDecider(settings, policies)


class OurDecider:
    """The product, with what it remembers from one step to the next.

    Parameters
    ----------
    settings
        LLMs, prices, limits and knobs, as it is told them.
    policies
        The ways to decide, by name.

    Attributes
    ----------
    actuation
        Its numbers are followed.
    decisions
        Of the last step.
    """

    actuation = Actuation.HPA

    def __init__(self, settings: Settings, policies: Mapping[str, Policy] = BUILT_IN_POLICIES) -> None:
        self.decisions: tuple[ModelDecision, ...] = ()
        self._settings, self._policies = settings, policies
        self._state = State()

    @property
    def period_s(self) -> float:
        """How often it is asked [s]."""
        return self._settings.decision.period_s

    @property
    def signals(self) -> Mapping[ModelKey, tuple[SignalSpec, ...]]:
        """Series that the policies of its LLMs look at."""
        found: dict[ModelKey, tuple[SignalSpec, ...]] = {}
        for model in self._settings.models:
            policy: object = self._policies.get(model.policy)
            if isinstance(policy, SignalReader):
                found[model.key] = policy.list_signals(model.policy_options)
        return found

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return the published numbers; LLMs of which nothing is known yet have none."""
        outcome = decide(self._state, view.snapshot, view.now_s, self._settings, self._policies)
        self._state, self.decisions = outcome.state, outcome.decisions
        return {line.key: line.planned_replicas for decision in outcome.decisions for line in decision.variants}
