"""Which workloads and pods exist: from the configuration, or from an inventory document over HTTP.

It does not scrape pods, decide or publish.
"""

from adapter.discovery.http import HttpDiscovery
from adapter.discovery.last_good import InventorySource, LastGoodDiscovery
from adapter.discovery.static import StaticDiscovery

__all__ = ["HttpDiscovery", "InventorySource", "LastGoodDiscovery", "StaticDiscovery"]
