"""Metric pages of the engines that the embedded fleet plays, rendered from the state of a token engine. No network."""

from adapter.demo.pages.http_counts import HttpCounts, Visit
from adapter.demo.pages.metrics_page import MetricsPage, get_edges, make_page

__all__ = ["HttpCounts", "MetricsPage", "Visit", "get_edges", "make_page"]
