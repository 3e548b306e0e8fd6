"""Saturation as a scaler of a simulated cluster: the peer's loop with what it ships, over every LLM by itself.

It sees pages and pods, never the truth; its number is published, and an HPA follows.

Source: llm-d workload-variant-autoscaler b08b1c7 (2026-02-19): period and thresholds; bounds as in release 0.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from optimizer.domain import (
    Accelerator,
    Histogram,
    ModelKey,
    ModelSnapshot,
    ServedModel,
    Settings,
    SignalSpec,
    Variant,
    VariantKey,
    VariantState,
)
from optimizer.policy.saturation import (
    SaturationCall,
    SaturationLine,
    SaturationMemory,
    SaturationOptions,
    SaturationVersion,
    step_cycle,
)
from optimizer.simulation.cluster.options import Actuation
from optimizer.simulation.decider import ScraperView
from optimizer.simulation.deciders.page_counts import CountHistory, Counts, add_counts, find_mean


@dataclass(frozen=True, slots=True)
class SaturationShipped:
    """What the peer comes with.

    Attributes
    ----------
    period_s
        Time between two cycles [s].
    options
        Analyzer and thresholds.
    may_be_zero
        Whether an LLM may go to zero.
    retention_s
        Silence after which it does [s].
    """

    period_s: float = 30.0
    options: SaturationOptions = field(default_factory=SaturationOptions)
    may_be_zero: bool = False
    retention_s: float = 600.0


def make_saturation(
    models: tuple[ServedModel, ...],
    accelerators: tuple[Accelerator, ...] = (),
    version: SaturationVersion = SaturationVersion.V2,
    shipped: SaturationShipped | None = None,
) -> SaturationDecider:
    """Return the scaler with the peer's defaults and the analyzer of `version`; `accelerators` give the prices."""
    usual = shipped or SaturationShipped()
    return SaturationDecider(models, accelerators, replace(usual, options=replace(usual.options, version=version)))


class SaturationDecider:
    """See the module; `actuation` says how its answer becomes replicas."""

    actuation = Actuation.HPA

    def __init__(
        self, models: tuple[ServedModel, ...], accelerators: tuple[Accelerator, ...], shipped: SaturationShipped
    ) -> None:
        self._models = {model.key: model for model in models}
        self._settings = Settings(models, accelerators)
        self._shipped = shipped
        self._memories: dict[ModelKey, SaturationMemory] = {}
        self._desired: dict[VariantKey, int] = {}
        self._wanted_s: dict[ModelKey, float] = {}
        self._counts: dict[ModelKey, CountHistory] = {}

    @property
    def period_s(self) -> float:
        """Time between two cycles [s]."""
        return self._shipped.period_s

    @property
    def signals(self) -> Mapping[ModelKey, tuple[SignalSpec, ...]]:
        """None: the usual figures do."""
        return {}

    def step(self, view: ScraperView) -> Mapping[VariantKey, int]:
        """Return the replicas wanted of every variant; see `Decider`."""
        for snapshot in view.snapshot.models:
            model = self._models.get(snapshot.key)
            if model is not None:
                self._desired |= self._step_model(model, snapshot, view)
        return dict(self._desired)

    def _step_model(self, model: ServedModel, snapshot: ModelSnapshot, view: ScraperView) -> dict[VariantKey, int]:
        states = {state.key: state for state in snapshot.variants}
        keys = {variant.name: variant.key(variant.main_role) for variant in model.variants}
        lines = [
            self._see(variant, states[keys[variant.name]], view)
            for variant in model.variants
            if keys[variant.name] in states
        ]
        memory = self._memories.get(model.key, SaturationMemory())
        call = self._call(model, snapshot, view)
        targets, self._memories[model.key] = step_cycle(lines, call, memory, self._shipped.options)
        return {keys[name]: count for name, count in targets.items()}

    def _see(self, variant: Variant, state: VariantState, view: ScraperView) -> SaturationLine:
        requested = view.requested.get(state.key, state.observed_replicas)
        cost_per_hour = self._settings.get_replica_cost_per_hour(variant)
        return SaturationLine(variant, state, self._desired.get(state.key, requested), cost_per_hour)

    def _call(self, model: ServedModel, snapshot: ModelSnapshot, view: ScraperView) -> SaturationCall:
        now_s, is_wanted = view.now_s, _is_wanted(snapshot)
        counts = self._counts.setdefault(model.key, CountHistory(self._shipped.options.length_window_s))
        grown = counts.track(view.readings.get(model.key, ()), now_s)
        if is_wanted:
            self._wanted_s[model.key] = now_s
        silent_s = now_s - self._wanted_s.setdefault(model.key, now_s)
        return SaturationCall(
            model.model_id,
            now_s,
            {pod: lengths for pod, part in grown.items() if (lengths := _find_lengths_tokens(part)) is not None},
            _find_lengths_tokens(add_counts(grown.values())),
            self._shipped.may_be_zero,
            0.0 if silent_s >= self._shipped.retention_s else None,
            is_wanted,
        )


def _is_wanted(snapshot: ModelSnapshot) -> bool:
    windows = (*snapshot.windows, *(() if snapshot.gateway is None else (snapshot.gateway,)))
    return any(window.arrivals or window.waiting_requests for window in windows)


def _find_lengths_tokens(counts: Counts) -> tuple[float, float] | None:
    """Return mean input and output of ended requests [tokens], None when none ended."""
    inputs, outputs = find_mean(counts, Histogram.INPUT_TOKENS), find_mean(counts, Histogram.OUTPUT_TOKENS)
    return None if inputs is None or outputs is None else (inputs, outputs)
