"""Content negotiation: which of our few representations an Accept header asks for. Text only; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

JSON_TYPE = "application/json"
DISCOVERY_GROUP = "apidiscovery.k8s.io"
_JSON_RANGES = frozenset({JSON_TYPE, "*/*", "application/*"})
_DISCOVERY_VERSIONS = ("v2", "v2beta1")


class Representation(Enum):
    """What is sent."""

    JSON = "json"
    DISCOVERY_V2 = "v2"
    DISCOVERY_V2BETA1 = "v2beta1"


@dataclass(frozen=True, slots=True)
class _Range:
    """One entry of an Accept header."""

    media_type: str
    parameters: dict[str, str]
    weight_ratio: float


def choose_representation(accept: str | None, *, discovery: bool = False) -> Representation | None:
    """Return what to send for an Accept header, None when nothing of ours is acceptable (406).

    Parameters
    ----------
    accept
        The header; None and "" accept JSON.
    discovery
        Whether aggregated discovery documents can be had at this path (only at ``/apis``).
    """
    if accept is None or not accept.strip():
        return Representation.JSON
    for entry in _parse_accept(accept):
        if entry.media_type not in _JSON_RANGES or entry.weight_ratio <= 0:
            continue
        kind = entry.parameters.get("as")
        if kind is None:
            return Representation.JSON
        if discovery and kind == "APIGroupDiscoveryList" and entry.parameters.get("g") == DISCOVERY_GROUP:
            version = entry.parameters.get("v", "")
            if version in _DISCOVERY_VERSIONS:
                return Representation(version)
    return None


def _parse_accept(accept: str) -> list[_Range]:
    """Return the entries by falling weight, in the order written among equals."""
    ranges = []
    for part in accept.split(","):
        media_type, *rest = (piece.strip() for piece in part.split(";"))
        parameters = {key.strip().lower(): value.strip() for key, _, value in (piece.partition("=") for piece in rest)}
        ranges.append(_Range(media_type.lower(), parameters, _parse_weight(parameters.pop("q", "1"))))
    return sorted(ranges, key=lambda entry: -entry.weight_ratio)


def _parse_weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
