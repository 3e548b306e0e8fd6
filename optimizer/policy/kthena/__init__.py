"""Kthena's ways to scale: the peer's rules as they are, and the policy `kthena` that mends them. Pure."""

from optimizer.policy.kthena.policy import KthenaPolicy

__all__ = ["KthenaPolicy"]
