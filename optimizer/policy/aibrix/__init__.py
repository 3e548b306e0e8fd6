"""Scaling as AIBrix does it: its PodAutoscaler of two generations, and its optimizer over accelerators."""

from optimizer.policy.aibrix.apa import recommend_apa
from optimizer.policy.aibrix.autoscaler import AutoscalerState, Strategy, Tick, step_autoscaler
from optimizer.policy.aibrix.cooldown import stabilize
from optimizer.policy.aibrix.kpa import recommend_kpa
from optimizer.policy.aibrix.old_autoscaler import OldAutoscalerState, OldTick, step_old_autoscaler
from optimizer.policy.aibrix.scaling_settings import ScalingSettings
from optimizer.policy.aibrix.windows import MeanWindow

__all__ = [
    "AutoscalerState",
    "MeanWindow",
    "OldAutoscalerState",
    "OldTick",
    "ScalingSettings",
    "Strategy",
    "Tick",
    "recommend_apa",
    "recommend_kpa",
    "stabilize",
    "step_autoscaler",
    "step_old_autoscaler",
]
