"""Ray Serve's autoscaling rules, quirks kept, for comparison. Pure steps; nothing here is chosen in a configuration."""

from optimizer.policy.ray_serve.averaging import LoadPoint, compute_time_weighted_mean, merge_total
from optimizer.policy.ray_serve.scaling import (
    DelayState,
    RaySettings,
    apply_factor,
    iterate_faults,
    step_delay,
    step_ray_serve,
)

__all__ = [
    "DelayState",
    "LoadPoint",
    "RaySettings",
    "apply_factor",
    "compute_time_weighted_mean",
    "iterate_faults",
    "merge_total",
    "step_delay",
    "step_ray_serve",
]
