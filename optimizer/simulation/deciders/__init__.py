"""Scalers of a simulated cluster: ours and those of others, each with what it ships. They see pages, never the truth."""

from optimizer.simulation.deciders.slo import OurDecider, make_slo

__all__ = ["OurDecider", "make_slo"]
