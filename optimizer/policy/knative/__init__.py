"""Knative's pod autoscaler: concurrency or rate over a calm and a quick window, with panic. Pure steps and a policy."""

from optimizer.policy.knative.policy import KnativePolicy, decode_knative_options
from optimizer.policy.knative.pool import PoolState, start_pool, step_pool
from optimizer.policy.knative.settings import KnativeSettings, LoadMetric

__all__ = [
    "KnativePolicy",
    "KnativeSettings",
    "LoadMetric",
    "PoolState",
    "decode_knative_options",
    "start_pool",
    "step_pool",
]
