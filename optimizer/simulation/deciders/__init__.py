"""Scalers of a simulated cluster: ours and those of others, with what they ship. They see pages, never the truth."""

from optimizer.policy.aibrix import Strategy as AibrixStrategy
from optimizer.policy.aibrix import Version as AibrixVersion
from optimizer.policy.saturation import SaturationVersion
from optimizer.simulation.decider import Decider, ScraperView
from optimizer.simulation.deciders.aibrix import make_aibrix
from optimizer.simulation.deciders.aibrix_optimizer import make_aibrix_optimizer
from optimizer.simulation.deciders.dynamo import make_dynamo
from optimizer.simulation.deciders.dynamo_pools import make_dynamo_pools
from optimizer.simulation.deciders.dynamo_settings import DynamoMode
from optimizer.simulation.deciders.hpa import HpaMetric, HpaShipped, make_hpa_kv, make_hpa_queue
from optimizer.simulation.deciders.keda import make_keda
from optimizer.simulation.deciders.knative import make_knative
from optimizer.simulation.deciders.kthena import make_kthena
from optimizer.simulation.deciders.ray_serve import make_ray_serve
from optimizer.simulation.deciders.saturation import make_saturation
from optimizer.simulation.deciders.sizing import compute_capacities_per_s, compute_in_flight_requests
from optimizer.simulation.deciders.skyserve import make_skyserve, make_skyserve_rate
from optimizer.simulation.deciders.slo import OurDecider, make_slo
from optimizer.simulation.deciders.static import make_best_homogeneous, make_static, make_static_peak

__all__ = [
    "AibrixStrategy",
    "AibrixVersion",
    "Decider",
    "DynamoMode",
    "HpaMetric",
    "HpaShipped",
    "OurDecider",
    "SaturationVersion",
    "ScraperView",
    "compute_capacities_per_s",
    "compute_in_flight_requests",
    "make_aibrix",
    "make_aibrix_optimizer",
    "make_best_homogeneous",
    "make_dynamo",
    "make_dynamo_pools",
    "make_hpa_kv",
    "make_hpa_queue",
    "make_keda",
    "make_knative",
    "make_kthena",
    "make_ray_serve",
    "make_saturation",
    "make_skyserve",
    "make_skyserve_rate",
    "make_slo",
    "make_static",
    "make_static_peak",
]
