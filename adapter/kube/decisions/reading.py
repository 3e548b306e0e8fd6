"""Reading the VariantDecisions of one installation, past those that cannot be read. It asks the cluster nothing."""

from __future__ import annotations

from adapter.errors import BadDocument
from adapter.kube.client import Json
from adapter.kube.decisions.decode import decode_installation, decode_object
from adapter.kube.decisions.installation import Installation
from adapter.kube.decisions.record import DecisionRecord
from adapter.telemetry import log_event


def read_decision(item: Json, installation: Installation) -> DecisionRecord | None:
    """Return what a VariantDecision of `installation` tells.

    None where it is another's, carries no decision, or cannot be read, which the log says.
    """
    if decode_installation(item) != installation:
        return None
    try:
        return decode_object(item)
    except BadDocument as failure:
        log_event("decision_unreadable", level="warning", error=str(failure))
        return None
