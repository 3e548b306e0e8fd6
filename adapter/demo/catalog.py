"""What the embedded fleet can serve: LLMs, their promises and variants, and the engines behind them. It starts nothing.

The autoscaler is told the linear fits; the engines run on the measured tables, which it never sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapter.demo.engine_settings import EngineSettings
from adapter.demo.profiles import SetUp, read_fit, read_iteration_table
from adapter.errors import NotFound
from optimizer.domain import (
    Accelerator,
    LatencyQuantity,
    LengthDistribution,
    ModelKey,
    Parallelism,
    PerformanceProfile,
    Routing,
    ServedModel,
    ServiceClass,
    Slo,
    Variant,
    VariantKey,
    Workload,
    WorkloadRef,
)

NAMESPACE = "default"
ENGINE_VERSION = "0.32.0"
MOST_REPLICAS = 24


@dataclass(frozen=True, slots=True)
class _VariantSheet:
    name: str
    accelerator: str
    set_up: SetUp


@dataclass(frozen=True, slots=True)
class _ModelSheet:
    model_id: str
    ttft_s: float
    itl_s: float
    trace_share_ratio: float
    variants: tuple[_VariantSheet, ...]


# The share is that of the trace's requests, so that both together fill five to ten replicas. A100 has no 8-bit floating
# point, hence models run there in 16 bits. For the 70B model one large replica is nearly enough and small ones fill up
# what is missing, so a mix pays; for the 8B model one variant is the cheapest at every need, and a mix does not.
_SHEETS: Mapping[str, _ModelSheet] = {
    "llama-70b": _ModelSheet(
        model_id="meta-llama/Llama-3.1-70B-Instruct",
        ttft_s=3.0,
        itl_s=0.080,
        trace_share_ratio=0.4,
        variants=(
            _VariantSheet("h100-tp2-fp8", "H100", SetUp("h100_sxm", "70B", 2, "fp8")),
            _VariantSheet("rtx6000-tp2-fp8", "RTX-PRO-6000", SetUp("rtx_pro_6000_server", "70B", 2, "fp8")),
            _VariantSheet("a100-tp4", "A100", SetUp("a100_sxm", "70B", 4, "bfloat16")),
        ),
    ),
    "llama-8b": _ModelSheet(
        model_id="meta-llama/Llama-3.1-8B-Instruct",
        ttft_s=1.0,
        itl_s=0.025,
        trace_share_ratio=0.6,
        variants=(
            _VariantSheet("l40s-fp8", "L40S", SetUp("l40s", "8B", 1, "fp8")),
            _VariantSheet("a100", "A100", SetUp("a100_sxm", "8B", 1, "bfloat16")),
        ),
    ),
}
MODEL_NAMES = tuple(_SHEETS)

# Of the trace; used until the pages have shown lengths of their own.
_TRACE_LENGTHS = Workload(
    arrival_rate_per_s=0.0,
    input_lengths=LengthDistribution(1155.0, 1155.0**2 * (1 + 0.96**2)),
    output_lengths=LengthDistribution(211.0, 211.0**2 * (1 + 0.77**2)),
)


@dataclass(frozen=True, slots=True)
class CatalogOptions:
    """What may differ from run to run.

    Attributes
    ----------
    startup_s
        Creation to ready of every replica [s].
    policy
        Who proposes replicas.
    percentile
        Share of requests, in percent, for which each promise is planned to hold [0-100).
    min_replicas
        Least replicas of each LLM; 0 lets it go to zero.
    idle_to_zero_s
        Silence after which it goes there [s].
    """

    startup_s: float = 10.0
    policy: str = "slo"
    percentile: float = 99.0
    min_replicas: int = 1
    idle_to_zero_s: float = 300.0


@dataclass(frozen=True, slots=True)
class DemoModel:
    """One LLM of the fleet.

    Attributes
    ----------
    nickname
        Short name, for options and tables.
    served
        What the autoscaler is told.
    engines
        How the replicas of each variant really behave.
    trace_share_ratio
        Share of the trace's requests that ask for it [0-1].
    """

    nickname: str
    served: ServedModel
    engines: Mapping[VariantKey, EngineSettings]
    trace_share_ratio: float

    @property
    def key(self) -> ModelKey:
        """Identity."""
        return self.served.key


def build_model(nickname: str, options: CatalogOptions) -> DemoModel:
    """Return the LLM called `nickname`.

    Raises
    ------
    NotFound
        When the catalog does not have it.
    """
    if nickname not in _SHEETS:
        raise NotFound(f"no model {nickname} in the catalog; known: {', '.join(MODEL_NAMES)}")
    sheet = _SHEETS[nickname]
    variants = tuple(_build_variant(nickname, sheet, variant, options) for variant in sheet.variants)
    promises = (
        Slo(LatencyQuantity.TTFT, sheet.ttft_s, options.percentile),
        Slo(LatencyQuantity.ITL, sheet.itl_s, options.percentile),
    )
    served = ServedModel(
        namespace=NAMESPACE,
        model_id=sheet.model_id,
        service_classes=(ServiceClass(f"{nickname}-chat", promises),),
        variants=variants,
        routing=Routing.WEIGHTED,
        policy=options.policy,
        min_replicas=options.min_replicas,
        max_replicas=MOST_REPLICAS,
        idle_to_zero_s=options.idle_to_zero_s,
        has_gateway=True,
        expected_workload=_TRACE_LENGTHS,
    )
    engines = {
        variant.key(): _build_engine(sheet.model_id, variant, chosen.set_up)
        for variant, chosen in zip(variants, sheet.variants, strict=True)
    }
    return DemoModel(nickname, served, engines, sheet.trace_share_ratio)


def build_accelerators(models: tuple[DemoModel, ...], prices: Mapping[str, float]) -> tuple[Accelerator, ...]:
    """Return the accelerators that `models` run on, priced by `prices` [currency/h].

    Raises
    ------
    NotFound
        When the sheet has no price for one of them.
    """
    names = sorted({variant.accelerator for model in models for variant in model.served.variants})
    missing = [name for name in names if name not in prices]
    if missing:
        raise NotFound(f"the price sheet has no line for {', '.join(missing)}")
    return tuple(Accelerator(name, prices[name]) for name in names)


def _build_variant(nickname: str, sheet: _ModelSheet, chosen: _VariantSheet, options: CatalogOptions) -> Variant:
    fit = read_fit(chosen.set_up)
    return Variant(
        namespace=NAMESPACE,
        model_id=sheet.model_id,
        name=chosen.name,
        workload=WorkloadRef(NAMESPACE, f"{nickname}-{chosen.name}"),
        accelerator=chosen.accelerator,
        accelerators_per_replica=chosen.set_up.tensor,
        engine_version=ENGINE_VERSION,
        parallelism=Parallelism(tensor=chosen.set_up.tensor),
        startup_s=options.startup_s,
        max_replicas=MOST_REPLICAS,
        performance=PerformanceProfile(law=fit.law, kv_capacity_tokens=float(fit.kv_capacity_tokens)),
    )


def _build_engine(model_id: str, variant: Variant, set_up: SetUp) -> EngineSettings:
    return EngineSettings(
        model_name=model_id,
        performance=read_iteration_table(set_up),
        kv_capacity_tokens=read_fit(set_up).kv_capacity_tokens,
        version=ENGINE_VERSION,
        max_running_requests=variant.max_running_requests,
        max_batched_tokens=variant.max_batched_tokens,
    )
