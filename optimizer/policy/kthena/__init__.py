"""Kthena's ways to scale: the peer's rules as they are, and the policy `kthena` that mends them. Pure."""
