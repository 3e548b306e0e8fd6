"""Target tracking: the law of the HPA on series of the user's choice. A policy and its options."""

from optimizer.policy.target.options import TargetMetric, TargetOptions, decode_target_options
from optimizer.policy.target.policy import TargetPolicy

__all__ = ["TargetMetric", "TargetOptions", "TargetPolicy", "decode_target_options"]
