"""Decisions as VariantDecision objects: the leader writes them, every replica reads them. Nothing is decided here."""

from adapter.kube.decisions.heartbeat import HEARTBEAT_NAME
from adapter.kube.decisions.installation import INSTALLATION_LABEL, Installation, get_object_name
from adapter.kube.decisions.published import fetch_published
from adapter.kube.decisions.reader import DecisionReader
from adapter.kube.decisions.watch import DecisionWatch
from adapter.kube.decisions.writer import DecisionWriter, WriteReport

__all__ = [
    "HEARTBEAT_NAME",
    "INSTALLATION_LABEL",
    "DecisionReader",
    "DecisionWatch",
    "DecisionWriter",
    "Installation",
    "WriteReport",
    "fetch_published",
    "get_object_name",
]
