"""Names of what can be simulated: traces, fleets, policies. Words only, so that a command line is quick."""

from __future__ import annotations

from collections.abc import Mapping

TRACES: Mapping[str, str] = {
    "azure-hour": "58 minutes of a conversation service as they were (Azure 2023), 5.5/s",
    "day": "24 hours derived from rates of ServeGen and lengths of Azure, 2/s (semi-synthetic)",
    "step": "20 minutes, 2/s, doubled at once for the middle third",
    "ramp": "20 minutes, from 1/s to 5/s and back",
    "spikes": "20 minutes, 1/s, tripled for one minute in every four",
}
"""Built-in traces; the last three are Poisson processes with token lengths of the first."""

FLEETS: Mapping[str, str] = {
    "llama-70b": "Llama 3.1 70B on H100, RTX PRO 6000 or A100",
    "llama-8b": "Llama 3.1 8B on L40S or A100",
    "both": "both of them, 40 % of the requests for the larger one",
    "llama-70b-h100": "the larger one on H100 alone: one Deployment, as scalers of one see it",
    "llama-70b-a100": "the same on A100 alone",
    "llama-8b-l40s": "the smaller one on L40S alone",
    "llama-8b-a100": "the same on A100 alone",
    "llama-70b-apart": "the larger one on H100, prefill apart from decode",
}
"""Built-in fleets."""

POLICIES: Mapping[str, str] = {
    "slo": "ours",
    "configured": "each LLM by the policy and options of its configuration, as the product would",
    "static_peak": "the cheapest mix for the highest minute, told beforehand, never changed",
    "best_homogeneous": "the cheapest single variant for the highest minute, told beforehand, never changed",
    "hpa_queue": "HPA, 5 waiting requests per replica",
    "hpa_kv": "HPA, 80 % of the KV cache",
    "keda": "KEDA on ratios of latencies to their targets (llm-d)",
    "knative": "Knative, stable and panic windows",
    "kthena": "Kthena, groups of unlike variants",
    "skyserve": "SkyServe, a rate per accelerator",
    "skyserve_rate": "SkyServe, one rate for all replicas",
    "saturation": "llm-d's workload variant autoscaler, analyzer V2",
    "saturation_v1": "the same, analyzer V1",
    "aibrix": "AIBrix, APA",
    "aibrix_kpa": "AIBrix, KPA",
    "aibrix_old": "AIBrix 0.4, APA",
    "aibrix_old_kpa": "AIBrix 0.4, KPA",
    "aibrix_optimizer": "AIBrix' optimizer over profiles",
    "ray_serve": "Ray Serve, requests in flight",
    "dynamo": "Dynamo's planner by load",
    "dynamo_rate": "Dynamo's planner by rate",
}
"""Who may scale."""

STATIC = ("static_peak", "best_homogeneous")
"""Those that never change anything, and begin with what they ask for."""

EACH_VARIANT = (
    *("hpa_queue", "hpa_kv", "keda", "knative", "ray_serve", "dynamo", "dynamo_rate"),
    *("aibrix", "aibrix_kpa", "aibrix_old", "aibrix_old_kpa"),
)
"""Those that scale every variant by itself, never below one replica; behind an HPA none would ever leave zero."""

WHOLE_REQUESTS = ("slo", "configured", "skyserve", "skyserve_rate", "saturation", "saturation_v1", "aibrix_optimizer")
"""Those that plan every variant as if its replicas served whole requests: prefill and decode apart is beyond them."""
