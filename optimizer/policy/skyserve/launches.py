"""From the target to what is launched and removed, spot replicas told apart. It chooses no replica.

The peer in the simulator launches by `compute_scale_step`. Neither a simulated cluster nor a variant has spot replicas:
`compute_fallback` stands here for conformance alone.

Source
------
SkyServe (``sky/serve``) at 01836b312d03: the over-provision is added after the delays, and to spot replicas only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScaleStep:
    """What is done about the number of replicas of the newest version."""

    final_target_replicas: int
    launch_replicas: int
    remove_replicas: int


def compute_scale_step(target_replicas: int, overprovision_replicas: int, living_replicas: int) -> ScaleStep:
    """Return what to launch and to remove, of `living_replicas` that are not terminal and of the newest version."""
    final = target_replicas + overprovision_replicas
    return ScaleStep(final, max(final - living_replicas, 0), max(living_replicas - final, 0))


@dataclass(frozen=True, slots=True)
class FallbackRule:
    """How far on-demand replicas stand in for spot ones.

    Attributes
    ----------
    base_ondemand_replicas
        On-demand replicas there always are.
    is_dynamic
        Whether they also stand in for spot replicas that are not ready.
    """

    base_ondemand_replicas: int = 0
    is_dynamic: bool = False


def compute_fallback(
    target_replicas: int, overprovision_replicas: int, rule: FallbackRule, spot_ready_replicas: int
) -> tuple[int, int]:
    """Return the spot and the on-demand replicas wanted."""
    spot = target_replicas + overprovision_replicas - rule.base_ondemand_replicas
    standing_in = max(spot - spot_ready_replicas, 0) if rule.is_dynamic else 0
    return spot, min(target_replicas, rule.base_ondemand_replicas + standing_in)
