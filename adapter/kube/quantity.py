"""Quantities as the Kubernetes API writes them, such as ``500m``, ``2k`` or ``1Gi``, to numbers and back. Pure text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from adapter.errors import BadDocument

_SCALES: Mapping[str, Fraction] = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "": Fraction(1),
    **{suffix: Fraction(1000**power) for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Fraction(1024**power) for power, suffix in enumerate("KMGTPE", start=1)},
}
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?:[eE](?P<exponent>[+-]?\d{1,3})|(?P<suffix>[KMGTPE]i|[numkMGTPE]?))",
    re.ASCII,
)
_LARGEST = Fraction(2**63 - 1)


def parse_quantity(value: object) -> float:
    """Return the number that a quantity stands for: text, or a bare number as JSON readers make them.

    What is larger than 2⁶³ − 1 becomes that, as the API server has it. ``1E`` is one exa, ``1E0`` is one.

    Raises
    ------
    BadDocument
        When it is no quantity.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise BadDocument(f"must be a quantity such as 500m or 80Gi, got {value!r}")
    found = _QUANTITY.fullmatch(str(value))
    if found is None:
        raise BadDocument(f"must be a quantity such as 500m or 80Gi, got {value!r}")
    scale = Fraction(10) ** int(found["exponent"]) if found["exponent"] else _SCALES[found["suffix"]]
    exact = Fraction(found["number"]) * scale
    return float(min(max(exact, -_LARGEST), _LARGEST))


def render_quantity(value: float) -> str:
    """Return a finite number as a quantity, to the nearest thousandth: ``4``, ``4500m``."""
    thousandths = round(Fraction(value) * 1000)
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"
