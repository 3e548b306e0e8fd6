"""Overrides: what a person decided instead of us about one variant, or that nothing of ours may act. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OverrideMode(StrEnum):
    """What is overridden."""

    SHADOW = "shadow"  # decided and shown, nothing published that acts
    PAUSE = "pause"  # the present number is held
    PIN = "pin"  # this number is published


@dataclass(frozen=True, slots=True)
class Override:
    """One override of one variant.

    Attributes
    ----------
    mode
        What is overridden.
    replicas
        The number, for `PIN` only.
    by
        Who says so, "" when nobody signed.
    until_s
        When it ends by itself [Unix s]; None means never.
    source
        Where it stands: ``annotation`` or ``configuration``.
    """

    mode: OverrideMode
    replicas: int | None = None
    by: str = ""
    until_s: float | None = None
    source: str = "configuration"

    def is_in_force(self, now_s: float) -> bool:
        """Whether it holds at `now_s` [Unix s]."""
        return self.until_s is None or now_s < self.until_s
