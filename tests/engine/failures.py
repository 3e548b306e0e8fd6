"""What can stop a trial before it has a result. Nothing else belongs here."""

from __future__ import annotations


class TrialFailure(Exception):
    """The trial could not be made; the message says why and what to do."""


class EnvironmentFailure(TrialFailure):
    """The engine's environment cannot be made on this machine."""


class ServerFailure(TrialFailure):
    """The model server did not start, or ended by itself."""


class AdapterFailure(TrialFailure):
    """The adapter did not start, or ended by itself."""
