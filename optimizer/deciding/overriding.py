"""Overrides: what a person decided instead of us, and how that is told. It moves no number itself.

A pinned number is published at once, whatever bounds, calm windows and limits say; a paused one stays as it is. Both
are given to everybody else's plan. What is in shadow is decided from what is really asked for, since nobody follows us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optimizer.domain import Override, OverrideMode, Reason, ReasonCode, ServedModel, VariantKey
from optimizer.units import render_utc

_CODES = {
    OverrideMode.SHADOW: ReasonCode.SHADOW,
    OverrideMode.PAUSE: ReasonCode.PAUSED,
    OverrideMode.PIN: ReasonCode.PINNED,
}


@dataclass(frozen=True, slots=True)
class Overriding:
    """The overrides of one LLM.

    Attributes
    ----------
    in_force
        By variant.
    is_shadow_moved
        Whether what is in shadow moves as if it were not, for showing what would be.
    """

    in_force: Mapping[VariantKey, Override]
    is_shadow_moved: bool = False

    @property
    def shadows(self) -> frozenset[VariantKey]:
        """Variants in shadow."""
        return frozenset(key for key, override in self.in_force.items() if override.mode is OverrideMode.SHADOW)

    @property
    def given(self) -> frozenset[VariantKey]:
        """Variants whose number is given: the plan of the others goes around it."""
        return frozenset(self.in_force) - self.shadows if self.is_shadow_moved else frozenset(self.in_force)

    @property
    def ordered(self) -> frozenset[VariantKey]:
        """Variants whose number a person chose: it does not grow old."""
        return frozenset(self.in_force) - self.shadows


def find_overriding(model: ServedModel, now_s: float) -> Overriding:
    """Return the overrides of `model` in force at `now_s` [s]; a pin without a number holds the present one."""
    return Overriding(
        {
            variant.key(variant.main_role): variant.override
            for variant in model.variants
            if variant.override is not None and variant.override.is_in_force(now_s)
        }
    )


def explain_override(override: Override, replicas: int, imagined: Reason | None = None) -> Reason:
    """Return who decided what until when, about a variant with `replicas`.

    Parameters
    ----------
    override
        In force.
    replicas
        What is published, in shadow what would be.
    imagined
        In shadow: why that would be published.
    """
    signed = f" by {override.by}" if override.by else ""
    ends = "" if override.until_s is None else f" until {render_utc(override.until_s)}"
    said = f"{signed}{ends} ({override.source})"
    if override.mode is OverrideMode.SHADOW:
        why = "" if imagined is None else f": {imagined.message}"
        return Reason(ReasonCode.SHADOW, f"in shadow{said}, {replicas} replicas would be published{why}")
    verb = "paused" if override.mode is OverrideMode.PAUSE else "pinned"
    return Reason(_CODES[override.mode], f"{verb} at {replicas} replicas{said}")
