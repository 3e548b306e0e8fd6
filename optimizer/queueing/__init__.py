"""Waiting and latency of one replica at a rate, and the inverse: its capacity within the SLO. No fleet, no price."""

from optimizer.queueing.capacity import CapacityEstimate, PromisedLatency, estimate_capacity

__all__ = ["CapacityEstimate", "PromisedLatency", "estimate_capacity"]
