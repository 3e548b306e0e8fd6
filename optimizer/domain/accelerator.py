"""Accelerator types, what one of them costs and draws. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One device type.

    Attributes
    ----------
    name
        As variants and limits call it, such as ``H100``.
    cost_per_hour
        Price of one device [currency/h].
    power_watts
        Draw of one device under load [W], None when nobody said.
    memory_bytes
        Memory of one device [bytes], None when nobody said.
    """

    name: str
    cost_per_hour: float
    power_watts: float | None = None
    memory_bytes: float | None = None
