"""Where pages are read: fetches pods' pages and turns them into readings, windows and the snapshot.

May call out over HTTP; may not touch the Kubernetes API, and knows no policy.
"""

from adapter.collector.read_page import read_page

__all__ = ["read_page"]
