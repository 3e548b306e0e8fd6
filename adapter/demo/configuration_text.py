"""Writes the configuration that the autoscaler of a demo is started with, from the same data the fleet is built of.

The text is JSON, which is YAML as well. It decides nothing, and checks nothing: reading it does that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from adapter.demo.catalog import DemoModel
from optimizer.domain import Accelerator, LengthDistribution, ServiceClass, Variant, Workload


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the parts of a demo find each other, and how often the autoscaler looks.

    Attributes
    ----------
    page_port, api_port
        Ports of the pages and of the external metrics API.
    inventory_url
        Address of the inventory document.
    gateway_url
        Address of the router's metrics page, "" to do without it.
    period_s, actuation_delay_s
        Time between two passes, and from a published number to somebody acting on it [s].
    calm_window_s
        How long the need must stay below before a lower number is published [s].
    """

    page_port: int
    api_port: int
    inventory_url: str
    gateway_url: str
    period_s: float
    actuation_delay_s: float
    calm_window_s: float


def render_configuration(models: Iterable[DemoModel], accelerators: Iterable[Accelerator], around: Surroundings) -> str:
    """Return the text of the configuration file."""
    models = tuple(models)
    document = {
        "listen": {"pages": {"port": around.page_port}, "external_metrics_http": {"port": around.api_port}},
        "decision": {
            "period": _seconds(around.period_s),
            "actuation_delay": _seconds(around.actuation_delay_s),
            "stale_after": _seconds(4 * around.period_s),
            "calm_window": _seconds(around.calm_window_s),
        },
        "publishing": {"max_decision_age": _seconds(max(600.0, 10 * around.period_s))},
        "collection": {"jitter": _seconds(min(0.2, around.period_s / 10))},
        "discovery": {"kind": "http", "url": around.inventory_url},
        "accelerators": {one.name: {"cost_per_hour": one.cost_per_hour} for one in accelerators},
        "service_classes": {
            promise.name: _to_class(promise) for model in models for promise in model.served.service_classes
        },
        "models": [_to_model(model, around.gateway_url) for model in models],
    }
    return json.dumps(document, indent=2) + "\n"


def _to_class(promise: ServiceClass) -> dict[str, Any]:
    found: dict[str, Any] = {slo.quantity.value: _milliseconds(slo.target_s) for slo in promise.slos}
    percentiles = {slo.percentile for slo in promise.slos}
    if len(percentiles) == 1:
        return {**found, "percentile": percentiles.pop()}
    return {**found, **{f"{slo.quantity.value}_percentile": slo.percentile for slo in promise.slos}}


def _to_model(model: DemoModel, gateway_url: str) -> dict[str, Any]:
    served = model.served
    document: dict[str, Any] = {
        "name": served.model_id,
        "namespace": served.namespace,
        "service_classes": [promise.name for promise in served.service_classes],
        "routing": served.routing.value,
        "policy": served.policy,
        "min_replicas": served.min_replicas,
        "max_replicas": served.max_replicas,
        "idle_to_zero": _seconds(served.idle_to_zero_s),
        "variants": [_to_variant(variant) for variant in served.variants],
    }
    if served.policy_options:
        document["policy_options"] = dict(served.policy_options)
    if served.expected_workload is not None:
        document["expected_workload"] = _to_workload(served.expected_workload)
    if gateway_url:
        document["gateway"] = {"url": gateway_url}
    return document


def _to_workload(workload: Workload) -> dict[str, Any]:
    return {
        "input_tokens": workload.input_lengths.mean_tokens,
        "output_tokens": workload.output_lengths.mean_tokens,
        "input_spread_ratio": _compute_spread_ratio(workload.input_lengths),
        "output_spread_ratio": _compute_spread_ratio(workload.output_lengths),
        "cached_ratio": workload.cached_ratio,
    }


def _compute_spread_ratio(lengths: LengthDistribution) -> float:
    return round(math.sqrt(max(lengths.mean_square_tokens2 / lengths.mean_tokens**2 - 1.0, 0.0)), 6)


def _to_variant(variant: Variant) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": variant.name,
        "deployment": variant.workload.name,
        "accelerator": variant.accelerator,
        "parallelism": {"tensor": variant.parallelism.tensor},
        "engine": variant.engine,
        "engine_version": variant.engine_version,
        "max_running_requests": variant.max_running_requests,
        "max_batched_tokens": variant.max_batched_tokens,
        "startup": _seconds(variant.startup_s),
        "max_replicas": variant.max_replicas,
    }
    profile = variant.performance
    if profile is not None and profile.law is not None:
        law = profile.law
        document["performance"] = {
            "law": {
                "fixed": _milliseconds(law.fixed_s),
                "per_request": _milliseconds(law.per_request_s),
                "per_context_token": _milliseconds(law.per_context_token_s),
                "per_prompt_token": _milliseconds(law.per_prompt_token_s),
            },
            "kv_capacity_tokens": profile.kv_capacity_tokens,
            "overhead": _milliseconds(profile.overhead_s),
            "derate_ratio": profile.derate_ratio,
        }
    return document


def _seconds(value_s: float) -> str:
    return f"{value_s:.9g}s"


def _milliseconds(value_s: float) -> str:
    return f"{value_s * 1e3:.9g}ms"
