"""KEDA on latency ratios, the rule of the llm-d guides, for comparison. Pure steps; not chosen in a configuration."""

from optimizer.policy.keda.latency_ratio import LatencySettings, compute_latency_ratio, step_latency_ratio

__all__ = ["LatencySettings", "compute_latency_ratio", "step_latency_ratio"]
