"""What an examination finds: points, each with how it stands and what to do. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Check(StrEnum):
    """The points, in the order in which a number travels: from the installation to the API, to HPA, to the pods."""

    YOUR_RIGHTS = "your rights"
    INSTALLATION = "installation"
    CONFIGURATION = "configuration"
    API_CONDITION = "APIService condition"
    API_OWNER = "APIService owner"
    CERTIFICATE_NAME = "certificate name"
    CERTIFICATE_AUTHORITY = "certificate authority"
    CERTIFICATE_DATE = "certificate date"
    ENDPOINTS = "endpoints"
    NAMESPACES = "namespaces being deleted"
    REVIEW_RIGHTS = "review rights"
    HPA_RIGHTS = "HPA's rights"
    LEADER = "leader"
    DECISION_AGE = "decision age"
    VARIANTS = "variants"
    CLAIM = "claim"
    ACCELERATOR = "accelerator type"
    FOLLOWER = "follower"
    SELECTOR_HITS = "selector hits"
    TOLERANCE = "tolerance"
    FURTHER_METRICS = "further metrics"
    EXACTNESS = "followed exactly"
    ENGINE_PAGE = "engine page"
    GRACE = "termination grace"
    PRE_STOP = "preStop hook"
    REPLICAS_OWNER = "owner of spec.replicas"
    WORKLOAD = "workload"


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
        Which point.
    about
        The object it is about, "" for the whole cluster.
    verdict
        How it stands.
    message
        What was seen.
    remedy
        What to do, "" where there is nothing to do; may have several lines.
    code
        The reason for machines where there is one, such as ``ToleranceAboveZero``.
    """

    check: Check
    about: str
    verdict: Verdict
    message: str
    remedy: str = ""
    code: str = ""


def ok(check: Check, about: str, message: str) -> Finding:
    """Return a point that stands well."""
    return Finding(check, about, Verdict.OK, message)


def wrong(check: Check, about: str, message: str, remedy: str, code: str = "") -> Finding:
    """Return a point that has to be mended, and how."""
    return Finding(check, about, Verdict.WRONG, message, remedy.strip("\n"), code)


def cannot_tell(check: Check, about: str, message: str, remedy: str = "") -> Finding:
    """Return a point that could not be looked at, and why."""
    return Finding(check, about, Verdict.CANNOT_TELL, message, remedy.strip("\n"))
