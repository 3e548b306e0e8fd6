"""Makes the scaler that a name stands for, fresh for every run. It runs none.

Peers are told what they ship; with `sizes` they are told what one replica carries within the SLO, as our own capacity
model estimates it for the mean request of the trace, and Dynamo, which knows targets of latency, what is promised: then
everybody knows the fleet equally well. Rates per replica, without which SkyServe does nothing, are told either way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from adapter.config.policies import Policies
from adapter.config.problems import suggest
from adapter.errors import NotFound
from adapter.simulation.names import POLICIES
from adapter.simulation.run_options import HpaKnobs
from optimizer.domain import ModelKey, Role, ServedModel, Settings, VariantKey, Workload
from optimizer.simulation.deciders import (
    AibrixStrategy,
    AibrixVersion,
    Decider,
    DynamoMode,
    HpaMetric,
    SaturationVersion,
    compute_capacities_per_s,
    compute_in_flight_requests,
    make_aibrix,
    make_aibrix_optimizer,
    make_best_homogeneous,
    make_dynamo,
    make_dynamo_pools,
    make_hpa_kv,
    make_hpa_queue,
    make_keda,
    make_knative,
    make_kthena,
    make_ray_serve,
    make_saturation,
    make_skyserve,
    make_skyserve_rate,
    make_slo,
    make_static_peak,
)

MARGIN_RATIO = 0.8
"""Share of what a replica carries within the SLO that sized peers are told to aim at."""


@dataclass(frozen=True, slots=True)
class Briefing:
    """What a scaler may be told before a run.

    Attributes
    ----------
    settings
        LLMs, prices, limits, knobs; each LLM as its configuration has it.
    ours
        The same with every LLM decided by ours.
    peaks
        Highest minute of every LLM, with the lengths of the whole trace.
    policies
        What a configuration may name.
    sizes
        Whether peers are told what one replica carries.
    quota
        Devices by accelerator, where they are bounded.
    hpa
        Knobs of every HPA.
    """

    settings: Settings
    ours: Settings
    peaks: Mapping[ModelKey, Workload]
    policies: Policies
    sizes: bool = False
    quota: Mapping[str, int] | None = None
    hpa: HpaKnobs = field(default_factory=HpaKnobs)

    @property
    def models(self) -> tuple[ServedModel, ...]:
        """The LLMs."""
        return self.settings.models

    @property
    def rates_per_s(self) -> dict[VariantKey, float]:
        """What a replica of each variant is to carry [1/s]."""
        return {key: MARGIN_RATIO * one for key, one in estimate_capacities_per_s(self.models, self.peaks).items()}

    @property
    def targets(self) -> dict[VariantKey, float]:
        """Requests that a replica of each variant is to have in flight; {} where peers come as shipped."""
        if not self.sizes:
            return {}
        found: dict[VariantKey, float] = {}
        for model in self.models:
            if model.key in self.peaks:
                found |= compute_in_flight_requests(model, self.peaks[model.key])
        return {key: max(MARGIN_RATIO * one, 1.0) for key, one in found.items()}

    @property
    def has_pairs(self) -> bool:
        """Whether prefill and decode are apart in every LLM."""
        return all(
            {variant.main_role for variant in model.variants} >= {Role.PREFILL, Role.DECODE} for model in self.models
        )


def make_decider(name: str, briefing: Briefing) -> Decider:
    """Return the scaler called `name`, without any memory yet.

    Raises
    ------
    NotFound
        When there is none of this name.
    InvalidInput
        When it cannot scale this fleet.
    """
    check_policy(name)
    return _MAKERS[name](briefing)


def check_policy(name: str) -> None:
    """Raise NotFound, with the nearest name, when `name` is no policy."""
    if name not in POLICIES:
        raise NotFound(f"no policy {name}{suggest(name, POLICIES)}")


def estimate_capacities_per_s(
    models: tuple[ServedModel, ...], workloads: Mapping[ModelKey, Workload]
) -> dict[VariantKey, float]:
    """Return what one replica of each variant carries within the SLO [1/s], 0 where none is known."""
    found: dict[VariantKey, float] = {}
    for model in models:
        if model.key in workloads:
            found |= compute_capacities_per_s(model, workloads[model.key])
    return found


def _make_dynamo(briefing: Briefing, mode: DynamoMode) -> Decider:
    make = make_dynamo_pools if briefing.has_pairs else make_dynamo
    return make(briefing.models, mode, knows_promises=briefing.sizes)


def _make_aibrix(briefing: Briefing, strategy: AibrixStrategy, version: AibrixVersion) -> Decider:
    return make_aibrix(briefing.models, strategy, version, briefing.targets)


_MAKERS: Mapping[str, Callable[[Briefing], Decider]] = {
    "slo": lambda it: make_slo(it.ours, it.policies),
    "configured": lambda it: make_slo(it.settings, it.policies),
    "static_peak": lambda it: make_static_peak(it.settings, it.peaks),
    "best_homogeneous": lambda it: make_best_homogeneous(it.settings, it.peaks),
    "hpa_queue": lambda it: make_hpa_queue(it.models, it.hpa.to_shipped(HpaMetric.QUEUE)),
    "hpa_kv": lambda it: make_hpa_kv(it.models, it.hpa.to_shipped(HpaMetric.KV)),
    "keda": lambda it: make_keda(it.models),
    "knative": lambda it: make_knative(it.models, it.targets),
    "kthena": lambda it: make_kthena(it.models, it.settings.accelerators, it.targets),
    "skyserve": lambda it: make_skyserve(it.models, it.rates_per_s, it.settings.accelerators, it.quota),
    "skyserve_rate": lambda it: make_skyserve_rate(it.models, it.rates_per_s, it.settings.accelerators, it.quota),
    "saturation": lambda it: make_saturation(it.models, it.settings.accelerators),
    "saturation_v1": lambda it: make_saturation(
        it.models, it.settings.accelerators, SaturationVersion.V1, quota=it.quota if it.sizes else None
    ),
    "aibrix": lambda it: _make_aibrix(it, AibrixStrategy.APA, AibrixVersion.HEAD),
    "aibrix_kpa": lambda it: _make_aibrix(it, AibrixStrategy.KPA, AibrixVersion.HEAD),
    "aibrix_old": lambda it: _make_aibrix(it, AibrixStrategy.APA, AibrixVersion.OLD),
    "aibrix_old_kpa": lambda it: _make_aibrix(it, AibrixStrategy.KPA, AibrixVersion.OLD),
    "aibrix_optimizer": lambda it: make_aibrix_optimizer(it.models, it.settings.accelerators),
    "ray_serve": lambda it: make_ray_serve(it.models, it.targets),
    "dynamo": lambda it: _make_dynamo(it, DynamoMode.LOAD),
    "dynamo_rate": lambda it: _make_dynamo(it, DynamoMode.RATE),
}
