"""The opt-in hands on workloads: ``/scale`` where nobody else steps, and which pods go first. It decides no number."""

from adapter.kube.actuation.action import ZEROED_BY_HPA, ZEROED_BY_US, Action, ActionKind, record_zeroes
from adapter.kube.actuation.actuator import ActuationOptions, Actuator

__all__ = [
    "ZEROED_BY_HPA",
    "ZEROED_BY_US",
    "Action",
    "ActionKind",
    "ActuationOptions",
    "Actuator",
    "record_zeroes",
]
