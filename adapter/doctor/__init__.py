"""Examines a cluster with a person's own rights and says of each point: ok, wrong, cannot tell. It changes nothing.

It joins what the rooms below know; nobody but the command line imports it. `open_look` reads the cluster, `examine`
asks the rest and judges, point by point.
"""

from adapter.doctor.examination import examine
from adapter.doctor.finding import Check, Finding, Verdict
from adapter.doctor.look import Look, open_look, take_look

__all__ = ["Check", "Finding", "Look", "Verdict", "examine", "open_look", "take_look"]
