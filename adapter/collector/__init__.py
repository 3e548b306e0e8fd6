"""Where pages are read: fetches pods' pages and turns them into readings, windows and the snapshot.

May call out over HTTP; may not touch the Kubernetes API, and knows no policy.
"""

from adapter.collector.collector import Collector
from adapter.collector.options import CollectorOptions, GatewayOptions, PageOptions, ScrapeOptions
from adapter.collector.read_page import read_page

__all__ = ["Collector", "CollectorOptions", "GatewayOptions", "PageOptions", "ScrapeOptions", "read_page"]
