"""Our own metrics and our own log: what this process did, how long it took. It knows no decision, opens no socket."""

from adapter.telemetry.log import configure_logging, log_event
from adapter.telemetry.metrics import Telemetry

__all__ = ["Telemetry", "configure_logging", "log_event"]
