"""Scaling as AIBrix does it: its PodAutoscaler of two generations, and its optimizer over accelerators."""

from optimizer.policy.aibrix.apa import recommend_apa
from optimizer.policy.aibrix.autoscaler import AutoscalerState, Strategy, Tick, step_autoscaler
from optimizer.policy.aibrix.clustering import RequestCluster, cluster_requests
from optimizer.policy.aibrix.cooldown import stabilize
from optimizer.policy.aibrix.gpu_optimizer import CapacityProfile, OptimizedDeployment, OptimizerState, step_optimizer
from optimizer.policy.aibrix.kpa import recommend_kpa
from optimizer.policy.aibrix.mix_program import LoadCell, solve_mix
from optimizer.policy.aibrix.modelled_profile import PEER_TICKS_TOKENS, ModelledProfile
from optimizer.policy.aibrix.old_autoscaler import OldAutoscalerState, OldTick, step_old_autoscaler
from optimizer.policy.aibrix.options import AibrixOptions, Algorithm, Source, Version
from optimizer.policy.aibrix.policy import AibrixPolicy
from optimizer.policy.aibrix.profile import AibrixProfile, BenchmarkPoint, ProfileCell, ProfileSlo, measure_cell
from optimizer.policy.aibrix.request_trace import (
    TraceDocument,
    TraceRecord,
    cut_index,
    encode_bucket,
    encode_index,
    list_read_keys,
    name_profile_key,
    name_trace_key,
    read_document,
    write_document,
)
from optimizer.policy.aibrix.scaling_settings import ScalingSettings
from optimizer.policy.aibrix.spreading import LengthShares, share_lengths, write_spread
from optimizer.policy.aibrix.windows import MeanWindow

__all__ = [
    "PEER_TICKS_TOKENS",
    "AibrixOptions",
    "AibrixPolicy",
    "AibrixProfile",
    "Algorithm",
    "AutoscalerState",
    "BenchmarkPoint",
    "CapacityProfile",
    "LengthShares",
    "LoadCell",
    "MeanWindow",
    "ModelledProfile",
    "OldAutoscalerState",
    "OldTick",
    "OptimizedDeployment",
    "OptimizerState",
    "ProfileCell",
    "ProfileSlo",
    "RequestCluster",
    "ScalingSettings",
    "Source",
    "Strategy",
    "Tick",
    "TraceDocument",
    "TraceRecord",
    "Version",
    "cluster_requests",
    "cut_index",
    "encode_bucket",
    "encode_index",
    "list_read_keys",
    "measure_cell",
    "name_profile_key",
    "name_trace_key",
    "read_document",
    "recommend_apa",
    "recommend_kpa",
    "share_lengths",
    "solve_mix",
    "stabilize",
    "step_autoscaler",
    "step_old_autoscaler",
    "step_optimizer",
    "write_document",
    "write_spread",
]
