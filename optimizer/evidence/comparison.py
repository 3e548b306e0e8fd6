"""Evidence: our mix beside what one variant, hindsight and a static fleet would have cost for the same demand.

What may be claimed. *Ours replayed* and *like for like* run the same `decide` on the same fluid fleet, one with every
variant and one with a single one: their difference is what mixing is worth, and nothing else. *Homogeneous in
hindsight* and *static peak* are computed, not run: they know the demand and assume 100 % attainment. The *real* bill
was run up by a fleet with queues, noise and failures; it is shown, and not to be compared with a replay to the last
percent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from optimizer.domain import Limit, ModelKey, ServedModel, Settings
from optimizer.evidence.hindsight import compute_homogeneous_costs, compute_static_peak_costs
from optimizer.evidence.record import DemandRecord
from optimizer.evidence.replay import Bill, ReplayOptions, replay

EQUAL_WITHIN_RATIO = 0.001
"""Attainments that differ by less than this are equal."""
HOMOGENEOUS_TEXT = "{} alone, known in advance and switched freely: a bound that no fleet reaches"
STATIC_PEAK_TEXT = "{} alone, sized for the highest step and never changed"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What another way to serve one LLM would have cost.

    Attributes
    ----------
    variant
        The variant it uses.
    cost
        Of the whole record [currency]; infinite where that variant cannot serve it.
    attainment_ratio
        Share of the demand served within the SLO [0-1].
    text
        What it is, and what it assumes.
    """

    variant: str
    cost: float
    attainment_ratio: float
    text: str


@dataclass(frozen=True, slots=True)
class ModelEvidence:
    """One LLM: what we did beside what else could have been done.

    Attributes
    ----------
    key
        The LLM.
    ours
        Our mix, replayed.
    real
        The bill that was really run up, None when nobody handed it in.
    like_for_like
        Every variant alone, replayed; ascending by cost.
    best_like_for_like
        The cheapest of them that attains no less than ours; where none does, the one that attains most.
    homogeneous
        The cheapest variant in hindsight.
    static_peak
        The cheapest fleet for the peak.
    """

    key: ModelKey
    ours: Bill
    real: Bill | None
    like_for_like: tuple[Baseline, ...]
    best_like_for_like: Baseline
    homogeneous: Baseline
    static_peak: Baseline

    @property
    def saving_ratio(self) -> float:
        """Share of the best like-for-like bill that our mix saves; negative where it costs more."""
        cost = self.best_like_for_like.cost
        return 1.0 - self.ours.cost / cost if 0.0 < cost < math.inf else 0.0


def gather_evidence(
    record: DemandRecord,
    settings: Settings,
    real: Mapping[ModelKey, Bill] | None = None,
    options: ReplayOptions | None = None,
) -> tuple[ModelEvidence, ...]:
    """Return the evidence about every LLM of `record`, in the order of `settings`.

    Parameters
    ----------
    record
        The demand that really arrived.
    settings
        What was decided with.
    real
        The bills that were really run up.
    options
        How the fleets of the replays behave; where it gives initial replicas, they are those of *ours* only.

    Raises
    ------
    InvalidInput
        If `record` is no sequence of steps.
    """
    told = {key: steps for key, steps in record.items() if steps}
    models = tuple(model for model in settings.models if model.key in told)
    ours = replay({model.key: told[model.key] for model in models}, settings, options)
    evidence = []
    for model in models:
        singles = replay_like_for_like(told, model, replace(settings, models=(model,)), options)
        homogeneous = compute_homogeneous_costs(model, told[model.key], settings)
        static_peak = compute_static_peak_costs(model, told[model.key], settings)
        evidence.append(
            ModelEvidence(
                key=model.key,
                ours=ours[model.key],
                real=(real or {}).get(model.key),
                like_for_like=singles,
                best_like_for_like=_choose(singles, ours[model.key]),
                homogeneous=_find_cheapest(homogeneous, HOMOGENEOUS_TEXT),
                static_peak=_find_cheapest(static_peak, STATIC_PEAK_TEXT),
            )
        )
    return tuple(evidence)


def replay_like_for_like(
    record: DemandRecord, model: ServedModel, settings: Settings, options: ReplayOptions | None = None
) -> tuple[Baseline, ...]:
    """Return what the same `decide` would have cost with each variant of `model` alone, ascending by cost.

    Bounds over several variants are lifted to what one can keep; limits bind what is left of them.
    """
    steps = {model.key: record[model.key]}
    alone = replace(options, initial_replicas=None) if options is not None else None
    hindsight = compute_homogeneous_costs(model, record[model.key], settings)
    baselines = []
    for variant in model.variants:
        if hindsight[variant.name] == math.inf:
            continue
        single = replace(model, variants=(variant,))
        limits = tuple(_restrict(limit, model, variant.name) for limit in settings.limits)
        bill = replay(steps, replace(settings, models=(single,), limits=limits), alone)[model.key]
        text = f"the same decisions with {variant.name} alone: same forecast, margin and start-up, replayed"
        baselines.append(Baseline(variant.name, bill.cost, bill.attainment_ratio, text))
    return tuple(sorted(baselines, key=lambda entry: (entry.cost, entry.variant)))


def _restrict(limit: Limit, model: ServedModel, name: str) -> Limit:
    """Return `limit` with what one variant of `model` uses of it, and nothing else."""
    whose = (model.namespace, model.model_id, name)
    kept = {
        key: value for key, value in limit.coefficients.items() if (key.namespace, key.model_id, key.variant) == whose
    }
    return replace(limit, coefficients=kept)


def _choose(singles: tuple[Baseline, ...], ours: Bill) -> Baseline:
    """Return the cheapest of `singles` that attains no less than `ours`, else the one that attains most."""
    if not singles:
        return Baseline("", math.inf, 0.0, "no variant can serve this demand alone")
    fair = [entry for entry in singles if entry.attainment_ratio >= ours.attainment_ratio - EQUAL_WITHIN_RATIO]
    return fair[0] if fair else max(singles, key=lambda entry: (entry.attainment_ratio, -entry.cost))


def _find_cheapest(costs: Mapping[str, float], text: str) -> Baseline:
    name, cost = min(costs.items(), key=lambda item: (item[1], item[0]))
    return Baseline(name, cost, 1.0, f"{text.format(name)}; 100 % attainment assumed")
