"""What an examination finds. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a point stands."""

    OK = "ok"
    WRONG = "wrong"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Finding:
    """One point.

    Attributes
    ----------
    check
        Name of the point, such as ``APIService``.
    about
        The object it is about, "" for the whole cluster.
    verdict
        How it stands.
    message
        What was seen.
    remedy
        What to do, "" where there is nothing to do; may have several lines.
    """

    check: str
    about: str
    verdict: Verdict
    message: str
    remedy: str = ""


def ok(check: str, about: str, message: str) -> Finding:
    """Return a point that stands well."""
    return Finding(check, about, Verdict.OK, message)


def wrong(check: str, about: str, message: str, remedy: str) -> Finding:
    """Return a point that has to be mended, and how."""
    return Finding(check, about, Verdict.WRONG, message, remedy)


def cannot_tell(check: str, about: str, message: str, remedy: str = "") -> Finding:
    """Return a point that could not be looked at, and why."""
    return Finding(check, about, Verdict.CANNOT_TELL, message, remedy)
