"""Options that every built-in policy is given in a demo, made from what the autoscaler is told of its LLMs. Pure.

A policy that knows no promise of latency is told by how much load one replica keeps it, as its user would find out by
measuring: what the variant with the least cost per request carries within the SLO, less a margin. Its windows are as
short as the demo's replicas are quick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from optimizer import estimate_capacity
from optimizer.domain import LatencyQuantity, ServedModel, Settings, Variant, Workload

MARGIN_RATIO = 0.8
"""Share of what a replica carries within the SLO that policies are told to aim at."""

RUNNING, WAITING, KV_CACHE = "vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"

Options = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ReplicaLoad:
    """What one replica is to carry.

    Attributes
    ----------
    rate_per_s
        Requests arriving [1/s].
    requests
        Those in it at a time, on the mean.
    kv_cache_ratio
        Its KV cache in use [0-1].
    """

    rate_per_s: float
    requests: float
    kv_cache_ratio: float


def build_policy_options(policy: str, model: ServedModel, settings: Settings) -> Options:
    """Return options of `policy` for `model`, {} for a policy that needs none, or is nobody's here.

    `settings` has the prices of all variants.
    """
    make = _MAKERS.get(policy)
    return {} if make is None else make(model, settings)


def estimate_replica_load(variant: Variant, model: ServedModel) -> ReplicaLoad:
    """Return what one replica of `variant` carries within the SLO of `model`, less the margin; each figure > 0.

    Source
    ------
    Little's law: requests inside = rate × (TTFT + ITL × (output tokens - 1)), all of them means.
    """
    workload = model.expected_workload
    assert isinstance(workload, Workload)
    estimate = estimate_capacity(variant, workload, model.service_classes)
    means_s = {latency.slo.quantity: latency.mean_s for latency in estimate.latencies}
    input_tokens, output_tokens = workload.input_lengths.mean_tokens, workload.output_lengths.mean_tokens
    stay_s = means_s.get(LatencyQuantity.TTFT, 0.0) + means_s.get(LatencyQuantity.ITL, 0.0) * (output_tokens - 1.0)
    rate_per_s = MARGIN_RATIO * max(estimate.capacity_per_s.value or 0.0, 0.01)
    requests = max(rate_per_s * stay_s, 1.0)
    profile = variant.performance
    capacity_tokens = (profile.kv_capacity_tokens if profile is not None else None) or 1e5
    used_ratio = requests * (input_tokens + output_tokens / 2.0) / capacity_tokens
    return ReplicaLoad(rate_per_s, requests, min(max(used_ratio, 0.001), 0.9))


def _make_target(model: ServedModel, settings: Settings) -> Options:
    load = _estimate_cheapest(model, settings)
    return {
        "metrics": [
            {"name": "running", "series": RUNNING, "target": _round(load.requests)},
            {"name": "waiting", "series": WAITING, "target": 2.0},
        ],
        "scale_down": {"stabilization_window": "60s"},
    }


def _make_knative(model: ServedModel, settings: Settings) -> Options:
    load = _estimate_cheapest(model, settings)
    return {"metric": "concurrency", "total": _round(load.requests), "utilization_ratio": 1.0}


def _make_kthena(model: ServedModel, settings: Settings) -> Options:
    load = _estimate_cheapest(model, settings)
    return {
        "metric_sources": {"load": {"series": [RUNNING, WAITING]}},
        "metrics": [{"name": "load", "target_value": _round(load.requests)}],
        "behavior": {"scale_down": {"stabilization_window": "60s"}},
        "capacity_per_s": "measured",
        "cost_expansion_ratio": 1.0,
    }


def _make_skyserve(model: ServedModel, settings: Settings) -> Options:
    del settings  # what each type carries counts, not its price
    return {
        "target_qps_per_replica": {
            f"{variant.accelerator}:{variant.accelerators_per_replica}": _round(
                estimate_replica_load(variant, model).rate_per_s
            )
            for variant in model.variants
        },
        "upscale_delay": "10s",
        "downscale_delay": "30s",
    }


def _make_saturation(model: ServedModel, settings: Settings) -> Options:
    load = _estimate_cheapest(model, settings)
    return {"version": "v2", "kv_cache_threshold": _round(load.kv_cache_ratio / MARGIN_RATIO)}


def _make_aibrix(model: ServedModel, settings: Settings) -> Options:
    load = _estimate_cheapest(model, settings)
    return {
        "algorithm": "kpa",  # the other one swings where replicas change within its window
        "metric": {"series": RUNNING, "target": _round(load.requests)},
        "observe_window": "60s",
        "panic_window": "15s",
        "scale_down_cooldown_window": "60s",
    }


_MAKERS: Mapping[str, Callable[[ServedModel, Settings], Options]] = {
    "target": _make_target,
    "knative": _make_knative,
    "kthena": _make_kthena,
    "skyserve": _make_skyserve,
    "saturation": _make_saturation,
    "aibrix": _make_aibrix,
}


def _estimate_cheapest(model: ServedModel, settings: Settings) -> ReplicaLoad:
    """Return what a replica carries of the variant with the least cost per request."""
    loads = {variant.name: estimate_replica_load(variant, model) for variant in model.variants}

    def compute_cost(variant: Variant) -> float:
        return settings.get_replica_cost_per_hour(variant) / loads[variant.name].rate_per_s

    return loads[min(model.variants, key=compute_cost).name]


def _round(value: float) -> float:
    """Return `value` with three digits, as a person would write it."""
    return float(f"{value:.3g}")
