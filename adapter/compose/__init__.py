"""Where the rooms are joined: the configuration becomes collector, discovery, controller and servers. No own logic.

A file per product: `application` is the running adapter, `dry_pass` one pass that publishes nothing.
"""

from adapter.compose.application import Application, open_application, serve
from adapter.compose.dry_pass import run_dry_pass, run_snapshot_pass

__all__ = ["Application", "open_application", "run_dry_pass", "run_snapshot_pass", "serve"]
