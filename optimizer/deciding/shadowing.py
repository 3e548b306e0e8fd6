"""Shadows: the decision as it would be without them, shown beside what is really published. It plans nothing itself."""

from __future__ import annotations

from dataclasses import replace

from optimizer.deciding.proposing import Wish
from optimizer.domain import ModelDecision, OverrideMode


def move_shadow(wish: Wish) -> Wish:
    """Return `wish` with what is in shadow free to move, as if it were not, and with its own patience to switch."""
    overriding = replace(wish.sight.overriding, is_shadow_moved=True)
    before = wish.remembered.stabilization
    stabilization = replace(before, switch_since_s=before.shadow_switch_since_s)
    return replace(
        wish,
        sight=replace(wish.sight, overriding=overriding),
        remembered=replace(wish.remembered, stabilization=stabilization),
    )


def is_all_shadow(wish: Wish) -> bool:
    """Whether every variant of this LLM is in shadow."""
    return all(line.key in wish.sight.overriding.shadows for line in wish.sight.view.variants)


def show_shadows(real: ModelDecision, imagined: ModelDecision) -> ModelDecision:
    """Return `real` with the lines that are in shadow as `imagined` has them.

    Cost, coverage and conditions stay those of what really runs.
    """
    shown = {line.key: line for line in imagined.variants}
    return replace(
        real,
        variants=tuple(
            shown[line.key] if line.override is not None and line.override.mode is OverrideMode.SHADOW else line
            for line in real.variants
        ),
    )
