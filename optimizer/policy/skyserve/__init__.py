"""SkyServe's ways to scale: the peer's rules as they are, and the policy `skyserve` that mends them. Pure."""

from optimizer.policy.skyserve.policy import SkyServePolicy

__all__ = ["SkyServePolicy"]
