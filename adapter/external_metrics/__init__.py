"""The external metrics API (``external.metrics.k8s.io/v1beta1``): wire objects, negotiation, selectors, handlers.

It answers from the store and never computes, decides or asks anybody.
"""

from adapter.external_metrics.app import build_external_metrics_app
from adapter.external_metrics.selector import LabelSelector, parse_selector

__all__ = ["LabelSelector", "build_external_metrics_app", "parse_selector"]
