"""Examines a cluster with a person's own rights and says of each point: ok, wrong, cannot tell. It changes nothing.

It joins what the rooms below know; nobody but the command line imports it.
"""

from adapter.doctor.examination import examine
from adapter.doctor.finding import Finding, Verdict
from adapter.doctor.look import Look, open_look

__all__ = ["Finding", "Look", "Verdict", "examine", "open_look"]
